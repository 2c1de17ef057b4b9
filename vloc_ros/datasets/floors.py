"""A robot that changes between two floors, the two synthetic rooms, by a lift: posed images without files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from vloc_ros.core.types import CameraImage
from vloc_ros.datasets.joined_places import PlaceFrames
from vloc_ros.datasets.synthetic_room import FRAME_INTERVAL_NS, RoomFrames, open_synthetic_office, open_synthetic_room
from vloc_ros.datasets.types import Frame
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import Matrix, from_quaternion

GROUND, FIRST = FLOORS = ("ground", "first")
STOREY_M = 3.2
# Where the frame of each floor is in that of the building: the rooms' corners are one above the other.
MAP_FROM_FLOOR: Mapping[str, Matrix] = MappingProxyType(
    {floor: from_quaternion((0, 0, 0, 1), (0, 0, storey * STOREY_M)) for storey, floor in enumerate(FLOORS)}
)
IN_THE_LIFT = 5  # dark images, while the robot stands
STRIDE = 37  # of the frame on which the robot leaves the lift: it is somewhere else each time


@dataclass(frozen=True)
class Step:
    """Frame `index` of the floor's drive; in the lift nothing is seen."""

    floor: str
    index: int
    in_lift: bool = False


@dataclass(frozen=True, eq=False)
class FloorsDrive:
    """A Dataset of the `steps` of a robot; `rooms` are the drives of the floors, by their names. Poses are in the frame
    of the building. In the lift the robot is where it was before."""

    rooms: Mapping[str, PlaceFrames]
    base_from_camera: Matrix
    steps: Sequence[Step]

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{count:06d}_{step.floor}" for count, step in enumerate(self.steps))

    @property
    def has_depth(self) -> bool:
        return False

    def place(self, index: int) -> str:
        return self.steps[index].floor

    def camera(self, index: int) -> Camera:
        step = self.steps[index]
        return self.rooms[step.floor].camera(step.index)

    def map_from_camera(self, index: int) -> Matrix:
        step = self.steps[index]
        moved: Matrix = MAP_FROM_FLOOR[step.floor] @ self.rooms[step.floor].map_from_camera(step.index)
        return moved

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        step, pose, stamp_ns = self.steps[index], self.map_from_camera(index), index * FRAME_INTERVAL_NS
        if step.in_lift:
            camera = self.camera(index)
            image = CameraImage(np.zeros((camera.height, camera.width, 3), np.uint8), camera, stamp_ns)
        else:
            image = replace(self.rooms[step.floor].frame(step.index).image, stamp_ns=stamp_ns)
        return Frame(self.names[index], image, pose, place=step.floor)


def plan_steps(changes: int, stay: int, count: int) -> tuple[Step, ...]:
    """So many changes of the floor, `stay` images on each before and after; a floor's drive has `count` frames."""
    steps: list[Step] = []
    for visit in range(changes + 1):
        begin = visit * STRIDE % (count - stay)
        steps += [Step(FLOORS[visit % 2], index) for index in range(begin, begin + stay)]
        steps += [replace(steps[-1], in_lift=True)] * IN_THE_LIFT * (visit < changes)
    return tuple(steps)


def open_floors(changes: int = 4, stay: int = 15) -> FloorsDrive:
    """The drive that `vloc demo --floors` shows."""
    rooms: dict[str, RoomFrames] = {
        GROUND: open_synthetic_room(None, "drive"),
        FIRST: open_synthetic_office(None, "drive"),
    }
    mounted = rooms[GROUND].base_from_camera
    assert mounted is not None
    parts = {floor: PlaceFrames(frames, floor) for floor, frames in rooms.items()}
    return FloorsDrive(parts, mounted, plan_steps(changes, stay, len(rooms[GROUND])))
