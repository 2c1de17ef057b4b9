"""What stands in an office besides desks and chairs. Frames as in the other furniture: back at y = 0, facing -y."""

from numpy.random import Generator

from vloc_ros.synthetic.builder import SceneBuilder
from vloc_ros.synthetic.furniture import books, cabinet, carton


def rack(room: SceneBuilder, rng: Generator, width: float, height: float, boards: int) -> None:
    """Open metal shelves: binders, and a carton on every third board."""
    depth, step = 0.36, (height - 0.06) / boards
    for x in (-width / 2, width / 2 - 0.03):
        for y in (-depth, -0.03):
            room.box((x, y, 0), (x + 0.03, y + 0.03, height), "metal")
    for k in range(boards + 1):
        z = 0.03 + k * step
        room.box((-width / 2, -depth, z), (width / 2, 0, z + 0.025), "metal")
        with room.at(0, 0, z + 0.025):
            if k % 3 == 2 or k == boards:
                with room.at(float(rng.uniform(-0.15, 0.15)), -depth / 2, 0, float(rng.uniform(-8, 8))):
                    carton(room, (width * 0.55, depth * 0.8, step * 0.6), (1.0, 1.0, 0.97))
            else:
                right = width / 2 - 0.04 - float(rng.uniform(0, 0.25))
                books(room, rng, 0.04 - width / 2, right, step - 0.05, -0.06, "binders", (0.045, 0.08))


def printer(room: SceneBuilder) -> None:
    """A copier on a cabinet, with its lid, control panel and paper trays."""
    cabinet(room, (0.62, 0.55, 0.5), "wood", 2)
    room.box((-0.29, -0.53, 0.5), (0.29, -0.03, 0.92), "white")
    room.box((-0.29, -0.53, 0.93), (0.29, -0.03, 1.0), "grey")
    room.box((-0.25, -0.545, 0.76), (0.25, -0.53, 0.88), "black", north="")
    room.box((-0.2, -0.62, 0.77), (0.2, -0.53, 0.785), "paper")
    for z in (0.53, 0.64):
        room.box((-0.27, -0.545, z), (0.27, -0.53, z + 0.095), "grey", north="")
        room.box((-0.08, -0.555, z + 0.05), (0.08, -0.545, z + 0.07), "black", north="")
    with room.at(0.12, -0.57, 0.95):
        room.box((-0.13, -0.04, 0), (0.13, 0.04, 0.03), "black", top="keyboard")


def water_cooler(room: SceneBuilder) -> None:
    """A dispenser with a big blue bottle upside down on it."""
    room.box((-0.16, -0.36, 0), (0.16, -0.04, 0.98), "white")
    room.box((-0.12, -0.365, 0.62), (0.12, -0.36, 0.86), "black", north="")
    for x, texture in ((-0.06, "signal_red"), (0.06, "blue")):
        room.box((x - 0.015, -0.39, 0.78), (x + 0.015, -0.365, 0.82), texture)
    room.prism((0, -0.2, 0.98), 0.05, 0.13, 0.1, "water", sides=14)
    room.prism((0, -0.2, 1.08), 0.13, 0.13, 0.3, "water", sides=14)
    room.prism((0, -0.2, 1.17), 0.135, 0.135, 0.02, "blue", sides=14)


def round_table(room: SceneBuilder, radius: float, height: float) -> None:
    """A meeting table on one leg, centred."""
    room.prism((0, 0, 0), 0.3, 0.26, 0.03, "black", sides=18)
    room.prism((0, 0, 0.03), 0.04, 0.04, height - 0.06, "metal", sides=8)
    room.prism((0, 0, height - 0.035), radius, radius, 0.035, "wood", sides=28)


def laptop(room: SceneBuilder, screen: str) -> None:
    """An open laptop, centred, its screen to the south."""
    room.box((-0.16, -0.11, 0), (0.16, 0.11, 0.016), "metal", top="keyboard")
    room.box((-0.16, 0.105, 0.016), (0.16, 0.115, 0.22), "metal")
    room.panel((0, 0.104, 0.12), "south", 0.3, 0.18, screen, glow=0.85)


def wheeled_drawers(room: SceneBuilder, texture: str) -> None:
    """A low chest of three drawers on wheels."""
    for x in (-0.17, 0.13):
        for y in (-0.5, -0.08):
            room.box((x, y, 0), (x + 0.04, y + 0.04, 0.06), "black", top="")
    room.box((-0.2, -0.54, 0.06), (0.2, -0.02, 0.58), texture)
    for z in (0.08, 0.25, 0.42):
        room.box((-0.19, -0.555, z), (0.19, -0.54, z + 0.15), texture, tint=(1.1, 1.1, 1.1), north="")
        room.box((-0.06, -0.57, z + 0.1), (0.06, -0.555, z + 0.115), "metal")


def cactus(room: SceneBuilder, height: float, pot: str) -> None:
    """A cactus with one arm, in a pot."""
    room.prism((0, 0, 0), 0.045, 0.06, 0.09, pot, sides=10)
    room.prism((0, 0, 0.09), 0.028, 0.034, height - 0.13, "leaf", sides=8)
    room.prism((0, 0, height - 0.04), 0.034, 0.012, 0.04, "leaf", sides=8)
    room.prism((0.055, 0, height * 0.55), 0.018, 0.018, height * 0.3, "leaf", sides=6)
    room.box((0.02, -0.012, height * 0.55), (0.06, 0.012, height * 0.55 + 0.025), "leaf")


def bin_with_paper(room: SceneBuilder, height: float) -> None:
    """A waste-paper bin, full."""
    room.prism((0, 0, 0), 0.11, 0.15, height, "grey", sides=12)
    for k, (x, y) in enumerate(((-0.04, 0.03), (0.05, -0.04), (0.02, 0.06))):
        with room.at(x, y, height - 0.01, 40.0 * k):
            room.box((-0.04, -0.035, 0), (0.045, 0.03, 0.05 + 0.015 * k), "paper")
