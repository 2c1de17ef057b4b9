"""What the benchmarks of maps share: answers to the same frames, held-out frames that are far, points by fusing."""

import numpy as np
import pytest
from fused_points import fused
from in_turn import Answers, ask_in_turn
from mapping_frames import far_apart
from support.reconstruction_scenes import CAMERA, observed, room

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.types import CameraImage, PoseEstimate, Rejection, RejectionReason
from vloc_ros.datasets.types import Frame
from vloc_ros.geometry.pose_error import WRONG_PLACE
from vloc_ros.mapping.tracks import MIN_LENGTH

BLACK = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)
NONE = Rejection(RejectionReason.NO_POSE, "nothing", timings_ms={"total": 3.0})


class Frames:
    """Of one pose, in one place."""

    names = tuple(map(str, range(6)))
    has_depth = False

    def __len__(self) -> int:
        return 6

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        return Frame(str(index), CameraImage(BLACK, CAMERA), np.eye(4), place="kitchen")


def at(x: float, place: str | None = None) -> PoseEstimate:
    pose = np.eye(4)
    pose[0, 3] = x
    some = Correspondences(np.zeros((2, 2)), np.zeros((2, 3)), np.ones(2), np.zeros(2, np.int32))
    return PoseEstimate(pose, np.eye(6), some, np.array([True, False]), 1.0, 0.9, {"total": 1.0}, place)


def test_all_are_asked_of_every_frame_and_none_is_always_first() -> None:
    asked: list[tuple[str, str]] = []

    def ask(name: str, frame: Frame) -> Rejection:
        asked.append((name, frame.name))
        return NONE

    names = ("a", "b", "c")
    answers = ask_in_turn({name: lambda frame, name=name: ask(name, frame) for name in names}, Frames())  # type: ignore[misc, arg-type]
    in_turn = asked[len(names) :]  # behind the first frame, once for each
    assert sorted(in_turn) == [(name, str(frame)) for name in names for frame in range(6)]
    assert {name for name, _ in in_turn[:: len(names)]} == set(names)
    assert all(answer.figures()["rejected"] == 6 for answer in answers.values())


def test_a_pose_in_another_place_is_infinitely_wrong() -> None:
    answers, frame = Answers(), Frames().frame(0)
    for result in (at(0.01), at(0.01, "kitchen"), at(0.0, "office"), NONE):
        answers.add(frame, result)
    assert answers.errors[2:] == [WRONG_PLACE, None]
    assert [error.translation_m for error in answers.errors[:2] if error] == pytest.approx([0.01, 0.01])
    figures = answers.figures()
    assert (figures["frames"], figures["rejected"], figures["wrong_accepted"]) == (4, 1, 1)
    assert figures["total_p50_ms"] == 1.0
    assert answers.inliers == [1, 1, 1, 0]
    assert answers.right_places == 0.25


def test_answers_of_several_places_are_one_after_the_other() -> None:
    parts, frame = [Answers(), Answers()], Frames().frame(0)
    parts[0].add(frame, at(0.1))
    parts[1].add(frame, NONE)
    joined = Answers.joined(parts)
    assert [error and error.translation_m for error in joined.errors] == [pytest.approx(0.1), None]
    assert [each["total"] for each in joined.timings_ms] == [1.0, 3.0]


@pytest.mark.parametrize(("count", "stretches", "gap"), [(90, 1, 10), (200, 4, 3), (97, 5, 0)])
def test_held_out_frames_are_apart_from_mapped_ones(count: int, stretches: int, gap: int) -> None:
    mapped, held_out = far_apart(count, stretches, gap)
    assert len(held_out) == pytest.approx(count / 3, abs=stretches)
    assert len(mapped)
    assert np.abs(mapped[:, None] - held_out).min() > gap
    assert len(mapped) >= count - len(held_out) - 2 * gap * stretches


def test_fused_points_are_where_the_points_are() -> None:
    features, seen = observed(room(), pixel_noise=0.3, depth_noise=0.002)
    found = fused(features)
    keys = features.starts[found.frames] + found.rows
    true = np.concatenate(seen)[keys]
    apart = np.linalg.norm(found.positions[found.points] - room().points[true], axis=1)
    assert np.median(apart) < 0.005
    assert len(np.unique(true)) > 150
    assert np.bincount(found.points).min() >= MIN_LENGTH
    assert len(np.unique(np.column_stack([found.points, found.frames]), axis=0)) == len(found.frames)  # once in a frame
    np.testing.assert_array_equal(found.pixels, features.pixels[keys])
