"""The plan of a rendered room: all that it is made of, as data, and how the lit scene is built from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vloc_ros.synthetic.builder import SceneBuilder
from vloc_ros.synthetic.faces import Faces, Lightmaps, Pyramids
from vloc_ros.synthetic.light import Lights, bake
from vloc_ros.synthetic.paths import Loop
from vloc_ros.synthetic.textures import Image

SOUTH, EAST, NORTH, WEST = 0.0, 90.0, 180.0, -90.0  # yaw in degrees that makes a piece of furniture face there

Painter = Callable[[Generator], Image]
Furnisher = Callable[[SceneBuilder, Generator], None]


@dataclass(frozen=True, eq=False)
class RoomPlan:
    """A room [0, size] in the map frame, metres: x east, y north, z up, a corner of the floor at 0.

    `materials` and `pictures` are what SceneBuilder takes, and `furnish` fills it; all draw, in this order, from one
    sequence of random numbers that starts at `seed`. `walks`: the loops of a mapping run; `drive`: a ground robot's.
    """

    name: str
    size: NDArray[np.float64]
    seed: int
    materials: Mapping[str, Painter]
    pictures: Mapping[str, Painter]
    furnish: tuple[Furnisher, ...]
    lights: Lights
    walks: tuple[Loop, ...]
    drive: Loop

    def build(self) -> tuple[Faces, Pyramids, Lightmaps]:
        """The furnished, lit room; the same on every call."""
        rng = np.random.default_rng(self.seed)
        materials = {name: paint(rng) for name, paint in self.materials.items()}
        pictures = {name: paint(rng) for name, paint in self.pictures.items()}
        room = SceneBuilder(materials, pictures, rng)
        for furnish in self.furnish:
            furnish(room, rng)
        faces = room.faces()
        lightmaps = bake(faces, self.size, self.lights, np.array(room.tints), np.array(room.glows))
        return faces, Pyramids.of([*materials.values(), *pictures.values()]), lightmaps
