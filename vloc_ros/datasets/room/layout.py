"""What the synthetic room contains, where, and in which light: x east 0..6, y north 0..5, z up 0..2.7 metres."""

import numpy as np
from numpy.random import Generator

from vloc_ros.datasets.room import furniture, textures
from vloc_ros.datasets.room.builder import SceneBuilder
from vloc_ros.datasets.room.faces import Faces, Lightmaps, Pyramids
from vloc_ros.datasets.room.light import Lights, bake
from vloc_ros.datasets.room.pictures import PICTURES
from vloc_ros.datasets.room.textures import Image

SIZE = np.array([6.0, 5.0, 2.7])
SEED = 7
WINDOW = np.array([[0.0, 1.55, 0.95], [0.0, 3.35, 2.25]])  # opposite corners, in the west wall
CEILING_LAMP = (2.6, 2.4)
FLOOR_LAMP = (0.5, 0.45)
SOUTH, EAST, NORTH, WEST = 0.0, 90.0, 180.0, -90.0  # yaw in degrees that makes a piece of furniture face there


def build() -> tuple[Faces, Pyramids, Lightmaps]:
    """The furnished, lit room; the same on every call."""
    rng = np.random.default_rng(SEED)
    materials, pictures = _materials(rng), _pictures(rng)
    room = SceneBuilder(materials, pictures, rng)
    for furnish in (_shell, _west, _south, _north, _east, _middle):
        furnish(room, rng)
    faces = room.faces()
    lightmaps = bake(faces, SIZE, _lights(), np.array(room.tints), np.array(room.glows))
    return faces, Pyramids.of([*materials.values(), *pictures.values()]), lightmaps


def _materials(rng: Generator) -> dict[str, Image]:
    square = (520, 520)
    return {
        "wood": textures.wood(rng, square, (172, 122, 76)),
        "dark_wood": textures.wood(rng, square, (104, 68, 46)),
        "white": textures.paint(rng, square, (226, 222, 212), 0.03),
        "sofa": textures.fabric(rng, square, (72, 104, 116)),
        "ochre": textures.fabric(rng, square, (206, 150, 62)),
        "red_cloth": textures.fabric(rng, square, (164, 62, 54)),
        "black": textures.paint(rng, square, (44, 44, 50), 0.08),
        "metal": textures.paint(rng, square, (150, 152, 156), 0.05),
        "clay": textures.paint(rng, square, (176, 96, 66), 0.08),
        "blue": textures.paint(rng, square, (66, 106, 160), 0.07),
        "cardboard": textures.cardboard(rng, square),
        "leaf": textures.leaf(rng, (256, 256)),
        "paper": textures.paint(rng, (256, 256), (232, 226, 208), 0.03),
    }


def _pictures(rng: Generator) -> dict[str, Image]:
    painted = {name: paint(rng, shape) for name, (paint, shape) in PICTURES.items()}
    return painted | {
        "floor": textures.planks(rng, (1250, 1500)),
        "ceiling": textures.paint(rng, (500, 600), (240, 238, 232), 0.025),
        "wall_south": textures.wallpaper(rng, (675, 1500), (216, 204, 178), 170),
        "wall_north": textures.wallpaper(rng, (675, 1500), (150, 174, 178), 90),
        "wall_east": textures.brick(rng, (675, 1250)),
        "wall_west": textures.wallpaper(rng, (675, 1250), (206, 174, 140), 60),
        "rug": textures.rug(rng, (430, 620)),
        "books": textures.book_spines(rng, furniture.BOOKS),
        "door": textures.door(rng, (510, 225), (206, 196, 174)),
        "curtain_left": textures.curtain(rng, (560, 110), (164, 84, 66)),
        "curtain_right": textures.curtain(rng, (560, 110), (164, 84, 66)),
        "radiator": textures.radiator(rng, (150, 350)),
        "glow": np.full((8, 8, 3), (255, 246, 222), dtype=np.uint8),
    }


def _lights() -> Lights:
    """The window as a grid of samples that face east, the two lamps, the low sun from the south-west."""
    y, z = np.meshgrid(np.linspace(WINDOW[0, 1] + 0.2, WINDOW[1, 1] - 0.2, 4), np.linspace(1.15, 2.05, 3))
    window = np.column_stack([np.full(y.size, 0.15), y.ravel(), z.ravel()])
    lamps = np.array([[*CEILING_LAMP, 2.2], [CEILING_LAMP[0] + 0.3, CEILING_LAMP[1], 2.3], [*FLOOR_LAMP, 1.4]])
    powers = np.concatenate([np.tile([0.17, 0.19, 0.22], (y.size, 1)), [[0.55, 0.5, 0.42]] * 2, [[0.34, 0.26, 0.16]]])
    axes = np.concatenate([np.tile([1.0, 0.0, 0.0], (y.size, 1)), np.zeros((3, 3))])
    sun = np.array([0.78, 0.22, -0.58])
    return Lights(
        np.concatenate([window, lamps]),
        powers,
        axes,
        ambient=np.array([0.56, 0.56, 0.58]),
        sun=sun / np.linalg.norm(sun),
        opening=WINDOW,
        sun_power=np.array([1.3, 1.12, 0.82]),
    )


def _shell(room: SceneBuilder, rng: Generator) -> None:
    """Floor, ceiling with beams and a lamp, walls with skirting boards."""
    x, y, z = SIZE
    room.panel((x / 2, y / 2, 0), "top", x, y, "floor")
    room.panel((x / 2, y / 2, z), "bottom", x, y, "ceiling")
    room.panel((x / 2, 0, z / 2), "north", x, z, "wall_south")
    room.panel((x / 2, y, z / 2), "south", x, z, "wall_north")
    room.panel((x, y / 2, z / 2), "west", y, z, "wall_east")
    room.panel((0, y / 2, z / 2), "east", y, z, "wall_west")
    for low, high in (((0, 0), (x, 0.02)), ((0, y - 0.02), (x, y)), ((0, 0), (0.02, y)), ((x - 0.02, 0), (x, y))):
        room.box((*low, 0), (*high, 0.09), "white")
    for middle in (1.1, 4.1, 5.3):
        room.box((middle - 0.08, 0, z - 0.15), (middle + 0.08, y, z), "dark_wood", north="", south="", top="")
    room.prism((*CEILING_LAMP, 2.33), 0.24, 0.17, 0.22, "glow", sides=16, glow=1.0)
    room.prism((*CEILING_LAMP, 2.55), 0.012, 0.012, 0.15, "black", sides=6)


def _west(room: SceneBuilder, rng: Generator) -> None:
    """The window with frame, sill and curtains, a radiator, a plant, pictures."""
    (_, y0, z0), (_, y1, z1) = WINDOW
    middle = (y0 + y1) / 2
    room.panel((0.02, middle, (z0 + z1) / 2), "east", y1 - y0, z1 - z0, "window_view", glow=1.0)
    for low, high in (
        ((y0 - 0.07, z0 - 0.07), (y0, z1 + 0.07)),
        ((y1, z0 - 0.07), (y1 + 0.07, z1 + 0.07)),
        ((y0, z1), (y1, z1 + 0.07)),
        ((y0, z0 - 0.07), (y1, z0)),
        ((middle - 0.03, z0), (middle + 0.03, z1)),
        ((y0, 1.78), (y1, 1.83)),
    ):
        room.box((0, *low), (0.06, *high), "white", west="")
    room.box((0, y0 - 0.1, z0 - 0.11), (0.2, y1 + 0.1, z0 - 0.07), "white")
    room.box((0.03, y0 + 0.15, 0.14), (0.12, y1 - 0.15, 0.74), "white", east="radiator")
    room.box((0.06, y0 - 0.5, 2.42), (0.09, y1 + 0.5, 2.45), "dark_wood")
    for name, y in (("curtain_left", y0 - 0.2), ("curtain_right", y1 + 0.2)):
        with room.at(0.04, y, 2.42, EAST):
            furniture.curtain(room, 0.38, 2.25, name)
    for y, height, texture in ((1.8, 0.16, "clay"), (2.15, 0.1, "blue"), (3.05, 0.2, "ochre")):
        room.prism((0.12, y, z0 - 0.07), 0.04, 0.055, height, texture, sides=8)
    with room.at(0, 0.6, 1.62, EAST):
        furniture.picture(room, 0.55, 0.55, "circles")
    with room.at(0, 4.35, 1.85, EAST):
        furniture.picture(room, 0.72, 0.52, "night")
    with room.at(0.45, 4.3):
        furniture.plant(room, rng, 1.35)


def _south(room: SceneBuilder, rng: Generator) -> None:
    """Sofa under pictures, lamp, side table, door, coat hooks."""
    with room.at(2.1, 0, 0, NORTH):
        furniture.sofa(room, rng, 2.1)
    with room.at(*FLOOR_LAMP):
        furniture.floor_lamp(room, 1.65)
    with room.at(3.55, 0.38):
        furniture.table(room, (0.5, 0.5, 0.52), "dark_wood", 0.04)
        with room.at(0, 0, 0.52, 20):
            room.box((-0.12, -0.09, 0), (0.12, 0.09, 0.035), "blue")
            room.box((-0.1, -0.08, 0.035), (0.11, 0.08, 0.07), "ochre")
        room.prism((0.15, 0.12, 0.52), 0.05, 0.09, 0.22, "clay", sides=10)
    for x, z, width, height, name in ((1.35, 1.62, 0.95, 0.6, "landscape"), (2.3, 1.55, 0.52, 0.66, "portrait")):
        with room.at(x, 0, z, NORTH):
            furniture.picture(room, width, height, name)
    with room.at(3.15, 0, 1.62, NORTH):
        furniture.picture(room, 0.62, 0.9, "concert", "black")
    with room.at(4.95, 0, 0, NORTH):
        furniture.door(room, 0.9, 2.04)
    with room.at(4.05, 0, 1.65, NORTH):
        room.box((-0.3, -0.03, -0.05), (0.3, 0, 0.05), "wood")
        for x, texture, length in ((-0.18, "blue", 0.75), (0.12, "ochre", 0.62)):
            room.box((x - 0.13, -0.15, -length), (x + 0.13, -0.03, 0), texture)
    with room.at(5.7, 0.3, 0, 12):
        room.prism((0, 0, 0), 0.12, 0.14, 0.5, "blue", sides=10)


def _north(room: SceneBuilder, rng: Generator) -> None:
    """Bookcase, desk with its chair under whiteboard and clock, chest of drawers under the map."""
    north = float(SIZE[1])
    with room.at(1.25, north):
        furniture.bookcase(room, rng, 1.0, 2.1, 6, "wood")
    with room.at(2.75, north):
        furniture.desk(room, 1.5)
    with room.at(2.6, 4.12, 0, 25):
        furniture.office_chair(room)
    with room.at(2.75, north, 1.72):
        furniture.picture(room, 1.2, 0.8, "whiteboard", "metal")
    with room.at(3.85, north, 2.2):
        furniture.picture(room, 0.3, 0.3, "clock", "black")
    with room.at(4.6, north):
        furniture.cabinet(room, (1.3, 0.42, 0.86), "white", 3)
        with room.at(0.05, -0.03, 0.86):
            furniture.books(room, rng, -0.55, 0.1, 0.26)
        room.prism((0.42, -0.22, 0.86), 0.06, 0.1, 0.26, "blue", sides=12)
        room.prism((0.2, -0.2, 0.86), 0.08, 0.05, 0.14, "clay", sides=12)
    with room.at(4.6, north, 1.72):
        furniture.picture(room, 1.15, 0.69, "world", "wood")


def _east(room: SceneBuilder, rng: Generator) -> None:
    """Television on its bench, boards with books, pin board, cartons in the corner."""
    east = float(SIZE[0])
    with room.at(east, 2.4, 0, WEST):
        furniture.cabinet(room, (1.6, 0.4, 0.45), "dark_wood", 4)
        room.box((-0.2, -0.28, 0.45), (0.2, -0.12, 0.47), "black")
        room.box((-0.5, -0.22, 0.5), (0.5, -0.18, 1.1), "black")
        room.panel((0, -0.222, 0.8), "south", 0.96, 0.56, "television", glow=0.85)
    for z, offset in ((1.45, -0.05), (1.88, 0.12)):
        with room.at(east, 2.4 + offset, z, WEST):
            furniture.wall_board(room, rng, 1.2, "wood")
    with room.at(east, 0.85, 1.55, WEST):
        furniture.picture(room, 0.9, 0.66, "pinboard", "wood")
    with room.at(east, 4.05, 1.6, WEST):
        furniture.picture(room, 0.66, 0.76, "blocks", "black")
    for x, y, z, yaw, size in (
        (5.68, 4.62, 0.0, 4, (0.5, 0.6, 0.42)),
        (5.7, 4.6, 0.42, -8, (0.42, 0.5, 0.34)),
        (5.66, 3.9, 0.0, 15, (0.45, 0.42, 0.36)),
        (5.72, 1.1, 0.0, -5, (0.4, 0.5, 0.5)),
    ):
        tone = float(rng.uniform(0.85, 1.1))
        with room.at(x, y, z, yaw):
            furniture.carton(room, size, (tone, tone, tone * 0.97))


def _middle(room: SceneBuilder, rng: Generator) -> None:
    """The rug, and the dining table with its chairs."""
    with room.at(2.35, 2.35, yaw=4):
        room.box((-1.25, -0.86, 0.0), (1.25, 0.86, 0.012), "red_cloth", top="rug")
    with room.at(4.6, 2.45, 0, 3):
        furniture.table(room, (0.8, 1.1, 0.74), "wood")
        room.box((-0.16, -0.5, 0.741), (0.16, 0.5, 0.746), "red_cloth")
        room.prism((0.02, 0.1, 0.746), 0.1, 0.15, 0.09, "blue", sides=14)
        room.prism((-0.25, -0.3, 0.74), 0.04, 0.04, 0.1, "ochre", sides=10)
        room.prism((0.24, 0.34, 0.74), 0.04, 0.04, 0.1, "clay", sides=10)
    for x, y, yaw in ((4.55, 1.62, 172), (4.7, 3.3, -12)):
        with room.at(x, y, 0, yaw):
            furniture.chair(room, "dark_wood", "ochre" if y < 2 else "red_cloth")
