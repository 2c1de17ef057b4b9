"""The drive between two floors: poses in one frame, the lift is dark and stands, the robot leaves it elsewhere."""

import numpy as np
import pytest
from support import SHIPPED_MAP

from vloc_ros.core.places import in_map_frame
from vloc_ros.core.types import PoseEstimate
from vloc_ros.datasets.drive import plan_drive
from vloc_ros.datasets.floors import FLOORS, IN_THE_LIFT, STOREY_M, FloorsDrive, open_floors
from vloc_ros.geometry.pose_error import RIGHT_POSE, pose_error
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import load_localizer

SHIPPED_FLOORS = SHIPPED_MAP.parent / "demo_floors"
CHANGES, STAY = 3, 4


@pytest.fixture(scope="module")
def floors() -> FloorsDrive:
    return open_floors(CHANGES, STAY)


def test_the_robot_changes_between_both_floors(floors: FloorsDrive) -> None:
    assert len(floors) == (CHANGES + 1) * STAY + CHANGES * IN_THE_LIFT
    assert [floors.place(k) for k in range(0, len(floors), STAY + IN_THE_LIFT)] == [*FLOORS, *FLOORS]
    assert len(set(floors.names)) == len(floors)


def test_it_drives_on_the_floor_of_its_storey_and_is_carried_once_a_change(floors: FloorsDrive) -> None:
    drive = plan_drive(floors, floors.base_from_camera)
    storeys = [STOREY_M * FLOORS.index(floors.place(k)) for k in range(len(floors))]
    np.testing.assert_allclose(drive.map_from_base[:, 2, 3], storeys, atol=1e-9)
    assert sorted(drive.kidnapped) == [k * (STAY + IN_THE_LIFT) for k in range(1, CHANGES + 1)]


def test_in_the_lift_it_is_dark_and_the_robot_stands(floors: FloorsDrive) -> None:
    drive = plan_drive(floors, floors.base_from_camera)
    lift = range(STAY, STAY + IN_THE_LIFT)
    assert not floors.frame(lift[0]).image.rgb.any()
    for poses in (drive.map_from_base, drive.odom_from_base):
        np.testing.assert_allclose(poses[lift], np.broadcast_to(poses[lift[0]], (IN_THE_LIFT, 4, 4)), atol=1e-9)


def test_the_shipped_map_tells_the_floors_apart(floors: FloorsDrive) -> None:
    localizer = load_localizer(SHIPPED_FLOORS, SessionOptions(threads=1))
    manifest = localizer.landmark_map.manifest
    for index in (0, STAY + IN_THE_LIFT):
        frame = floors.frame(index)
        result = localizer.localize(frame.image)
        assert isinstance(result, PoseEstimate)
        assert result.place == frame.place
        assert pose_error(in_map_frame(result, manifest).map_from_camera, frame.map_from_camera).within(RIGHT_POSE)
    assert sum(file.stat().st_size for file in SHIPPED_FLOORS.iterdir()) < 1.2e6
