"""The plan of the synthetic office: x east 0..7, y north 0..4, z up 0..2.6 metres."""

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.random import Generator

from vloc_ros.synthetic import (
    fittings,
    furniture,
    office_furniture,
    office_pictures,
    office_textures,
    pictures,
    screens,
    textures,
)
from vloc_ros.synthetic.builder import SceneBuilder
from vloc_ros.synthetic.light import Lights
from vloc_ros.synthetic.paths import DRIVE, Loop
from vloc_ros.synthetic.plan import EAST, NORTH, WEST, RoomPlan

SIZE = np.array([7.0, 4.0, 2.6])
WINDOW = np.array([[1.8, 0.0, 0.95], [5.2, 0.0, 2.15]])  # opposite corners, in the south wall
CEILING_LIGHTS = ((1.3, 1.75), (3.5, 1.75), (5.7, 1.75))

SQUARE = (520, 520)
MATERIALS = {
    "wood": partial(textures.wood, shape=SQUARE, colour=(206, 178, 136)),
    "dark_wood": partial(textures.wood, shape=SQUARE, colour=(112, 80, 60)),
    "white": partial(textures.paint, shape=SQUARE, colour=(222, 224, 226), mottling=0.03),
    "grey": partial(textures.paint, shape=SQUARE, colour=(112, 118, 126), mottling=0.05),
    "black": partial(textures.paint, shape=SQUARE, colour=(46, 48, 52), mottling=0.08),
    "metal": partial(textures.paint, shape=SQUARE, colour=(158, 162, 166), mottling=0.05),
    "green": partial(textures.fabric, shape=SQUARE, colour=(60, 122, 96)),
    "ochre": partial(textures.fabric, shape=SQUARE, colour=(214, 120, 52)),
    "red_cloth": partial(textures.fabric, shape=SQUARE, colour=(150, 56, 72)),
    "clay": partial(textures.paint, shape=SQUARE, colour=(188, 108, 76), mottling=0.08),
    "blue": partial(textures.paint, shape=SQUARE, colour=(52, 92, 150), mottling=0.07),
    "water": partial(textures.paint, shape=SQUARE, colour=(140, 188, 220), mottling=0.1),
    "signal_red": partial(textures.paint, shape=SQUARE, colour=(192, 38, 34), mottling=0.06),
    "cardboard": partial(textures.cardboard, shape=SQUARE),
    "leaf": partial(textures.leaf, shape=(256, 256)),
    "paper": partial(textures.paint, shape=(256, 256), colour=(236, 234, 226), mottling=0.03),
}
PICTURES = {
    "window_view": partial(office_pictures.city_view, shape=(360, 1020)),
    "metro": partial(office_pictures.metro_map, shape=(360, 480)),
    "planner": partial(office_pictures.year_planner, shape=(340, 500)),
    "slogan": partial(
        office_pictures.slogan,
        shape=(420, 300),
        words=("MEASURE", "TWICE", "MAP", "ONCE"),
        colours=((244, 222, 178), (226, 104, 70), (24, 52, 88)),
    ),
    "slogan_dark": partial(
        office_pictures.slogan,
        shape=(300, 420),
        words=("STAY", "CURIOUS"),
        colours=((30, 64, 70), (60, 140, 130), (246, 226, 150)),
    ),
    "flow_chart": partial(office_pictures.flow_chart, shape=(320, 560)),
    "slide": partial(office_pictures.slide, shape=(300, 520)),
    "sheet_screen": partial(office_pictures.sheet_screen, shape=(260, 440)),
    "code_screen": partial(screens.code_screen, shape=(260, 440)),
    "keyboard": partial(screens.keyboard, shape=(60, 190)),
    "pinboard": partial(screens.pinboard, shape=(300, 420)),
    "clock": partial(screens.clock, shape=(160, 160)),
    "portrait": partial(pictures.portrait, shape=(320, 250)),
    "blocks": partial(pictures.blocks, shape=(320, 280)),
    "landscape": partial(pictures.landscape, shape=(300, 480)),
    "floor": partial(office_textures.carpet_tiles, shape=(1000, 1750)),
    "ceiling": partial(office_textures.ceiling_tiles, shape=(1000, 1750)),
    "wall_south": partial(
        textures.brick, shape=(650, 1750), colour=(222, 220, 212), odd=(196, 186, 172), mortar=(148, 146, 142)
    ),
    "wall_north": partial(office_textures.concrete, shape=(650, 1750), colour=(172, 170, 164)),
    "wall_east": partial(office_textures.slats, shape=(650, 1000), colour=(186, 140, 92)),
    "wall_west": partial(
        office_textures.mural,
        shape=(650, 1000),
        palette=((42, 122, 124), (226, 186, 76), (236, 232, 220), (34, 66, 92), (222, 122, 84), (150, 196, 184)),
    ),
    "books": partial(textures.book_spines, count=furniture.SPINES),
    "binders": partial(office_textures.binder_spines, count=furniture.SPINES),
    "door": partial(textures.door, shape=(510, 225), colour=(74, 92, 104)),
    "radiator": partial(textures.radiator, shape=(150, 350)),
    "duct": partial(office_textures.sheet_metal, shape=(100, 1750)),
    "blind": partial(office_textures.blind, shape=(300, 210), colour=(210, 200, 178)),
    "glow": partial(textures.plain, shape=(8, 8), colour=(248, 252, 255)),
}


def _lights() -> Lights:
    """The window as a grid of samples that face north, the lamps as rows that face down, a low sun from the south."""
    x, z = np.meshgrid(np.linspace(WINDOW[0, 0] + 0.3, WINDOW[1, 0] - 0.3, 5), np.linspace(1.2, 1.95, 2))
    window = np.column_stack([x.ravel(), np.full(x.size, 0.15), z.ravel()])
    lamps = np.array([[x + dx, y, 2.4] for x, y in CEILING_LIGHTS for dx in (-0.4, 0.0, 0.4)])
    sun = np.array([0.42, 0.72, -0.55])
    return Lights(
        positions=np.concatenate([window, lamps]),
        powers=np.concatenate(
            [np.tile([0.2, 0.21, 0.23], (len(window), 1)), np.tile([0.27, 0.29, 0.3], (len(lamps), 1))]
        ),
        axes=np.concatenate([np.tile([0.0, 1.0, 0.0], (len(window), 1)), np.tile([0.0, 0.0, -1.0], (len(lamps), 1))]),
        ambient=np.array([0.52, 0.54, 0.56]),
        sun=sun / np.linalg.norm(sun),
        opening=WINDOW,
        sun_power=np.array([1.7, 1.5, 1.15]),
    )


def _shell(room: SceneBuilder, rng: Generator) -> None:
    """The shell, lights and an air duct under the ceiling."""
    x, y, z = SIZE
    fittings.shell(room, (x, y, z))
    for a, b in CEILING_LIGHTS:
        with room.at(a, b, z):
            fittings.ceiling_light(room, 1.25, 0.3)
    with room.at(x / 2, y - 0.32, z):
        fittings.duct(room, x - 0.02, 0.4, 0.28, "duct")


def _south(room: SceneBuilder, rng: Generator) -> None:
    """A band of windows with blinds, radiators and cacti; shelves on its left, a map of the metro on its right."""
    (x0, _, z0), (x1, _, z1) = WINDOW
    with room.at((x0 + x1) / 2, 0, 0, NORTH):
        fittings.window_band(room, x1 - x0, z0, z1, 4, "window_view")
        for x in (-1.05, 1.05):
            room.box((x - 0.65, -0.12, 0.14), (x + 0.65, -0.03, 0.74), "white", south="radiator", north="")
        for x, drop in ((-1.275, 0.95), (-0.425, 0.3), (1.275, 0.55)):
            with room.at(x, 0, z1 + 0.06):
                fittings.blind(room, 0.83, drop, "blind")
        for x, height, pot in ((-0.6, 0.3, "clay"), (-0.35, 0.2, "blue"), (0.3, 0.26, "ochre"), (0.72, 0.36, "clay")):
            with room.at(x, -0.13, z0 - 0.035, 60 * x):
                office_furniture.cactus(room, height, pot)
    with room.at(1.0, 0, 0, NORTH):
        office_furniture.rack(room, rng, 0.95, 2.0, 5)
    with room.at(6.0, 0, 1.6, NORTH):
        fittings.picture(room, 1.05, 0.79, "metro", "white")
    with room.at(6.6, 0.4):
        furniture.plant(room, rng, 1.5)


def _west(room: SceneBuilder, rng: Generator) -> None:
    """The door, an extinguisher, a copier under the pin board, a water cooler, the clock."""
    with room.at(0, 2.85, 0, EAST):
        fittings.door(room, 0.9, 2.04)
    with room.at(0, 3.65, 0.75, EAST):
        fittings.extinguisher(room)
    with room.at(0, 1.4, 0, EAST):
        office_furniture.printer(room)
    with room.at(0, 1.45, 1.6, EAST):
        fittings.picture(room, 0.95, 0.66, "pinboard", "metal")
    with room.at(0, 0.72, 0, EAST):
        office_furniture.water_cooler(room)
    with room.at(0, 2.05, 2.2, EAST):
        fittings.picture(room, 0.3, 0.3, "clock", "metal")


def _north(room: SceneBuilder, rng: Generator) -> None:
    """Two desks with posters above them, low shelves under the whiteboard in between."""
    north = float(SIZE[1])
    for x, screen, turn in ((1.5, "sheet_screen", -20), (5.55, "code_screen", 28)):
        with room.at(x, north):
            furniture.desk(room, 1.5, screen)
        with room.at(x - 0.1, 3.3, 0, turn):
            furniture.office_chair(room, "green")
    with room.at(3.4, north):
        furniture.bookcase(room, rng, 1.65, 0.82, 2, "wood")
        with room.at(-0.4, -0.03, 0.82):
            furniture.books(room, rng, -0.35, 0.3, 0.34, 0.0, "binders", (0.05, 0.08))
        with room.at(0.3, -0.14, 0.82):
            office_furniture.cactus(room, 0.3, "clay")
        room.box((0.45, -0.22, 0.82), (0.75, -0.04, 0.9), "cardboard")
    with room.at(4.56, north):
        office_furniture.wheeled_drawers(room, "ochre")
    with room.at(2.42, 3.68):
        office_furniture.bin_with_paper(room, 0.36)
    for x, z, width, height, name, frame in (
        (3.4, 1.62, 1.7, 0.95, "flow_chart", "metal"),
        (1.2, 1.72, 0.54, 0.76, "slogan", "black"),
        (2.0, 1.68, 0.5, 0.64, "portrait", "dark_wood"),
        (5.35, 1.72, 1.05, 0.71, "planner", "white"),
        (6.4, 1.68, 0.58, 0.66, "blocks", "black"),
        (0.5, 1.7, 0.5, 0.36, "landscape", "dark_wood"),
    ):
        with room.at(x, north, z):
            fittings.picture(room, width, height, name, frame)


def _east(room: SceneBuilder, rng: Generator) -> None:
    """A round table with chairs before the large screen, cartons in the corner."""
    east = float(SIZE[0])
    with room.at(east, 1.75, 1.5, WEST):
        fittings.picture(room, 1.4, 0.8, "slide", "black", glow=0.9)
    with room.at(east, 3.05, 1.62, WEST):
        fittings.picture(room, 0.84, 0.6, "slogan_dark", "white")
    with room.at(6.2, 1.75):
        office_furniture.round_table(room, 0.55, 0.74)
        with room.at(-0.15, 0.12, 0.74, 70):
            office_furniture.laptop(room, "sheet_screen")
        room.prism((-0.2, -0.3, 0.74), 0.04, 0.04, 0.1, "red_cloth", sides=10)
        room.prism((0.22, 0.12, 0.74), 0.04, 0.04, 0.1, "blue", sides=10)
        with room.at(0.12, -0.2, 0.74, 24):
            room.box((-0.11, -0.15, 0), (0.11, 0.15, 0.02), "green", top="paper")
    for x, y, yaw in ((6.15, 0.95, 170), (6.3, 2.55, 8)):
        with room.at(x, y, 0, yaw):
            furniture.chair(room, "wood", "red_cloth" if y < 2 else "green")
    for z, yaw, size in ((0.0, 5, (0.48, 0.5, 0.42)), (0.42, -10, (0.4, 0.42, 0.3)), (0.72, 14, (0.34, 0.3, 0.24))):
        with room.at(6.68, 3.6, z, yaw):
            furniture.carton(room, size, (1.0, 0.98, 0.94))


# as in the living room: low both ways round, hand-held looking out, in, and all around; the office is long and narrow
WALKS = (
    Loop(centre=(3.4, 1.75), radii=(1.5, 0.66), height=0.75, bob=0.08, gaze=0.0, pitch=0.0),
    Loop(centre=(3.45, 1.75), radii=(1.42, 0.6), height=0.88, bob=0.1, gaze=180.0, pitch=-2.0),
    Loop(centre=(3.45, 1.75), radii=(1.55, 0.62), height=1.5, bob=0.1, gaze=-90.0, pitch=-7.0),
    Loop(centre=(3.45, 1.75), radii=(1.5, 0.66), height=1.42, bob=0.12, gaze=90.0, pitch=-12.0),
    Loop(centre=(3.4, 1.75), radii=(1.2, 0.5), height=1.25, bob=0.15, gaze=40.0, turns=1, pitch=-5.0),
)

OFFICE = RoomPlan(
    name="synthetic_office",
    size=SIZE,
    seed=11,
    materials=MATERIALS,
    pictures=PICTURES,
    furnish=(_shell, _south, _west, _north, _east),
    lights=_lights(),
    walks=WALKS,
    drive=replace(DRIVE, centre=(3.42, 1.75), radii=(1.4, 0.62)),
)
