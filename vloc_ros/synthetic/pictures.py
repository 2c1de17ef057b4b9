"""What hangs in the living room: paintings, posters, the view from the window."""

from itertools import pairwise

import cv2
import numpy as np
from numpy.random import Generator

from vloc_ros.synthetic.textures import Image, Shape, finish, gradient, noise, paint, rgb, shades

FONT = cv2.FONT_HERSHEY_DUPLEX


def _hills(image: Image, rng: Generator, levels: tuple[float, ...], near: tuple[int, int, int]) -> None:
    """Rows of hills, hazier with distance."""
    height, width = image.shape[:2]
    for k, level in enumerate(levels):
        ridge = height * level + height * 0.05 * noise(rng, (1, width), (1, width / 3), 4)[0]
        haze = 1 - (k + 1) / len(levels)
        colour = rgb(*near) * (1 - haze) + rgb(150, 172, 196) * haze
        below = np.arange(height)[:, None] > ridge
        image[below] = finish(colour * (1 + 0.1 * noise(rng, (height, width), 20, 3)[..., None]))[below]


def landscape(rng: Generator, shape: Shape) -> Image:
    """An oil painting of mountains at dusk over a lake."""
    image = gradient(shape, (88, 104, 158), (244, 186, 120))
    height, width = shape
    cv2.circle(image, (int(width * 0.7), int(height * 0.38)), height // 12, (255, 236, 180), -1, cv2.LINE_AA)
    _hills(image, rng, (0.42, 0.5, 0.6), (62, 74, 60))
    lake = int(height * 0.76)
    image[lake:] = finish(image[lake - 1 : 2 * lake - height - 1 : -1] * 0.8)
    strokes = noise(rng, shape, (3, 14), 3)
    return finish(image * (1 + 0.06 * strokes[..., None]))


def window_view(rng: Generator, shape: Shape) -> Image:
    """Sky with clouds, hills, roofs and trees."""
    image = gradient(shape, (120, 170, 232), (216, 232, 246))
    height, width = shape
    clouds = (
        np.clip(noise(rng, shape, (height / 4, width / 3), 5) - 0.4, 0, 1)[..., None]
        * np.linspace(1, 0, height)[:, None, None]
    )
    image = finish(image * (1 - clouds) + 252 * clouds)
    _hills(image, rng, (0.5, 0.58, 0.72), (88, 124, 62))
    for _ in range(9):
        x, y, w, h = (
            int(rng.integers(0, width)),
            int(rng.uniform(0.66, 0.82) * height),
            int(rng.integers(40, 80)),
            int(rng.integers(24, 46)),
        )
        cv2.rectangle(image, (x, y), (x + w, y + h), shades(rng, (222, 206, 182)), -1)
        roof = np.array([(x - 5, y), (x + w + 5, y), (x + w // 2, y - h // 2 - 6)], dtype=np.int32)
        cv2.fillConvexPoly(image, roof, shades(rng, (158, 78, 60)), cv2.LINE_AA)
        for k in range(8, w - 10, 16):
            cv2.rectangle(image, (x + k, y + 9), (x + k + 7, y + 18), (70, 80, 98), -1)
    for _ in range(60):
        centre, radius = (int(rng.integers(0, width)), int(rng.uniform(0.86, 1.02) * height)), int(rng.integers(8, 26))
        cv2.circle(image, centre, radius, shades(rng, (70, 108, 56)), -1, cv2.LINE_AA)
    return image


def blocks(rng: Generator, shape: Shape) -> Image:
    """Coloured rectangles between black bars."""
    image = np.full((*shape, 3), (240, 236, 226), dtype=np.uint8)
    colours = ((204, 40, 34), (28, 70, 148), (240, 200, 48), (240, 236, 226), (226, 224, 216), (30, 30, 34))
    xs = np.concatenate([[0], np.sort(rng.choice(np.arange(1, 12), 4, replace=False)) * shape[1] // 12, [shape[1]]])
    ys = np.concatenate([[0], np.sort(rng.choice(np.arange(1, 12), 4, replace=False)) * shape[0] // 12, [shape[0]]])
    for x0, x1 in pairwise(xs):
        for y0, y1 in pairwise(ys):
            cv2.rectangle(image, (int(x0), int(y0)), (int(x1), int(y1)), colours[int(rng.integers(6))], -1)
            cv2.rectangle(image, (int(x0), int(y0)), (int(x1), int(y1)), (20, 20, 22), 5)
    return image


def circles(rng: Generator, shape: Shape) -> Image:
    """Concentric circles in a grid of clashing squares."""
    image = np.zeros((*shape, 3), dtype=np.uint8)
    cell = min(shape) // 3
    for y in range(0, shape[0], cell):
        for x in range(0, shape[1], cell):
            cv2.rectangle(image, (x, y), (x + cell, y + cell), rng.integers(60, 245, 3).tolist(), -1)
            for radius in np.linspace(cell * 0.48, cell * 0.08, int(rng.integers(3, 6))):
                cv2.circle(
                    image,
                    (x + cell // 2, y + cell // 2),
                    int(radius),
                    rng.integers(20, 250, 3).tolist(),
                    -1,
                    cv2.LINE_AA,
                )
    return finish(image * (1 + 0.06 * noise(rng, shape, 25, 4)[..., None]))


def concert(rng: Generator, shape: Shape) -> Image:
    """A concert poster: big type over discs."""
    image = gradient(shape, (24, 26, 56), (110, 30, 74))
    height, width = shape
    for _ in range(14):
        centre = int(rng.integers(0, width)), int(rng.integers(int(height * 0.3), int(height * 0.8)))
        cv2.circle(
            image,
            centre,
            int(rng.integers(8, width // 5)),
            rng.integers(80, 255, 3).tolist(),
            int(rng.integers(2, 9)),
            cv2.LINE_AA,
        )
    scale = width / 190
    for y, text, size in (
        (0.13, "BLUE NOTE", 1.0),
        (0.24, "quartet", 1.1),
        (0.88, "12 MAY 20:30", 0.75),
        (0.95, "harbour hall", 0.6),
    ):
        cv2.putText(
            image, text, (int(width * 0.06), int(y * height)), FONT, size * scale, (250, 232, 170), 2, cv2.LINE_AA
        )
    return image


def world(rng: Generator, shape: Shape) -> Image:
    """An antique map: continents, graticule, compass lines."""
    land = noise(rng, shape, (shape[0] / 2.5, shape[1] / 4), 6)
    relief = noise(rng, shape, 40, 4)[..., None]
    image = np.where(land[..., None] > 0.25, rgb(206, 176, 116) + 16 * relief, rgb(150, 186, 190) + 5 * relief)
    image[np.abs(land - 0.25) < 0.035] = (84, 62, 44)
    chart = finish(image)
    for k in range(1, 12):
        cv2.line(chart, (k * shape[1] // 12, 0), (k * shape[1] // 12, shape[0]), (120, 120, 110), 1)
        cv2.line(chart, (0, k * shape[0] // 12), (shape[1], k * shape[0] // 12), (120, 120, 110), 1)
    for _ in range(30):
        at = int(rng.integers(0, shape[1])), int(rng.integers(0, shape[0]))
        cv2.putText(
            chart, "".join(chr(int(c)) for c in rng.integers(97, 123, 6)), at, FONT, 0.35, (70, 40, 30), 1, cv2.LINE_AA
        )
    return chart


def portrait(rng: Generator, shape: Shape) -> Image:
    """A cat, painted flat."""
    image = paint(rng, shape, (222, 158, 84), 0.1)
    x, y, r = shape[1] // 2, int(shape[0] * 0.42), int(min(shape) * 0.24)
    fur = (58, 60, 74)
    cv2.ellipse(image, (x, shape[0]), (int(r * 1.5), int(shape[0] * 0.5)), 0, 180, 360, fur, -1, cv2.LINE_AA)
    for side in (-1, 1):
        ear = np.array(
            [(x + side * r, y - int(r * 1.3)), (x + side * r, y), (x + side * r // 6, y - int(r * 0.7))], dtype=np.int32
        )
        cv2.fillConvexPoly(image, ear, fur, cv2.LINE_AA)
    cv2.circle(image, (x, y), r, fur, -1, cv2.LINE_AA)
    for side in (-1, 1):
        cv2.ellipse(
            image, (x + side * r // 2, y - r // 8), (r // 4, r // 6), 0, 0, 360, (226, 214, 90), -1, cv2.LINE_AA
        )
        cv2.ellipse(image, (x + side * r // 2, y - r // 8), (r // 14, r // 6), 0, 0, 360, (16, 16, 16), -1, cv2.LINE_AA)
        for k in (-1, 0, 1):
            cv2.line(
                image,
                (x + side * r // 4, y + r // 2),
                (x + side * int(r * 1.5), y + r // 2 + k * r // 4),
                (240, 240, 240),
                2,
                cv2.LINE_AA,
            )
    cv2.circle(image, (x, y + r // 3), r // 8, (222, 130, 130), -1, cv2.LINE_AA)
    return image


def night(rng: Generator, shape: Shape) -> Image:
    """A swirling night sky over a village."""
    warp = noise(rng, shape, 120, 3)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    field = np.sin(x / 13 + 3 * warp) + np.cos(y / 11 + 4 * warp)
    image = finish(rgb(36, 62, 128) + field[..., None] * rgb(22, 30, 42))
    for _ in range(12):
        centre = int(rng.integers(0, shape[1])), int(rng.integers(0, int(shape[0] * 0.6)))
        for radius, colour in ((12, (150, 170, 150)), (8, (220, 210, 120)), (4, (255, 244, 190))):
            cv2.circle(image, centre, radius, colour, -1, cv2.LINE_AA)
    _hills(image, rng, (0.75, 0.85), (22, 30, 44))
    return image
