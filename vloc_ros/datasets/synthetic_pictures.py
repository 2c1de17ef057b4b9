"""What hangs and glows in the synthetic room: paintings, posters, screens, boards, a clock, the view from the window."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from vloc_ros.datasets.synthetic_textures import Image, Shape, finish, noise, paint, shades

FONT = cv2.FONT_HERSHEY_DUPLEX


def _gradient(shape: Shape, top: tuple[int, int, int], bottom: tuple[int, int, int]) -> Image:
    share = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None, None]
    return finish(np.tile((1 - share) * np.float32(top) + share * np.float32(bottom), (1, shape[1], 1)))


def _hills(image: Image, rng: Generator, levels: tuple[float, ...], near: tuple[int, int, int]) -> None:
    """Rows of hills, hazier with distance."""
    height, width = image.shape[:2]
    for k, level in enumerate(levels):
        ridge = height * level + height * 0.05 * noise(rng, (1, width), (1, width / 3), 4)[0]
        haze = 1 - (k + 1) / len(levels)
        colour = np.float32(near) * (1 - haze) + np.float32((150, 172, 196)) * haze
        below = np.arange(height)[:, None] > ridge
        image[below] = finish(colour * (1 + 0.1 * noise(rng, (height, width), 20, 3)[..., None]))[below]


def landscape(rng: Generator, shape: Shape) -> Image:
    """An oil painting of mountains at dusk over a lake."""
    image = _gradient(shape, (88, 104, 158), (244, 186, 120))
    height, width = shape
    cv2.circle(image, (int(width * 0.7), int(height * 0.38)), height // 12, (255, 236, 180), -1, cv2.LINE_AA)
    _hills(image, rng, (0.42, 0.5, 0.6), (62, 74, 60))
    lake = int(height * 0.76)
    image[lake:] = finish(image[lake - 1 : 2 * lake - height - 1 : -1] * 0.8)
    strokes = noise(rng, shape, (3, 14), 3)
    return finish(image * (1 + 0.06 * strokes[..., None]))


def window_view(rng: Generator, shape: Shape) -> Image:
    """Sky with clouds, hills, roofs and trees."""
    image = _gradient(shape, (120, 170, 232), (216, 232, 246))
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
    for x0, x1 in zip(xs[:-1], xs[1:], strict=True):
        for y0, y1 in zip(ys[:-1], ys[1:], strict=True):
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
    image = _gradient(shape, (24, 26, 56), (110, 30, 74))
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
    image = np.where(
        land[..., None] > 0.25, np.float32((206, 176, 116)) + 16 * relief, np.float32((150, 186, 190)) + 5 * relief
    )
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
    image = finish(np.float32((36, 62, 128)) + field[..., None] * np.float32((22, 30, 42)))
    for _ in range(12):
        centre = int(rng.integers(0, shape[1])), int(rng.integers(0, int(shape[0] * 0.6)))
        for radius, colour in ((12, (150, 170, 150)), (8, (220, 210, 120)), (4, (255, 244, 190))):
            cv2.circle(image, centre, radius, colour, -1, cv2.LINE_AA)
    _hills(image, rng, (0.75, 0.85), (22, 30, 44))
    return image


def code_screen(rng: Generator, shape: Shape) -> Image:
    """A monitor with an editor and a plot."""
    image = np.full((*shape, 3), (32, 36, 46), dtype=np.uint8)
    image[:14] = (64, 74, 96)
    for y in range(28, shape[0] - 8, 11):
        x = 12 + 14 * int(rng.integers(0, 4))
        while x < shape[1] * 0.58 and rng.random() < 0.85:
            length = int(rng.integers(8, 46))
            cv2.line(image, (x, y), (x + length, y), rng.integers(110, 240, 3).tolist(), 4)
            x += length + 8
    left, right, top, bottom = int(shape[1] * 0.63), shape[1] - 12, 30, int(shape[0] * 0.6)
    cv2.rectangle(image, (left, top), (right, bottom), (236, 238, 240), -1)
    for colour in ((206, 60, 50), (40, 110, 190), (60, 150, 80)):
        xs = np.linspace(left + 6, right - 6, 30)
        ys = (top + bottom) / 2 + np.clip(np.cumsum(rng.normal(0, 8, 30)), -(bottom - top) / 2.2, (bottom - top) / 2.2)
        cv2.polylines(image, [np.stack([xs, ys], 1).astype(np.int32)], False, colour, 2, cv2.LINE_AA)
    return image


def television(rng: Generator, shape: Shape) -> Image:
    """A film still: a sailing boat on the sea, subtitled."""
    image = _gradient(shape, (250, 190, 130), (90, 130, 170))
    height, width = shape
    sea = int(height * 0.55)
    waves = noise(rng, shape, (6, 40), 3)[..., None]
    image[sea:] = finish(np.float32((38, 84, 116)) * (1 + 0.22 * waves))[sea:]
    x = int(width * 0.6)
    hull = np.array([(x - 60, sea), (x + 66, sea), (x + 44, sea + 26), (x - 46, sea + 26)], dtype=np.int32)
    cv2.fillConvexPoly(image, hull, (96, 40, 34), cv2.LINE_AA)
    for side, colour in ((-1, (244, 240, 226)), (1, (214, 70, 56))):
        sail = np.array([(x + side * 4, sea - 8), (x + side * 4, sea - 120), (x + side * 58, sea - 8)], dtype=np.int32)
        cv2.fillConvexPoly(image, sail, colour, cv2.LINE_AA)
    cv2.putText(image, "Where are we?", (width // 4, height - 14), FONT, 0.8, (250, 250, 250), 2, cv2.LINE_AA)
    return image


def keyboard(rng: Generator, shape: Shape) -> Image:
    """Keys from above."""
    image = np.full((*shape, 3), 38, dtype=np.uint8)
    for y in range(4, shape[0] - 12, 14):
        for x in range(4 + y // 4, shape[1] - 12, 14):
            cv2.rectangle(image, (x, y), (x + 10, y + 10), shades(rng, (96, 98, 104), 14), -1)
    return image


def whiteboard(rng: Generator, shape: Shape) -> Image:
    """A whiteboard with a sketch of how a camera sees landmarks."""
    image = paint(rng, shape, (238, 240, 240), 0.012)
    height, width = shape
    for _ in range(16):
        at = np.array([rng.integers(width // 2, width - 40), rng.integers(20, height // 2)])
        cv2.circle(image, (int(at[0]), int(at[1])), 5, (200, 40, 40), -1, cv2.LINE_AA)
        cv2.line(image, (int(at[0]), int(at[1])), (width // 3, int(height * 0.75)), (60, 110, 190), 1, cv2.LINE_AA)
    cv2.rectangle(
        image, (width // 3 - 26, int(height * 0.75) - 16), (width // 3 + 10, int(height * 0.75) + 16), (20, 20, 30), 3
    )
    for y, text in ((0.14, "x = K [R|t] X"), (0.3, "argmin |r|"), (0.92, "TODO: water the plant"), (0.6, "z > 0 !")):
        cv2.putText(
            image,
            text,
            (int(width * 0.05), int(height * y)),
            cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
            height / 330,
            (30, 90, 60),
            2,
            cv2.LINE_AA,
        )
    return image


def pinboard(rng: Generator, shape: Shape) -> Image:
    """Cork with notes and photographs."""
    image = paint(rng, shape, (186, 140, 92), 0.12)
    for _ in range(22):
        x, y = int(rng.integers(5, shape[1] - 60)), int(rng.integers(5, shape[0] - 60))
        w, h = int(rng.integers(30, 70)), int(rng.integers(30, 70))
        cv2.rectangle(
            image,
            (x, y),
            (x + w, y + h),
            ((250, 240, 130), (250, 250, 248), (160, 220, 240), (250, 180, 190))[int(rng.integers(4))],
            -1,
        )
        for line in range(y + 9, y + h - 4, 8):
            cv2.line(
                image, (x + 5, line), (x + int(rng.integers(w // 2, w - 3)), line), shades(rng, (70, 70, 90), 40), 2
            )
        cv2.circle(image, (x + w // 2, y + 3), 4, rng.integers(0, 255, 3).tolist(), -1, cv2.LINE_AA)
    return image


def clock(rng: Generator, shape: Shape) -> Image:
    """A clock's face at ten past ten."""
    image = paint(rng, shape, (246, 242, 230), 0.01)
    centre, radius = (shape[1] // 2, shape[0] // 2), min(shape) // 2
    for hour in range(12):
        direction = np.array([np.sin(hour * np.pi / 6), -np.cos(hour * np.pi / 6)])
        ends = [tuple(int(v) for v in centre + direction * radius * k) for k in (0.72, 0.88)]
        cv2.line(image, ends[0], ends[1], (20, 20, 24), 5 if hour % 3 == 0 else 2, cv2.LINE_AA)
    for angle, length, width in ((np.radians(305), 0.45, 6), (np.radians(62), 0.68, 4)):
        tip = int(centre[0] + np.sin(angle) * radius * length), int(centre[1] - np.cos(angle) * radius * length)
        cv2.line(image, centre, tip, (20, 20, 24), width, cv2.LINE_AA)
    return image


# name -> painter, rows and columns
PICTURES: dict[str, tuple[Callable[[Generator, Shape], Image], Shape]] = {
    "landscape": (landscape, (300, 480)),
    "window_view": (window_view, (400, 560)),
    "blocks": (blocks, (320, 280)),
    "circles": (circles, (300, 300)),
    "concert": (concert, (420, 290)),
    "world": (world, (360, 600)),
    "portrait": (portrait, (320, 250)),
    "night": (night, (260, 360)),
    "code_screen": (code_screen, (260, 440)),
    "television": (television, (280, 480)),
    "keyboard": (keyboard, (60, 190)),
    "whiteboard": (whiteboard, (320, 480)),
    "pinboard": (pinboard, (300, 420)),
    "clock": (clock, (160, 160)),
}
