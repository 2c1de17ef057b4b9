"""How much of an image has to have the colours of its place: each place's own part, from its mapping frames."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from support.mapping_scenes import WallAndBox
from support.painted_walls import HERE, POSTER, painted_image, painted_surface

from vloc_ros.core.query import View
from vloc_ros.datasets import Frame
from vloc_ros.evaluation.corruptions import noise_block
from vloc_ros.geometry.transforms import Matrix, from_quaternion
from vloc_ros.methods.surface_comparison import Guess, agreement
from vloc_ros.progress import Advance
from vloc_ros.training.least_agreement import FRAMES, MARGIN, least_agreement

SURFACE = painted_surface(POSTER)


@dataclass(frozen=True)
class Walk(WallAndBox):
    """Along a wall; in every other frame a part of the image shows something that has gone since. Frames say that they
    were taken from another pose, by `error`."""

    gone: float = 0.0
    error: Matrix | None = None

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        pose = self.poses[index]
        image = painted_image(POSTER, pose)
        if index % 2:
            columns = round(self.gone * image.camera.width)
            image.rgb[:, :columns] = np.random.default_rng(index).integers(0, 240, (1, columns, 3))
        return Frame(self.names[index], image, pose if self.error is None else pose @ self.error)


def along(count: int) -> Walk:
    poses = np.tile(HERE, (count, 1, 1))
    poses[:, 0, 3] = np.linspace(-0.5, 0.5, count)
    return Walk(tuple(poses))


def test_ordinary_images_of_the_place_have_more() -> None:
    least = least_agreement(SURFACE, along(8))
    assert 0.3 < least < MARGIN
    between = along(7)
    for index in range(len(between)):
        frame = between.frame(index)
        hidden = noise_block(frame.image.rgb, np.random.default_rng(index), 0.5)
        for rgb in (frame.image.rgb, hidden, frame.image.rgb // 3):
            found = agreement([View(replace(frame.image, rgb=rgb))], Guess(SURFACE, frame.map_from_camera))
            assert found is not None
            assert found > least


def test_a_place_that_changes_and_poses_that_are_uncertain_need_less() -> None:
    usual = along(8)
    turned = from_quaternion(np.array([0.0, 0.2, 0.0, 1.0]), np.zeros(3))
    for frames in (replace(usual, gone=0.4), replace(usual, error=turned)):
        assert least_agreement(SURFACE, frames) < least_agreement(SURFACE, usual) - 0.05


def test_frames_are_spread_over_all_and_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    told: list[tuple[int, int]] = []

    def noted(_surface: object, _frames: object, index: int) -> list[float]:
        seen.append(index)
        return [index / 1000]

    monkeypatch.setattr("vloc_ros.training.least_agreement._agreements", noted)
    advance: Advance = lambda done, of: told.append((done, of))  # noqa: E731
    assert 0 < least_agreement(SURFACE, along(600), advance) < 0.01
    assert (len(seen), seen[0], seen[-1]) == (FRAMES, 0, 599)
    assert max(np.diff(seen)) <= 11
    assert told == [(done, FRAMES) for done in range(1, FRAMES + 1)]


def test_where_no_frame_shows_the_surface_any_pose_is_believed() -> None:
    back = from_quaternion(np.array([0.0, 1.0, 0.0, 0.0]), np.zeros(3))
    assert least_agreement(SURFACE, replace(along(3), error=back)) == 0
