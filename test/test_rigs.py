"""Frames of several cameras: each view is where its camera looks, and they are localized as one query."""

from dataclasses import replace

import numpy as np
import pytest
from support import SHIPPED_MAP

from vloc_ros.datasets.drive import extrinsics_of
from vloc_ros.datasets.rigs import seen_by
from vloc_ros.datasets.synthetic_room import RIG, RoomFrames, open_synthetic_room, synthetic_room
from vloc_ros.datasets.wrapper import DatasetWrapper
from vloc_ros.errors import ConfigError
from vloc_ros.evaluation.evaluate import evaluate
from vloc_ros.geometry.transforms import invert
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import load_localizer
from vloc_ros.synthetic.living_room import LIVING_ROOM

BACK = np.diag([-1.0, 1.0, -1.0])  # a rotation of half a turn about y


@pytest.fixture(scope="module")
def drive() -> RoomFrames:
    """Two steps of the ground robot, small images."""
    frames = open_synthetic_room(None, "drive")
    chosen = [0, 60]
    return replace(
        frames,
        names=tuple(frames.names[k] for k in chosen),
        poses=frames.poses[chosen],
        stamps_ns=tuple(frames.stamps_ns[k] for k in chosen),
        intrinsics=frames.intrinsics.resized(320, 240),
    )


def test_each_view_is_what_its_camera_sees(drive: RoomFrames) -> None:
    rig = drive.with_cameras(("front", "rear"))
    frame = rig.frame(1)
    np.testing.assert_array_equal(frame.image.rgb, drive.frame(1).image.rgb)
    (rear,) = frame.others
    np.testing.assert_allclose(rear.rig_from_camera[:3, :3], BACK, atol=1e-12)
    alone = replace(drive, poses=drive.poses @ RIG["rear"])
    rendered, _ = synthetic_room(LIVING_ROOM).render(drive.intrinsics, alone.poses[1])
    assert np.abs(rear.image.rgb.astype(int) - rendered).mean() < 25, "but for the sensor's noise and exposure"
    assert [view.image.stamp_ns for view in frame.query.views] == [drive.stamps_ns[1]] * 2


def test_the_poses_are_of_the_first_camera_and_so_is_the_mounting(drive: RoomFrames) -> None:
    turned = drive.with_cameras(("left", "front"))
    for index in range(len(drive)):
        map_from_base = drive.map_from_camera(index) @ invert(extrinsics_of(drive))
        np.testing.assert_allclose(
            turned.map_from_camera(index) @ invert(extrinsics_of(turned)), map_from_base, atol=1e-12
        )
        (front,) = turned.others
        map_from_front = front.map_from_camera(turned.map_from_camera(index))
        np.testing.assert_allclose(map_from_front, drive.map_from_camera(index), atol=1e-12)


def test_cameras_that_cannot_be(drive: RoomFrames) -> None:
    assert seen_by(drive, ()) is drive
    with pytest.raises(ConfigError, match="no camera 'roof'; it has front, left, right, rear"):
        seen_by(drive, ("front", "roof"))
    with pytest.raises(ConfigError, match="'front' is named twice"):
        seen_by(drive, ("front", "front"))

    class OneCamera(DatasetWrapper):
        frame = drive.frame

    with pytest.raises(ConfigError, match="cameras front, left: this data set is of one camera"):
        seen_by(OneCamera(drive), ("front", "left"))


def test_an_evaluation_localizes_all_views(drive: RoomFrames) -> None:
    localizer = load_localizer(SHIPPED_MAP, SessionOptions("onnxruntime", threads=1))
    one, two = (evaluate(localizer, drive.with_cameras(names)) for names in (("front",), ("front", "left")))
    for before, after in zip(one.records, two.records, strict=True):
        assert before.solved is not None
        assert after.solved is not None
        assert after.error is not None
        assert after.error.translation_m < 0.03
        assert after.solved.inliers > before.solved.inliers
        assert after.solved.position_sigma_m < before.solved.position_sigma_m
    same = evaluate(localizer, drive)
    first, again = ([r.solved.map_from_camera for r in found.records if r.solved] for found in (one, same))
    np.testing.assert_array_equal(first, again)
