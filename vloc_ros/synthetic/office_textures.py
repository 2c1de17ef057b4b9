"""Procedural surfaces of an office: concrete, slats, carpet, ceiling, mural, sheet metal, blind, binders."""

import cv2
import numpy as np
from numpy.random import Generator

from vloc_ros.synthetic.textures import Colour, Image, Shape, finish, noise, paint, shades, tinted, wood

CARPET_TILE, CEILING_TILE = 125, 150  # texels: 0.5 and 0.6 m


def concrete(rng: Generator, shape: Shape, colour: Colour) -> Image:
    """Fair-faced concrete: clouds, streaks of water, joints of the formwork with their tie holes, pores."""
    clouds = noise(rng, shape, 220, 6) + 0.6 * noise(rng, shape, (260, 14), 3) + 0.5 * noise(rng, shape, 3, 2)
    image = finish(tinted(colour, clouds, 0.075))
    height, width = shape
    for x in range(int(rng.integers(120, 250)), width, 300):
        cv2.line(image, (x, 0), (x, height), shades(rng, (104, 102, 98), 8), 2)
        for dx in (-75, 75):
            for y in (height // 5, height * 4 // 5):
                cv2.circle(image, (x + dx, y), 6, (128, 126, 120), -1, cv2.LINE_AA)
                cv2.circle(image, (x + dx, y - 1), 4, (72, 70, 68), -1, cv2.LINE_AA)
    cv2.line(image, (0, height // 2), (width, height // 2), (110, 108, 104), 2)
    for _ in range(height * width // 900):
        centre = int(rng.integers(0, width)), int(rng.integers(0, height))
        cv2.circle(image, centre, int(rng.integers(1, 3)), shades(rng, (112, 110, 106), 20), -1, cv2.LINE_AA)
    return image


def slats(rng: Generator, shape: Shape, colour: Colour) -> Image:
    """Upright wooden slats with dark gaps, each of its own tone and width."""
    image = np.ascontiguousarray(np.rot90(wood(rng, (shape[1], shape[0]), colour)))
    left = 0
    while left < shape[1]:
        width = int(rng.integers(12, 21))
        image[:, left : left + width] = finish(image[:, left : left + width] * rng.uniform(0.75, 1.15))
        image[:, left + width : left + width + 5] = (38, 34, 32)
        left += width + 5
    return image


def carpet_tiles(rng: Generator, shape: Shape) -> Image:
    """Carpet in squares of half a metre, laid every way round: quiet tones, here and there a bright one."""
    streaks = noise(rng, shape, (5, 160), 4) + 0.7 * noise(rng, shape, 2, 1)
    turned = noise(rng, shape, (160, 5), 4) + 0.7 * noise(rng, shape, 2, 1)
    quiet, bright = ((84, 98, 112), (106, 118, 126), (66, 78, 96)), ((196, 158, 62), (58, 128, 122), (178, 88, 66))
    image = np.empty((*shape, 3), dtype=np.uint8)
    for y in range(0, shape[0], CARPET_TILE):
        for x in range(0, shape[1], CARPET_TILE):
            colours = bright if rng.random() < 0.16 else quiet
            tile = slice(y, y + CARPET_TILE), slice(x, x + CARPET_TILE)
            field = (streaks if rng.random() < 0.5 else turned)[tile]
            image[tile] = finish(tinted(shades(rng, colours[int(rng.integers(3))], 8), field, 0.13))
    image[::CARPET_TILE] = image[::CARPET_TILE] // 2
    image[:, ::CARPET_TILE] = image[:, ::CARPET_TILE] // 2
    return image


def ceiling_tiles(rng: Generator, shape: Shape) -> Image:
    """Mineral-fibre panels of 60 cm in a grid, with fissures, and stains on some."""
    image = paint(rng, shape, (236, 236, 232), 0.015)
    for _ in range(shape[0] * shape[1] // 260):
        x, y = int(rng.integers(0, shape[1])), int(rng.integers(0, shape[0]))
        reach = rng.integers(-4, 5, 2)
        cv2.line(image, (x, y), (x + int(reach[0]), y + int(reach[1])), shades(rng, (186, 186, 182), 14), 1)
    for y in range(0, shape[0], CEILING_TILE):
        for x in range(0, shape[1], CEILING_TILE):
            tile = slice(y, y + CEILING_TILE), slice(x, x + CEILING_TILE)
            image[tile] = finish(image[tile] * rng.uniform(0.92, 1.02))
            cv2.rectangle(image, (x, y), (x + CEILING_TILE, y + CEILING_TILE), (196, 198, 198), 3)
            if rng.random() < 0.15:
                stain = x + int(rng.integers(30, 120)), y + int(rng.integers(30, 120))
                axes = int(rng.integers(10, 28)), int(rng.integers(8, 20))
                cv2.ellipse(image, stain, axes, 0, 0, 360, (216, 204, 176), 3, cv2.LINE_AA)
    return image


def mural(rng: Generator, shape: Shape, palette: tuple[Colour, ...]) -> Image:
    """A painted wall of triangles between scattered corners, faint roller marks over it."""
    rows, columns = 5, 8
    y, x = np.meshgrid(np.linspace(0, shape[0], rows + 1), np.linspace(0, shape[1], columns + 1), indexing="ij")
    inner = np.zeros((rows + 1, columns + 1))
    inner[1:-1, 1:-1] = 1
    x += inner * rng.uniform(-0.4, 0.4, x.shape) * shape[1] / columns
    y += inner * rng.uniform(-0.4, 0.4, y.shape) * shape[0] / rows
    corners = np.stack([x, y], axis=2).round().astype(np.int32)
    image = np.zeros((*shape, 3), dtype=np.uint8)
    for i in range(rows):
        for j in range(columns):
            a, b, c, d = corners[i, j], corners[i, j + 1], corners[i + 1, j + 1], corners[i + 1, j]
            halves = ((a, b, c), (a, c, d)) if rng.random() < 0.5 else ((a, b, d), (b, c, d))
            for half in halves:
                colour = shades(rng, palette[int(rng.integers(len(palette)))], 12)
                cv2.fillConvexPoly(image, np.array(half), colour, cv2.LINE_AA)
    return finish(image * (1 + 0.05 * (noise(rng, shape, (140, 12), 4) + 0.4 * noise(rng, shape, 2, 1))[..., None]))


def sheet_metal(rng: Generator, shape: Shape) -> Image:
    """Galvanised steel: crystals like frost, seams, rivets."""
    crystals = np.asarray(np.round(2 * noise(rng, shape, 14, 2)) / 2, dtype=np.float32)
    image = finish(tinted((164, 170, 174), crystals + noise(rng, shape, 120, 4), 0.05))
    for x in range(0, shape[1], 250):
        cv2.line(image, (x, 0), (x, shape[0]), (104, 108, 112), 2)
        for y in range(8, shape[0], 16):
            cv2.circle(image, (x + 8, y), 2, (112, 116, 120), -1, cv2.LINE_AA)
    return image


def blind(rng: Generator, shape: Shape, colour: Colour) -> Image:
    """Horizontal slats, lighter on their upper half, two cords."""
    slat = np.linspace(1.08, 0.72, 12, dtype=np.float32)[np.arange(shape[0]) % 12]
    image = finish(paint(rng, shape, colour, 0.03) * slat[:, None, None])
    for share in (0.2, 0.8):
        x = int(shape[1] * share)
        cv2.line(image, (x, 0), (x, shape[0]), (236, 232, 222), 2)
    return image


def binder_spines(rng: Generator, count: int, shape: Shape = (130, 34)) -> Image:
    """`count` backs of binders beside each other, each of `shape`: a label with writing, a hole for the finger."""
    colours = ((46, 48, 54), (40, 78, 136), (178, 46, 44), (236, 234, 228), (62, 120, 76), (226, 172, 52))
    backs = []
    for _ in range(count):
        back = paint(rng, shape, shades(rng, colours[int(rng.integers(len(colours)))], 10), 0.04)
        cv2.rectangle(back, (5, 12), (shape[1] - 6, 70), (246, 244, 238), -1)
        for y in range(18, 66, int(rng.integers(7, 12))):
            cv2.line(back, (8, y), (int(rng.integers(14, shape[1] - 8)), y), shades(rng, (60, 60, 80), 40), 2)
        cv2.circle(back, (shape[1] // 2, 104), 7, (190, 190, 190), -1, cv2.LINE_AA)
        cv2.circle(back, (shape[1] // 2, 104), 5, (24, 24, 26), -1, cv2.LINE_AA)
        back[:, -1:] = back[:, -1:] // 2
        backs.append(back)
    return np.ascontiguousarray(np.hstack(backs))
