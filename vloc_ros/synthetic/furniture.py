"""Furniture for rendered rooms. A piece stands centred in its own frame, its back at y = 0, facing -y (south)."""

import numpy as np
from numpy.random import Generator

from vloc_ros.synthetic.builder import SceneBuilder, Tint

SPINES = 64  # side by side in a picture of books or binders


def plant(room: SceneBuilder, rng: Generator, height: float) -> None:
    """A pot at the origin with a stem and bent leaves, which are seen from both sides."""
    room.prism((0, 0, 0), 0.13, 0.18, 0.34, "clay", sides=10)
    room.prism((0, 0, 0.34), 0.02, 0.015, height - 0.5, "dark_wood", sides=6)
    for k in range(28):
        angle, length, lift = k * 2.4, rng.uniform(0.16, 0.28), rng.uniform(0.02, 0.16)
        out = np.array([np.cos(angle), np.sin(angle), 0.0])
        across = np.array([-out[1], out[0], 0.0]) * rng.uniform(0.05, 0.085)
        stem = np.array([0.0, 0.0, 0.42 + (height - 0.58) * k / 27])
        middle, tip = stem + out * length * 0.55 + [0, 0, lift], stem + out * length + [0, 0, lift * 0.5]
        shade = float(rng.uniform(0.75, 1.15))
        for a, b, c in ((stem, middle - across, middle + across), (middle - across, tip, middle + across)):
            room.triangle(a, b, c, "leaf", tint=(shade, shade, shade))
            room.triangle(a, c, b, "leaf", tint=(shade, shade, shade))


def books(
    room: SceneBuilder,
    rng: Generator,
    left: float,
    right: float,
    space: float,
    back: float = -0.02,
    spines: str = "books",
    widths: tuple[float, float] = (0.02, 0.05),
) -> None:
    """A row of upright books from x = left to right under `space` metres of air, gaps between some of them."""
    x = left
    while x < right - 0.05:
        if rng.random() < 0.07:
            x += rng.uniform(0.03, 0.12)
            continue
        width, height, depth = rng.uniform(*widths), space * rng.uniform(0.62, 0.95), rng.uniform(0.14, 0.2)
        room.box((x, back - depth, 0), (x + width, back, height), "paper", south="", bottom="", north="")
        spine = (int(rng.integers(SPINES)) / SPINES, 0.0, 1 / SPINES, 1.0)
        room.face((x, back - depth, height), (width, 0, 0), (0, 0, -height), spines, window=spine)
        x += width + 0.001


def bookcase(room: SceneBuilder, rng: Generator, width: float, height: float, boards: int, wood: str) -> None:
    """Shelves full of books between two sides, against a back."""
    step = (height - 0.03) / boards
    for x in (-width / 2, width / 2 - 0.025):
        room.box((x, -0.28, 0), (x + 0.025, 0, height), wood)
    room.box((-width / 2, -0.02, 0), (width / 2, 0, height), wood, north="")
    for k in range(boards + 1):
        room.box((-width / 2 + 0.025, -0.28, k * step), (width / 2 - 0.025, -0.02, k * step + 0.025), wood, north="")
        if k < boards:
            with room.at(0, 0, k * step + 0.025):
                books(room, rng, 0.03 - width / 2, width / 2 - 0.03 - rng.uniform(0, 0.2), step - 0.04)


def wall_board(room: SceneBuilder, rng: Generator, width: float, wood: str) -> None:
    """One board on the wall with books and a pot."""
    room.box((-width / 2, -0.24, -0.025), (width / 2, 0, 0), wood)
    books(room, rng, -width / 2 + 0.02, width / 2 - 0.3, 0.28)
    room.prism((width / 2 - 0.14, -0.12, 0), 0.06, 0.085, 0.17, "blue", sides=10)


def table(room: SceneBuilder, size: tuple[float, float, float], wood: str, leg: float = 0.05) -> None:
    """A table with four legs, centred; size along x, y, z."""
    x, y, z = size[0] / 2, size[1] / 2, size[2]
    room.box((-x, -y, z - 0.035), (x, y, z), wood)
    for a in (-x + 0.03, x - 0.03 - leg):
        for b in (-y + 0.03, y - 0.03 - leg):
            room.box((a, b, 0), (a + leg, b + leg, z - 0.035), wood, top="", bottom="")
    room.box((-x + 0.06, -y + 0.06, z - 0.12), (x - 0.06, y - 0.06, z - 0.035), wood, top="")


def chair(room: SceneBuilder, wood: str, cloth: str) -> None:
    """A kitchen chair, centred, its back to the north."""
    for x in (-0.21, 0.175):
        room.box((x, -0.2, 0), (x + 0.035, -0.165, 0.43), wood, top="")
        room.box((x, 0.165, 0), (x + 0.035, 0.2, 0.9), wood)
        room.box((x + 0.008, -0.17, 0.2), (x + 0.027, 0.17, 0.23), wood)
    room.box((-0.22, -0.21, 0.43), (0.22, 0.21, 0.475), cloth)
    for z in (0.58, 0.7, 0.81):
        room.box((-0.175, 0.17, z), (0.175, 0.195, z + 0.07), wood)


def office_chair(room: SceneBuilder, cloth: str = "ochre") -> None:
    """A swivel chair, centred, its back to the south."""
    for k in range(5):
        with room.at(0, 0, yaw=72 * k):
            room.box((0, -0.02, 0.04), (0.28, 0.02, 0.08), "metal")
            room.box((0.25, -0.025, 0), (0.3, 0.025, 0.05), "black")
    room.prism((0, 0, 0.06), 0.03, 0.03, 0.36, "metal", sides=8)
    room.box((-0.23, -0.22, 0.42), (0.23, 0.23, 0.5), cloth)
    room.box((-0.03, -0.25, 0.45), (0.03, -0.22, 0.66), "metal")
    room.box((-0.21, -0.29, 0.6), (0.21, -0.23, 1.02), cloth)


def sofa(room: SceneBuilder, rng: Generator, width: float) -> None:
    """A sofa with seat cushions and three throw pillows."""
    room.box((-width / 2, -0.82, 0.1), (width / 2, -0.02, 0.3), "sofa")
    room.box((-width / 2, -0.24, 0.3), (width / 2, -0.02, 0.82), "sofa")
    for x in (-width / 2, width / 2 - 0.18):
        room.box((x, -0.82, 0.3), (x + 0.18, -0.24, 0.58), "sofa")
        for y in (-0.8, -0.1):
            room.box((x + 0.05, y, 0), (x + 0.1, y + 0.05, 0.1), "dark_wood", top="")
    seat = (width - 0.38) / 3
    for k in range(3):
        x = -width / 2 + 0.19 + k * seat
        room.box((x, -0.84, 0.3), (x + seat - 0.01, -0.24, 0.44), "sofa", tint=(1.07, 1.07, 1.07))
        room.box((x, -0.36, 0.44), (x + seat - 0.01, -0.24, 0.86), "sofa", tint=(1.04, 1.04, 1.04))
        with room.at(x + seat / 2, -0.42, 0.45, yaw=float(rng.uniform(-30, 30))):
            room.box((-0.2, -0.06, 0), (0.2, 0.05, 0.36), ("ochre", "red_cloth", "paper")[k])


def cabinet(room: SceneBuilder, size: tuple[float, float, float], wood: str, doors: int) -> None:
    """A closed cabinet on short feet with `doors` doors side by side."""
    width, depth, height = size
    room.box((-width / 2 + 0.04, -depth + 0.04, 0), (width / 2 - 0.04, -0.02, 0.08), "black", top="")
    room.box((-width / 2, -depth, 0.08), (width / 2, 0, height), wood)
    each = width / doors
    for k in range(doors):
        x = -width / 2 + k * each
        room.box(
            (x + 0.012, -depth - 0.018, 0.1), (x + each - 0.012, -depth, height - 0.03), wood, tint=(1.1, 1.1, 1.1)
        )
        handle = x + (each - 0.07 if k % 2 == 0 else 0.05)
        room.box((handle, -depth - 0.045, height * 0.5), (handle + 0.02, -depth - 0.018, height * 0.5 + 0.14), "metal")


def desk(room: SceneBuilder, width: float, screen: str = "code_screen") -> None:
    """A desk with drawers, and on it monitor, keyboard, mug, lamp and papers."""
    with room.at(0, -0.35):
        table(room, (width, 0.7, 0.74), "wood")
    for k in range(3):
        room.box((width / 2 - 0.45, -0.62, 0.1 + k * 0.18), (width / 2 - 0.1, -0.1, 0.27 + k * 0.18), "white")
        room.box((width / 2 - 0.33, -0.645, 0.19 + k * 0.18), (width / 2 - 0.22, -0.62, 0.205 + k * 0.18), "metal")
    with room.at(-0.1, -0.2, 0.74):
        room.box((-0.13, -0.1, 0), (0.13, 0.1, 0.015), "black")
        room.box((-0.03, 0, 0), (0.03, 0.03, 0.2), "black")
        room.box((-0.34, -0.03, 0.12), (0.34, 0.0, 0.52), "black")
        room.panel((0, -0.032, 0.32), "south", 0.64, 0.36, screen, glow=0.9)
    with room.at(-0.1, -0.52, 0.74, yaw=3):
        room.box((-0.22, -0.07, 0), (0.22, 0.07, 0.025), "black", top="keyboard")
    with room.at(-width / 2 + 0.25, -0.4, 0.74, yaw=12):
        room.box((-0.12, -0.16, 0), (0.12, 0.16, 0.05), "blue", top="paper")
        room.prism((0.02, 0.02, 0.05), 0.04, 0.04, 0.1, "red_cloth", sides=10)
    with room.at(width / 2 - 0.22, -0.2, 0.74):
        room.prism((0, 0, 0), 0.08, 0.07, 0.02, "black", sides=10)
        room.prism((0, 0, 0.02), 0.012, 0.012, 0.36, "metal", sides=6)
        room.prism((0, -0.05, 0.34), 0.1, 0.05, 0.12, "ochre", sides=10)


def carton(room: SceneBuilder, size: tuple[float, float, float], tint: Tint) -> None:
    """A cardboard box, centred."""
    x, y, z = size
    room.box((-x / 2, -y / 2, 0), (x / 2, y / 2, z), "cardboard", tint=tint)


def floor_lamp(room: SceneBuilder, height: float) -> None:
    """A standing lamp with a glowing conical shade."""
    room.prism((0, 0, 0), 0.15, 0.14, 0.03, "black", sides=14)
    room.prism((0, 0, 0.03), 0.014, 0.014, height - 0.3, "metal", sides=6)
    room.prism((0, 0, height - 0.32), 0.21, 0.13, 0.32, "glow", sides=14, glow=0.95)
