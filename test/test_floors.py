"""The drive between two floors: poses in one frame, the lift is dark and stands, the robot leaves it elsewhere."""

import numpy as np
import pytest

from vloc_ros.datasets.drive import plan_drive
from vloc_ros.datasets.floors import FLOORS, IN_THE_LIFT, STOREY_M, FloorsDrive, open_floors

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
