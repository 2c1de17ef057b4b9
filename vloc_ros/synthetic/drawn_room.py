"""Plans of rooms and corridors that are drawn from a seed: no two seeds give the same room, and two rooms of one seed
that differ in their posters alone look alike on purpose."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

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
from vloc_ros.synthetic.plan import EAST, NORTH, SOUTH, WEST, Painter, RoomPlan
from vloc_ros.synthetic.textures import Colour, Image

Float = NDArray[np.float64]
Place = Callable[[SceneBuilder, Generator], None]

SQUARE = (260, 260)
TEXELS_PER_M = 150  # of walls, floor and ceiling
DOOR_M, GAP_M = 1.05, (0.05, 0.5)  # width of a door with its frame; between pieces of furniture
LAMP_M = 2.2  # between lamps
POSTER_M = 1.5  # of a wall for each poster
OTHERS = 5  # kinds farther on are the posters of the next room that looks alike

# What posters show, and how large they are, metres.
POSTERS: tuple[tuple[Painter, float, float], ...] = (
    (partial(pictures.landscape, shape=(200, 320)), 0.96, 0.6),
    (partial(pictures.blocks, shape=(240, 210)), 0.63, 0.72),
    (partial(pictures.circles, shape=(240, 240)), 0.7, 0.7),
    (partial(pictures.concert, shape=(280, 196)), 0.58, 0.84),
    (partial(pictures.world, shape=(200, 340)), 1.1, 0.65),
    (partial(pictures.portrait, shape=(240, 188)), 0.58, 0.75),
    (partial(pictures.night, shape=(200, 280)), 0.84, 0.6),
    (partial(office_pictures.metro_map, shape=(240, 320)), 0.96, 0.72),
    (partial(office_pictures.year_planner, shape=(220, 320)), 1.0, 0.69),
    (partial(office_pictures.flow_chart, shape=(200, 350)), 1.1, 0.63),
    (partial(screens.whiteboard, shape=(220, 330)), 1.1, 0.73),
    (partial(screens.pinboard, shape=(220, 310)), 1.0, 0.7),
)


@dataclass(frozen=True)
class Piece:
    """Something that stands at a wall: its width along it, metres, and what builds it."""

    width: float
    build: Place


# Pieces that fit into a room, and those that are flat enough for a corridor.
ROOM_PIECES = (
    Piece(1.0, lambda room, rng: furniture.bookcase(room, rng, 1.0, 1.9, 5, "wood")),
    Piece(0.8, lambda room, rng: furniture.bookcase(room, rng, 0.8, 0.85, 2, "dark_wood")),
    Piece(1.5, lambda room, rng: furniture.desk(room, 1.5)),
    Piece(1.3, lambda room, rng: furniture.cabinet(room, (1.3, 0.45, 0.8), "dark_wood", 3)),
    Piece(2.0, lambda room, rng: furniture.sofa(room, rng, 2.0)),
    Piece(0.95, lambda room, rng: office_furniture.rack(room, rng, 0.95, 2.0, 5)),
    Piece(0.75, lambda room, rng: office_furniture.printer(room)),
    Piece(0.45, lambda room, rng: office_furniture.water_cooler(room)),
    Piece(0.5, lambda room, rng: office_furniture.wheeled_drawers(room, "ochre")),
)
FLAT_PIECES = (
    Piece(0.8, lambda room, rng: furniture.bookcase(room, rng, 0.8, 0.85, 2, "wood")),
    Piece(1.0, lambda room, rng: furniture.cabinet(room, (1.0, 0.3, 0.9), "dark_wood", 2)),
    Piece(0.45, lambda room, rng: office_furniture.water_cooler(room)),
    Piece(0.3, lambda room, rng: fittings.extinguisher(room)),
)


def drawn_room(name: str, seed: int, posters: int = 0, is_corridor: bool = False) -> RoomPlan:
    """The plan of a seed. Rooms of the same seed and of other `posters` have the same walls, furniture and light: only
    what hangs on their walls is another."""
    rng = np.random.default_rng([seed, int(is_corridor)])
    size = _size(rng, is_corridor)
    kinds = [(k + OTHERS * posters) % len(POSTERS) for k in _poster_kinds(rng, size)]
    shown = [(f"poster{k}", *POSTERS[k]) for k in kinds]
    pieces = FLAT_PIECES if is_corridor else ROOM_PIECES
    return RoomPlan(
        name=name,
        size=size,
        seed=seed,
        materials=_materials(rng),
        pictures={
            **_surfaces(rng, size),
            **{poster: _own_sequence(paint, (seed, posters)) for poster, paint, *_ in shown},
        },
        furnish=(
            partial(_shell, size=size),
            partial(_walls, size=size, pieces=pieces, doors=2 if is_corridor else 1),
            partial(_hang, size=size, posters=[(poster, width, height) for poster, _, width, height in shown]),
        ),
        lights=_lights(rng, size),
        walks=_walks(size, is_corridor),
        drive=DRIVE,
    )


def _size(rng: Generator, is_corridor: bool) -> Float:
    low, high = ((6.0, 2.2, 2.5), (8.5, 2.6, 2.8)) if is_corridor else ((4.4, 4.0, 2.5), (6.8, 5.4, 2.9))
    return np.asarray(rng.uniform(low, high).round(2))


def _own_sequence(paint: Painter, seed: Sequence[int]) -> Painter:
    """A painter that draws from a sequence of its own: what is painted behind it stays as it is, whatever it shows."""

    def painted(_: Generator) -> Image:
        return paint(np.random.default_rng(seed))

    return painted


def _colour(rng: Generator, low: int = 60, high: int = 220) -> Colour:
    red, green, blue = rng.integers(low, high, 3).tolist()
    return red, green, blue


def _materials(rng: Generator) -> Mapping[str, Painter]:
    paint, fabric = partial(textures.paint, shape=SQUARE), partial(textures.fabric, shape=SQUARE)
    wood = partial(textures.wood, shape=SQUARE)
    return {
        "wood": partial(wood, colour=_colour(rng, 110, 210)),
        "dark_wood": partial(wood, colour=_colour(rng, 50, 130)),
        "white": partial(paint, colour=(224, 223, 219), mottling=0.03),
        "grey": partial(paint, colour=(112, 118, 126), mottling=0.05),
        "black": partial(paint, colour=(46, 48, 52), mottling=0.08),
        "metal": partial(paint, colour=(154, 157, 160), mottling=0.05),
        "water": partial(paint, colour=(140, 188, 220), mottling=0.1),
        "signal_red": partial(paint, colour=(192, 38, 34), mottling=0.06),
        "blue": partial(paint, colour=_colour(rng), mottling=0.07),
        "sofa": partial(fabric, colour=_colour(rng)),
        "ochre": partial(fabric, colour=_colour(rng)),
        "red_cloth": partial(fabric, colour=_colour(rng)),
        "cardboard": partial(textures.cardboard, shape=SQUARE),
        "paper": partial(paint, colour=(234, 230, 217), mottling=0.03),
    }


def _surfaces(rng: Generator, size: Float) -> dict[str, Painter]:
    """Of the shell, of doors, books and screens."""
    x, y, z = (size * TEXELS_PER_M).astype(int).tolist()
    floors = textures.planks, office_textures.carpet_tiles
    walls: dict[str, Painter] = {}
    for name, length in (("wall_south", x), ("wall_north", x), ("wall_east", y), ("wall_west", y)):
        kinds: tuple[Callable[..., Image], ...] = (
            partial(textures.wallpaper, colour=_colour(rng, 130, 230), motifs=int(rng.integers(40, 160))),
            partial(textures.brick, colour=_colour(rng, 90, 200), odd=_colour(rng), mortar=_colour(rng, 140, 200)),
            partial(office_textures.concrete, colour=_colour(rng, 130, 190)),
            partial(office_textures.slats, colour=_colour(rng, 90, 200)),
        )
        walls[name] = _of_shape(kinds[int(rng.integers(len(kinds)))], (z, length))
    return {
        **walls,
        "floor": partial(floors[int(rng.integers(len(floors)))], shape=(y, x)),
        "ceiling": partial(office_textures.ceiling_tiles, shape=(y, x)),
        "books": partial(textures.book_spines, count=furniture.SPINES),
        "binders": partial(office_textures.binder_spines, count=furniture.SPINES),
        "code_screen": partial(screens.code_screen, shape=(200, 340)),
        "keyboard": partial(screens.keyboard, shape=(60, 190)),
        "door": partial(textures.door, shape=(340, 150), colour=_colour(rng)),
        "glow": partial(textures.plain, shape=(8, 8), colour=(250, 250, 240)),
    }


def _of_shape(painter: Callable[..., Image], shape: tuple[int, int]) -> Painter:
    return partial(painter, shape=shape)


def _poster_kinds(rng: Generator, size: Float) -> list[int]:
    """Which posters hang on the walls, one after the other all around."""
    count = int((size[0] + size[1]) * 2 / POSTER_M)
    kinds: list[int] = rng.permutation(len(POSTERS))[:count].tolist()
    return kinds


def _lights(rng: Generator, size: Float) -> Lights:
    """Lamps under the ceiling in rows; no sun."""
    x, y, z = size
    rows = [(i + 0.5) / n * length for length in (x, y) for n in [max(1, round(length / LAMP_M))] for i in range(n)]
    along = rows[: max(1, round(x / LAMP_M))]
    across = rows[len(along) :]
    lamps = np.array([[a, b, z - 0.25] for a in along for b in across])
    warm = float(rng.uniform(0.85, 1.1))
    return Lights(
        positions=lamps,
        powers=np.tile([0.55 * warm, 0.55, 0.57 / warm], (len(lamps), 1)),
        axes=np.tile([0.0, 0.0, -1.0], (len(lamps), 1)),
        ambient=np.array([0.55, 0.55, 0.56]),
        sun=np.array([0.6, 0.0, -0.8]),
        opening=np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        sun_power=np.zeros(3),
    )


def _shell(room: SceneBuilder, rng: Generator, size: Float) -> None:
    fittings.shell(room, (float(size[0]), float(size[1]), float(size[2])))


def _sides(size: Float) -> tuple[tuple[float, Callable[[float], tuple[float, float]], float], ...]:
    """Of each wall its length, where something at a distance along it stands, and which way that faces."""
    x, y = float(size[0]), float(size[1])
    return (
        (x, lambda along: (along, y), SOUTH),
        (y, lambda along: (x, y - along), WEST),
        (x, lambda along: (x - along, 0.0), NORTH),
        (y, lambda along: (0.0, along), EAST),
    )


def _walls(room: SceneBuilder, rng: Generator, size: Float, pieces: Sequence[Piece], doors: int) -> None:
    """Doors, and furniture from corner to corner of every wall that is long enough for any."""
    depth = 0.95 if pieces is ROOM_PIECES else 0.35  # what stands around a corner takes of a wall
    long_walls = sorted(range(4), key=lambda side: -_sides(size)[side][0])
    with_door = long_walls[:doors] if pieces is FLAT_PIECES else [int(rng.integers(4))]
    for side, (length, at, yaw) in enumerate(_sides(size)):
        along, left = depth, length - depth
        has_door = side in with_door
        while left - along > 0.5:
            fitting = [piece for piece in pieces if piece.width <= left - along]
            chosen = fitting[int(rng.integers(len(fitting)))] if fitting else None
            is_door = has_door and left - along >= DOOR_M
            width = DOOR_M if is_door else chosen.width if chosen else left - along
            with room.at(*at(along + width / 2), yaw=yaw):
                if is_door:
                    fittings.door(room, 0.9, 2.04)
                    has_door = pieces is FLAT_PIECES and bool(rng.random() < 0.5)  # a corridor has several
                elif chosen:
                    chosen.build(room, rng)
            along += width + float(rng.uniform(*GAP_M))


def _hang(room: SceneBuilder, rng: Generator, size: Float, posters: Sequence[tuple[str, float, float]]) -> None:
    """Posters all around, above the furniture."""
    around = 2 * float(size[0] + size[1])
    for k, (name, width, height) in enumerate(posters):
        at_m = (k + float(rng.uniform(0.35, 0.65))) * around / len(posters)
        for length, at, yaw in _sides(size):
            if at_m < length:
                along = min(max(at_m, width / 2 + 0.1), length - width / 2 - 0.1)
                x, y = at(along)
                with room.at(x, y, float(size[2]) - 0.25 - height / 2, yaw):
                    fittings.picture(room, width, height, name, "black")
                break
            at_m -= length


def _walks(size: Float, is_corridor: bool) -> tuple[Loop, ...]:
    """Around the middle, looking ahead, back, in, out and all around; to and fro in a corridor, along it for the most
    part."""
    x, y = float(size[0]), float(size[1])
    radii = (x / 2 - 1.2, 0.3) if is_corridor else (x / 2 - 1.4, y / 2 - 1.4)
    aside = 45.0 if is_corridor else 90.0
    looks = ((0.0, 0.8, -1.0, 0), (180.0, 1.0, -2.0, 0), (-aside, 1.5, -5.0, 0), (aside, 1.4, -6.0, 0))
    return tuple(
        Loop(centre=(x / 2, y / 2), radii=radii, height=height, bob=0.08, gaze=gaze, pitch=pitch, turns=turns)
        for gaze, height, pitch, turns in (*looks, (40.0, 1.2, -4.0, 1))
    )
