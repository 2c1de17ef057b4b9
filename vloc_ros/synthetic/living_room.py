"""The plan of the synthetic room, a living room: x east 0..6, y north 0..5, z up 0..2.7 metres."""

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.random import Generator

from vloc_ros.synthetic import fittings, furniture, pictures, screens, textures
from vloc_ros.synthetic.builder import SceneBuilder
from vloc_ros.synthetic.light import Lights
from vloc_ros.synthetic.paths import DRIVE, Loop
from vloc_ros.synthetic.plan import EAST, NORTH, WEST, RoomPlan

SIZE = np.array([6.0, 5.0, 2.7])
WINDOW = np.array([[0.0, 1.55, 0.95], [0.0, 3.35, 2.25]])  # opposite corners, in the west wall
CEILING_LAMP = (2.6, 2.4)
FLOOR_LAMP = (0.5, 0.45)

SQUARE = (520, 520)
MATERIALS = {
    "wood": partial(textures.wood, shape=SQUARE, colour=(172, 122, 76)),
    "dark_wood": partial(textures.wood, shape=SQUARE, colour=(104, 68, 46)),
    "white": partial(textures.paint, shape=SQUARE, colour=(226, 222, 212), mottling=0.03),
    "sofa": partial(textures.fabric, shape=SQUARE, colour=(72, 104, 116)),
    "ochre": partial(textures.fabric, shape=SQUARE, colour=(206, 150, 62)),
    "red_cloth": partial(textures.fabric, shape=SQUARE, colour=(164, 62, 54)),
    "black": partial(textures.paint, shape=SQUARE, colour=(44, 44, 50), mottling=0.08),
    "metal": partial(textures.paint, shape=SQUARE, colour=(150, 152, 156), mottling=0.05),
    "clay": partial(textures.paint, shape=SQUARE, colour=(176, 96, 66), mottling=0.08),
    "blue": partial(textures.paint, shape=SQUARE, colour=(66, 106, 160), mottling=0.07),
    "cardboard": partial(textures.cardboard, shape=SQUARE),
    "leaf": partial(textures.leaf, shape=(256, 256)),
    "paper": partial(textures.paint, shape=(256, 256), colour=(232, 226, 208), mottling=0.03),
}
PICTURES = {
    "landscape": partial(pictures.landscape, shape=(300, 480)),
    "window_view": partial(pictures.window_view, shape=(400, 560)),
    "blocks": partial(pictures.blocks, shape=(320, 280)),
    "circles": partial(pictures.circles, shape=(300, 300)),
    "concert": partial(pictures.concert, shape=(420, 290)),
    "world": partial(pictures.world, shape=(360, 600)),
    "portrait": partial(pictures.portrait, shape=(320, 250)),
    "night": partial(pictures.night, shape=(260, 360)),
    "code_screen": partial(screens.code_screen, shape=(260, 440)),
    "television": partial(screens.television, shape=(280, 480)),
    "keyboard": partial(screens.keyboard, shape=(60, 190)),
    "whiteboard": partial(screens.whiteboard, shape=(320, 480)),
    "pinboard": partial(screens.pinboard, shape=(300, 420)),
    "clock": partial(screens.clock, shape=(160, 160)),
    "floor": partial(textures.planks, shape=(1250, 1500)),
    "ceiling": partial(textures.paint, shape=(500, 600), colour=(240, 238, 232), mottling=0.025),
    "wall_south": partial(textures.wallpaper, shape=(675, 1500), colour=(216, 204, 178), motifs=170),
    "wall_north": partial(textures.wallpaper, shape=(675, 1500), colour=(150, 174, 178), motifs=90),
    "wall_east": partial(textures.brick, shape=(675, 1250)),
    "wall_west": partial(textures.wallpaper, shape=(675, 1250), colour=(206, 174, 140), motifs=60),
    "rug": partial(textures.rug, shape=(430, 620)),
    "books": partial(textures.book_spines, count=furniture.SPINES),
    "door": partial(textures.door, shape=(510, 225), colour=(206, 196, 174)),
    "curtain_left": partial(textures.curtain, shape=(560, 110), colour=(164, 84, 66)),
    "curtain_right": partial(textures.curtain, shape=(560, 110), colour=(164, 84, 66)),
    "radiator": partial(textures.radiator, shape=(150, 350)),
    "glow": partial(textures.plain, shape=(8, 8), colour=(255, 246, 222)),
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
    """The shell, beams and a lamp under the ceiling."""
    x, y, z = SIZE
    fittings.shell(room, (x, y, z))
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
            fittings.curtain(room, 0.38, 2.25, name)
    for y, height, texture in ((1.8, 0.16, "clay"), (2.15, 0.1, "blue"), (3.05, 0.2, "ochre")):
        room.prism((0.12, y, z0 - 0.07), 0.04, 0.055, height, texture, sides=8)
    with room.at(0, 0.6, 1.62, EAST):
        fittings.picture(room, 0.55, 0.55, "circles")
    with room.at(0, 4.35, 1.85, EAST):
        fittings.picture(room, 0.72, 0.52, "night")
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
            fittings.picture(room, width, height, name)
    with room.at(3.15, 0, 1.62, NORTH):
        fittings.picture(room, 0.62, 0.9, "concert", "black")
    with room.at(4.95, 0, 0, NORTH):
        fittings.door(room, 0.9, 2.04)
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
        fittings.picture(room, 1.2, 0.8, "whiteboard", "metal")
    with room.at(3.85, north, 2.2):
        fittings.picture(room, 0.3, 0.3, "clock", "black")
    with room.at(4.6, north):
        furniture.cabinet(room, (1.3, 0.42, 0.86), "white", 3)
        with room.at(0.05, -0.03, 0.86):
            furniture.books(room, rng, -0.55, 0.1, 0.26)
        room.prism((0.42, -0.22, 0.86), 0.06, 0.1, 0.26, "blue", sides=12)
        room.prism((0.2, -0.2, 0.86), 0.08, 0.05, 0.14, "clay", sides=12)
    with room.at(4.6, north, 1.72):
        fittings.picture(room, 1.15, 0.69, "world", "wood")


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
        fittings.picture(room, 0.9, 0.66, "pinboard", "wood")
    with room.at(east, 4.05, 1.6, WEST):
        fittings.picture(room, 0.66, 0.76, "blocks", "black")
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


# what a mapping run records: a robot's low round both ways, hand-held ones looking out, in, and all around
WALKS = (
    Loop(centre=(2.35, 2.3), radii=(1.22, 0.8), height=0.7, bob=0.08, gaze=0.0, pitch=0.0),
    Loop(centre=(2.4, 2.35), radii=(1.15, 0.75), height=0.85, bob=0.1, gaze=180.0, pitch=-2.0),
    Loop(centre=(2.7, 2.4), radii=(1.38, 0.85), height=1.5, bob=0.1, gaze=-90.0, pitch=-8.0),
    Loop(centre=(2.7, 2.4), radii=(1.35, 0.85), height=1.42, bob=0.12, gaze=90.0, pitch=-12.0),
    Loop(centre=(2.5, 2.4), radii=(1.0, 0.6), height=1.25, bob=0.15, gaze=40.0, turns=1, pitch=-5.0),
)

LIVING_ROOM = RoomPlan(
    name="synthetic_room",
    size=SIZE,
    seed=7,
    materials=MATERIALS,
    pictures=PICTURES,
    furnish=(_shell, _west, _south, _north, _east, _middle),
    lights=_lights(),
    walks=WALKS,
    drive=replace(DRIVE, centre=(2.38, 2.32), radii=(1.1, 0.72)),
)
