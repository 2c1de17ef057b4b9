"""Rooms drawn from a seed: they differ, or look alike on purpose, can be walked through, and become a data set."""

from pathlib import Path

import numpy as np
import pytest

from vloc_ros.cli import main
from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.drawn_rooms import CYCLE, LISTED, SMALL, TEST, TRAINING, place_plans
from vloc_ros.datasets.synthetic_room import SyntheticRoom
from vloc_ros.synthetic import paths
from vloc_ros.synthetic.drawn_room import drawn_room

TINY = SMALL.resized(80, 60)
NEAR_M = 0.25


@pytest.mark.parametrize(("seed", "is_corridor"), [(1, False), (7, False), (3, True)])
def test_whoever_walks_meets_no_furniture(seed: int, is_corridor: bool) -> None:
    plan = drawn_room("room", seed, is_corridor=is_corridor)
    room = SyntheticRoom(*plan.build())
    for pose in np.concatenate([paths.mapping_poses(plan.walks, 6), paths.revisit_poses(plan.walks, 6)]):
        assert (pose[:3, 3] > 0).all()
        assert (pose[:3, 3] < plan.size).all()
        _, depth = room.render(TINY, pose)
        assert depth.min() > NEAR_M  # and no ray leaves the room


def test_rooms_that_look_alike_differ_in_their_posters_alone() -> None:
    one, alike, other = (drawn_room("room", seed, posters).build() for seed, posters in ((1, 0), (1, 1), (2, 0)))
    posters = drawn_room("room", 1).pictures.keys() & {f"poster{k}" for k in range(100)}
    np.testing.assert_array_equal(one[0].textures < one[0].textures.max() - len(posters) + 1,
                                  alike[0].textures < alike[0].textures.max() - len(posters) + 1)  # fmt: skip
    furniture = one[0].textures <= one[0].textures.max() - len(posters)
    for name in ("origins", "edges_u", "edges_v", "windows", "textures"):
        rows = getattr(one[0], name)[furniture], getattr(alike[0], name)[furniture]
        frames_of_posters = np.flatnonzero((rows[0] != rows[1]).reshape(len(rows[0]), -1).any(axis=1))
        assert (frames_of_posters > 0.5 * len(rows[0])).all()  # what hangs is built last
    room, alike_room = SyntheticRoom(*one), SyntheticRoom(*alike)
    pose = paths.mapping_poses(drawn_room("room", 1).walks, 4)[1]
    differ = np.abs(room.render(TINY, pose)[0].astype(int) - alike_room.render(TINY, pose)[0]).max(axis=2) > 12
    assert 0.005 < differ.mean() < 0.5
    assert len(one[0]) != len(other[0])


def test_more_places_begin_with_the_same_ones() -> None:
    few, more = list(place_plans(3)), list(place_plans(2 * CYCLE))
    assert [plan.name for plan in few] == [plan.name for plan in more[:3]]
    assert [plan.seed for plan in few] == [plan.seed for plan in more[:3]]
    alike = [(a.name, b.name) for k, a in enumerate(more) for b in more[k + 1 :] if a.seed == b.seed]
    assert alike == [("room_003", "room_004"), ("room_008", "room_009")]
    assert [plan.seed for plan in place_plans(3, seed=1)] != [plan.seed for plan in few]


def test_places_become_a_joined_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rooms", "--out", str(tmp_path), "--places", "1"]) == 0
    before = (tmp_path / "room_000" / "poses.txt").stat().st_mtime_ns
    assert main(["rooms", "--out", str(tmp_path), "--places", "2"]) == 0
    assert (tmp_path / "room_000" / "poses.txt").stat().st_mtime_ns == before
    train, test = (open_dataset("joined", tmp_path / LISTED, split) for split in ("train", "test"))
    assert (len(train), len(test)) == (2 * 5 * TRAINING, 2 * 5 * TEST)
    frame, plan = train.frame(5 * TRAINING + 3, depth=True), list(place_plans(2))[1]
    assert frame.place == plan.name
    rgb, depth = SyntheticRoom(*plan.build()).render(SMALL, frame.map_from_camera)
    assert frame.depth is not None
    np.testing.assert_allclose(frame.depth, depth, atol=0.0006)
    assert np.abs(frame.image.rgb.astype(int) - rgb).mean() < 25  # exposure, noise and JPEG
    assert main(["rooms", "--out", str(tmp_path), "--places", "0"]) == 1
    assert "0 places" in capsys.readouterr().err
