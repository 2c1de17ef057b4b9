"""Procedural materials: paint, wallpaper, brick, planks, wood, cloth as RGB uint8 images, TEXEL metres a texel."""

from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Field = NDArray[np.float32]
Colour = tuple[int, int, int]
Shape = tuple[int, int]  # rows, columns

TEXEL = 0.004  # metres


def _enlarged(field: Field, shape: Shape) -> Field:
    return np.asarray(cv2.resize(field, shape[::-1], interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def noise(rng: Generator, shape: Shape, period: float | tuple[float, float], octaves: int = 4) -> Field:
    """Fractal noise (H, W), standard deviation about 1; `period` in texels (down, right) of the coarsest octave."""
    down, right = period if isinstance(period, tuple) else (period, period)
    total: Field = np.zeros((1, 1), dtype=np.float32)
    for octave in range(octaves):
        cells = (int(shape[0] / max(1.0, down / 2**octave)) + 2, int(shape[1] / max(1.0, right / 2**octave)) + 2)
        total = _enlarged(total, cells)
        total += np.float32(0.6**octave) * rng.standard_normal(cells, dtype=np.float32)
    return _enlarged(total, shape)


def finish(base: NDArray[np.floating[Any]]) -> Image:
    """Values around 0..255 to uint8."""
    image: Image = np.clip(base, 0, 255).astype(np.uint8)
    return image


def rgb(red: float, green: float, blue: float) -> Field:
    """A colour to calculate with, (3,)."""
    return np.array([red, green, blue], dtype=np.float32)


def tinted(colour: Colour, field: Field, amount: float) -> Field:
    """The colour (H, W, 3), lighter or darker by the field."""
    image: Field = rgb(*colour) * (1 + np.float32(amount) * field[..., None])
    return image


def gradient(shape: Shape, top: tuple[int, int, int], bottom: tuple[int, int, int]) -> Image:
    """From the top colour to the bottom one."""
    share = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None, None]
    return finish(np.tile((1 - share) * rgb(*top) + share * rgb(*bottom), (1, shape[1], 1)))


def paint(rng: Generator, shape: Shape, colour: Colour, mottling: float = 0.035) -> Image:
    """Painted plaster: faint blotches and grain."""
    field = noise(rng, shape, 120, 5) + 0.5 * noise(rng, shape, 3, 1)
    return finish(tinted(colour, field, mottling))


def plain(_: Generator, shape: Shape, colour: Colour) -> Image:
    """Nothing but the colour."""
    return np.full((*shape, 3), colour, dtype=np.uint8)


def shades(rng: Generator, colour: Colour, spread: int = 25) -> Colour:
    """A colour near the given one."""
    r, g, b = (int(np.clip(c + rng.integers(-spread, spread + 1), 0, 255)) for c in colour)
    return r, g, b


def wallpaper(rng: Generator, shape: Shape, colour: Colour, motifs: int) -> Image:
    """Paint with printed sprigs, no two alike: bent stems with leaves, some with a blossom."""
    image = paint(rng, shape, colour)
    for _ in range(motifs):
        x, y = rng.integers(0, shape[1]), rng.integers(0, shape[0])
        length, heading, bend = rng.uniform(40, 110), rng.uniform(-np.pi, 0), rng.uniform(-0.3, 0.3)
        green = shades(rng, (96, 122, 84))
        stem = [np.array([x, y], dtype=np.float64)]
        for _ in range(6):
            heading += bend
            stem.append(stem[-1] + length / 6 * np.array([np.cos(heading), np.sin(heading)]))
            side = float(rng.choice([-1, 1]))
            angle = float(np.degrees(heading) + side * rng.uniform(30, 60))
            reach = rng.uniform(7, 16)
            tip = stem[-1] + reach * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
            cv2.ellipse(
                image, _pixel(tip), (int(reach), int(reach * 0.35)), angle, 0, 360, shades(rng, green), -1, cv2.LINE_AA
            )
        cv2.polylines(image, [np.array(stem).round().astype(np.int32)], False, green, 2, cv2.LINE_AA)
        if rng.random() < 0.5:
            petals, radius = int(rng.integers(5, 9)), rng.uniform(6, 13)
            blossom = shades(rng, ((196, 92, 84), (208, 160, 70), (120, 96, 160))[int(rng.integers(3))])
            for k in range(petals):
                petal = stem[-1] + radius * np.array([np.cos(2 * np.pi * k / petals), np.sin(2 * np.pi * k / petals)])
                cv2.circle(image, _pixel(petal), int(radius * 0.55), blossom, -1, cv2.LINE_AA)
            cv2.circle(image, _pixel(stem[-1]), int(radius * 0.5), (240, 224, 150), -1, cv2.LINE_AA)
    return image


def _pixel(point: NDArray[np.float64]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def brick(
    rng: Generator,
    shape: Shape,
    colour: Colour = (168, 96, 74),
    odd: Colour = (120, 86, 76),
    mortar: Colour = (186, 176, 162),
) -> Image:
    """Exposed brickwork, 24 x 8 cm, each brick of its own tone, one in seven of an odd colour."""
    image = paint(rng, shape, mortar, 0.06)
    rows, columns = 20, 60
    for row in range(shape[0] // rows + 1):
        left = -int(rng.integers(0, columns)) if row % 2 else -columns // 2 - int(rng.integers(0, columns // 2))
        while left < shape[1]:
            width = int(rng.integers(columns - 8, columns + 5))
            red = rng.uniform(0.75, 1.2) * np.array(colour if rng.random() < 0.85 else odd)
            tone = shades(rng, (int(red[0]), int(red[1]), int(red[2])), 9)
            corners = (left + 2, row * rows + 2), (left + width - 2, (row + 1) * rows - 2)
            cv2.rectangle(image, *corners, tone, -1)
            cv2.rectangle(image, *corners, shades(rng, tone, 15), 1)
            left += width
    field = noise(rng, shape, 90, 6) + 0.8 * noise(rng, shape, 4, 2)
    return finish(image * (1 + 0.07 * field[..., None]))


def wood(rng: Generator, shape: Shape, colour: Colour) -> Image:
    """Wood with its grain along the columns: stretched noise through rings."""
    field = noise(rng, shape, (50, 500), 4)
    rings = np.sin(7 * field + 0.6 * noise(rng, shape, (3, 160), 2))
    return finish(tinted(colour, 0.6 * rings + 0.5 * noise(rng, shape, (2, 60), 2) + 0.5 * field, 0.09))


def planks(rng: Generator, shape: Shape) -> Image:
    """Floor boards 14 cm wide of random lengths, each with its own tone and piece of grain, dark joints."""
    grain = wood(rng, shape, (170, 128, 88))
    image = np.empty_like(grain)
    for top in range(0, shape[0], 35):
        left = -int(rng.integers(0, 140))
        while left < shape[1]:
            length = int(rng.integers(150, 380))
            a, b, height = max(left, 0), min(left + length, shape[1]), min(35, shape[0] - top)
            y, x = int(rng.integers(0, shape[0] - 35)), int(rng.integers(0, shape[1] - (b - a) + 1))
            tone = rng.uniform(0.72, 1.15) * (1 + rng.uniform(-0.05, 0.05, 3))
            board = finish(grain[y : y + height, x : x + b - a] * tone)
            board[:1], board[:, :1] = board[:1] // 3, board[:, :1] // 3
            image[top : top + height, a:b] = board
            left += length
    return image


def fabric(rng: Generator, shape: Shape, colour: Colour) -> Image:
    """Woven cloth: threads, mottled by wear."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    weave = (np.sin(x * 1.6) * np.sin(y * 1.6)).astype(np.float32)
    return finish(tinted(colour, noise(rng, shape, 60, 5) + 0.8 * weave, 0.06))


def curtain(rng: Generator, shape: Shape, colour: Colour) -> Image:
    """Cloth in vertical folds with a sparse print."""
    folds = cv2.resize(noise(rng, (1, shape[1]), (1, 26), 2), shape[::-1])
    image = fabric(rng, shape, colour)
    for _ in range(shape[0] * shape[1] // 2500):
        centre = int(rng.integers(0, shape[1])), int(rng.integers(0, shape[0]))
        cv2.circle(image, centre, int(rng.integers(3, 9)), shades(rng, (214, 190, 150), 35), -1, cv2.LINE_AA)
    return finish(image * (1 + 0.16 * folds[..., None]))


def rug(rng: Generator, shape: Shape) -> Image:
    """A woven rug: borders, and a field of diamonds in changing colours."""
    palette = [(150, 44, 40), (34, 52, 92), (206, 168, 96), (226, 214, 190), (70, 96, 82), (182, 98, 52)]
    image = np.full((*shape, 3), palette[0], dtype=np.uint8)
    for inset, colour in ((14, palette[3]), (20, palette[1]), (44, palette[2]), (50, palette[0])):
        image[inset:-inset, inset:-inset] = colour
    for k, x in enumerate(range(30, shape[1] - 24, 24)):
        for y in (31, shape[0] - 32):
            cv2.circle(image, (x, y), 7, palette[2 + (k + int(rng.integers(2))) % 4], -1, cv2.LINE_AA)
    cell = 56
    for y in range(60 + cell // 2, shape[0] - 60, cell):
        for x in range(60 + cell // 2, shape[1] - 60, cell):
            order = rng.permutation(len(palette))
            for k, radius in enumerate((27, 19, 11, 5)[: int(rng.integers(2, 5))]):
                diamond = np.array([(x + radius, y), (x, y + radius), (x - radius, y), (x, y - radius)], dtype=np.int32)
                cv2.fillConvexPoly(image, diamond, palette[int(order[k])], cv2.LINE_AA)
    return finish(image * (1 + 0.05 * (noise(rng, shape, 80, 4) + noise(rng, shape, 2, 1))[..., None]))


def cardboard(rng: Generator, shape: Shape) -> Image:
    """Sides of cardboard boxes: tape, a label, printed marks at random."""
    image = paint(rng, shape, (182, 142, 100), 0.05)
    for _ in range(shape[0] * shape[1] // 12000):
        x, y = int(rng.integers(0, shape[1])), int(rng.integers(0, shape[0]))
        if rng.random() < 0.4:
            cv2.rectangle(image, (x, y), (x + 50, y + 32), (236, 232, 222), -1)
            for line in range(6, 30, 6):
                cv2.line(image, (x + 5, y + line), (x + int(rng.integers(15, 46)), y + line), (60, 60, 60), 2)
        else:
            word = ("FRAGILE", "BOOKS", "KITCHEN", "No " + str(rng.integers(1, 99)))[int(rng.integers(4))]
            cv2.putText(
                image, word, (x, y), cv2.FONT_HERSHEY_DUPLEX, rng.uniform(0.5, 1.1), (70, 48, 36), 2, cv2.LINE_AA
            )
    for x in range(int(rng.integers(0, 200)), shape[1], 190):
        image[:, x : x + 14] = finish(image[:, x : x + 14] * 0.35 + rgb(150, 130, 100))
    return image


def book_spines(rng: Generator, count: int, shape: Shape = (120, 28)) -> Image:
    """`count` spines beside each other, each of `shape`: cloth of any colour, bands, a title."""
    spines = []
    for _ in range(count):
        hue = np.array([[[rng.integers(0, 180), rng.integers(60, 220), rng.integers(60, 225)]]], dtype=np.uint8)
        colour = cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0]
        spine = fabric(rng, (shape[1], shape[0]), (int(colour[0]), int(colour[1]), int(colour[2])))
        light = (236, 222, 180) if int(colour.sum()) < 400 else (40, 32, 30)
        for x in rng.integers(4, shape[0] - 6, int(rng.integers(1, 4))):
            cv2.rectangle(spine, (int(x), 0), (int(x) + int(rng.integers(1, 5)), shape[1]), shades(rng, light), -1)
        title = "".join(chr(int(c)) for c in rng.integers(65, 91, int(rng.integers(4, 9))))
        cv2.putText(spine, title, (12, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.5, light, 1, cv2.LINE_AA)
        spines.append(np.rot90(spine, 3))
    return np.ascontiguousarray(np.hstack(spines))


def door(rng: Generator, shape: Shape, colour: Colour) -> Image:
    """A painted door leaf with four bevelled panels."""
    image = paint(rng, shape, colour)
    height, width = shape
    for top, bottom in ((0.05, 0.42), (0.48, 0.95)):
        for left, right in ((0.1, 0.46), (0.54, 0.9)):
            a, b = (int(left * width), int(top * height)), (int(right * width), int(bottom * height))
            cv2.rectangle(image, a, b, tuple(int(c * 0.62) for c in colour), 3)
            cv2.rectangle(
                image, (a[0] + 5, a[1] + 5), (b[0] - 3, b[1] - 3), tuple(min(255, int(c * 1.12)) for c in colour), 2
            )
    return image


def radiator(rng: Generator, shape: Shape) -> Image:
    """White ribs."""
    ribs = (np.abs(np.sin(np.arange(shape[1]) * np.pi / 15)) ** 0.5).astype(np.float32)
    return finish(paint(rng, shape, (228, 226, 220)) * (0.62 + 0.38 * ribs[None, :, None]))


def leaf(rng: Generator, shape: Shape) -> Image:
    """Leaf greens with veins."""
    image = tinted((74, 122, 58), noise(rng, shape, 30, 4), 0.16)
    image[:, ::23] *= 1.25
    return finish(image)
