"""What hangs, stands and glows in the office: the city outside, posters, boards and screens."""

import cv2
import numpy as np
from numpy.random import Generator

from vloc_ros.synthetic.textures import Colour, Image, Shape, finish, gradient, noise, paint, rgb, shades

FONT = cv2.FONT_HERSHEY_DUPLEX
HAND = cv2.FONT_HERSHEY_SCRIPT_SIMPLEX
INK: tuple[Colour, ...] = ((30, 60, 140), (170, 40, 40), (30, 110, 70), (40, 40, 48))


def city_view(rng: Generator, shape: Shape) -> Image:
    """Towers under a hazy sky, three rows deep, the nearest the darkest; and a crane."""
    height, width = shape
    sky = gradient(shape, (136, 164, 200), (238, 226, 206))
    clouds = np.clip(noise(rng, shape, (height / 5, width / 4), 5) - 0.2, 0, 1)[..., None]
    image = finish(sky * (1 - 0.5 * clouds) + 248 * 0.5 * clouds)
    for row, haze in enumerate((0.6, 0.3, 0.0)):
        x = -20
        while x < width:
            wide, tall = int(rng.integers(46, 110)), int(height * rng.uniform(0.25, 0.62) * (1.15 - 0.2 * row))
            tone = rgb(*shades(rng, ((120, 112, 108), (96, 108, 124), (148, 104, 88))[int(rng.integers(3))], 18))
            _tower(rng, image, (x, height - tall), (wide, tall), finish(tone * (1 - haze) + rgb(196, 206, 218) * haze))
            x += wide + int(rng.integers(-8, 26))
    mast = int(width * 0.63)
    cv2.line(image, (mast, int(height * 0.06)), (mast, height), (206, 150, 40), 5, cv2.LINE_AA)
    cv2.line(image, (mast - 60, int(height * 0.12)), (mast + 170, int(height * 0.12)), (206, 150, 40), 5, cv2.LINE_AA)
    cv2.line(image, (mast, int(height * 0.06)), (mast + 160, int(height * 0.12)), (206, 150, 40), 2, cv2.LINE_AA)
    return image


def _tower(rng: Generator, image: Image, corner: tuple[int, int], size: tuple[int, int], tone: Image) -> None:
    """A building with a grid of windows, some of them lit, into the image."""
    x, y = corner
    colour = int(tone[0]), int(tone[1]), int(tone[2])
    cv2.rectangle(image, (x, y), (x + size[0], y + size[1]), colour, -1)
    across, down = int(rng.integers(9, 15)), int(rng.integers(11, 18))
    for wy in range(y + 8, y + size[1], down):
        for wx in range(x + 5, x + size[0] - across + 3, across):
            glass = (252, 232, 168) if rng.random() < 0.12 else tuple(int(c * 0.62) for c in colour)
            cv2.rectangle(image, (wx, wy), (wx + across - 5, wy + down - 7), glass, -1)


def metro_map(rng: Generator, shape: Shape) -> Image:
    """Lines of an underground railway that run straight or at 45 degrees, with stations and their names."""
    image = np.full((*shape, 3), (244, 243, 238), dtype=np.uint8)
    height, width = shape
    river = np.stack([np.arange(width), height * 0.62 + 26 * noise(rng, (1, width), (1, width / 2), 2)[0]], axis=1)
    cv2.polylines(image, [river.astype(np.int32)], False, (180, 212, 232), 26, cv2.LINE_AA)
    for colour in ((214, 40, 48), (28, 94, 170), (36, 140, 84), (240, 168, 30), (126, 66, 142)):
        at, heading = np.array([int(rng.integers(10, width // 3)), int(rng.integers(40, height - 20))]), 0
        stops = [at]
        while 0 < at[0] < width - 10 and len(stops) < 14:
            heading = int(np.clip(heading + rng.integers(-1, 2), -1, 1))
            heading = 1 if at[1] < 50 else -1 if at[1] > height - 30 else heading
            at = at + int(rng.integers(28, 60)) * np.array([1, heading])
            stops.append(at)
        cv2.polylines(image, [np.array(stops, dtype=np.int32)], False, colour, 6, cv2.LINE_AA)
        for stop in stops:
            cv2.circle(image, (int(stop[0]), int(stop[1])), 6, (30, 30, 34), -1, cv2.LINE_AA)
            cv2.circle(image, (int(stop[0]), int(stop[1])), 4, (252, 252, 252), -1, cv2.LINE_AA)
            name = "".join(chr(int(c)) for c in rng.integers(97, 123, int(rng.integers(4, 8))))
            cv2.putText(image, name, (int(stop[0]) + 6, int(stop[1]) - 8), FONT, 0.33, (40, 40, 50), 1, cv2.LINE_AA)
    cv2.rectangle(image, (0, 0), (width, 28), (28, 48, 92), -1)
    cv2.putText(image, "CITY METRO", (10, 22), FONT, 0.75, (250, 250, 250), 2, cv2.LINE_AA)
    return image


def year_planner(rng: Generator, shape: Shape) -> Image:
    """A wall planner: twelve columns of days, booked in bars of many colours."""
    image = np.full((*shape, 3), (250, 249, 244), dtype=np.uint8)
    height, width = shape
    cv2.rectangle(image, (0, 0), (width, 30), (190, 46, 52), -1)
    cv2.putText(image, "YEAR PLANNER", (width // 3, 23), FONT, 0.8, (255, 255, 255), 2, cv2.LINE_AA)
    across, down = width / 12, (height - 34) / 31
    for month in range(12):
        for day in range(31):
            x, y = int(month * across), int(34 + day * down)
            cv2.rectangle(image, (x, y), (int(x + across), int(y + down)), (206, 206, 202), 1)
            if rng.random() < 0.13:
                last = int(y + down * rng.integers(1, 4))
                cv2.rectangle(image, (x + 4, y + 1), (int(x + across) - 3, last), rng.integers(70, 250, 3).tolist(), -1)
    return image


def slogan(rng: Generator, shape: Shape, words: tuple[str, ...], colours: tuple[Colour, Colour, Colour]) -> Image:
    """A poster of big words one below the other, between slanted bands and dots."""
    ground, band, ink = colours
    image = paint(rng, shape, ground, 0.02)
    height, width = shape
    for k in range(4):
        y = int(height * rng.uniform(0.05 + 0.25 * k, 0.2 + 0.25 * k))
        slant, thick = int(rng.integers(30, 90)), int(rng.integers(14, 40))
        edges = [(0, y), (width, y - slant), (width, y - slant + thick), (0, y + thick)]
        cv2.fillConvexPoly(image, np.array(edges, dtype=np.int32), shades(rng, band, 20), cv2.LINE_AA)
    for _ in range(18):
        centre = int(rng.integers(0, width)), int(rng.integers(0, height))
        cv2.circle(image, centre, int(rng.integers(3, 15)), shades(rng, ink, 60), -1, cv2.LINE_AA)
    for k, word in enumerate(words):
        (wide, _), _ = cv2.getTextSize(word, FONT, 1.0, 4)
        scale, y = 0.86 * width / wide, int(height * (k + 0.75) / len(words))
        cv2.putText(image, word, (int(width * 0.07), y), FONT, scale, ink, max(3, int(4 * scale)), cv2.LINE_AA)
    return image


def flow_chart(rng: Generator, shape: Shape) -> Image:
    """A whiteboard: boxes joined by arrows, a curve, notes by hand, stickers."""
    image = paint(rng, shape, (240, 241, 240), 0.012)
    height, width = shape
    cells = [(x, y) for x in (0.06, 0.24, 0.42) for y in (0.2, 0.48, 0.76)]
    corners = [(int(width * x), int(height * (y + rng.uniform(-0.05, 0.05)))) for x, y in cells]
    for k, (x, y) in enumerate(corners):
        cv2.rectangle(image, (x, y), (x + 72, y + 34), INK[int(rng.integers(4))], 2, cv2.LINE_AA)
        cv2.putText(image, "ABCDEFGHI"[k] + str(rng.integers(10, 99)), (x + 12, y + 24), HAND, 0.8, INK[3], 2)
        target = corners[int(rng.integers(len(corners)))]
        cv2.arrowedLine(image, (x + 74, y + 17), (target[0], target[1] + 17), INK[0], 2, cv2.LINE_AA, 0, 0.06)
    left, right, base = int(width * 0.66), width - 20, int(height * 0.5)
    cv2.arrowedLine(image, (left, base), (right, base), INK[3], 2, cv2.LINE_AA, 0, 0.05)
    cv2.arrowedLine(image, (left, base), (left, 24), INK[3], 2, cv2.LINE_AA, 0, 0.05)
    xs = np.linspace(left, right - 10, 40)
    ys = base - (base - 40) * (1 - np.exp(-3 * np.linspace(0, 1, 40))) + rng.normal(0, 4, 40)
    cv2.polylines(image, [np.stack([xs, ys], 1).astype(np.int32)], False, INK[1], 2, cv2.LINE_AA)
    for x, share, text in ((20, 0.1, "Sprint 42"), (left, 0.66, "Friday?!"), (left, 0.78, "ask Lena")):
        cv2.putText(image, text, (x, int(height * share)), HAND, 0.9, INK[2], 2, cv2.LINE_AA)
    for k in range(7):
        x, y = left + 8 + 30 * k, int(height * 0.84 + rng.integers(-6, 7))
        cv2.rectangle(image, (x, y), (x + 26, y + 26), shades(rng, (236, 214, 96), 40), -1)
    return image


def slide(rng: Generator, shape: Shape) -> Image:
    """A presentation: title, bars that grow, a pie."""
    image = gradient(shape, (20, 62, 92), (14, 34, 60))
    height, width = shape
    cv2.putText(image, "Third quarter", (24, 44), FONT, 1.1, (250, 250, 250), 2, cv2.LINE_AA)
    cv2.line(image, (24, 58), (width - 24, 58), (240, 170, 60), 3)
    for k in range(8):
        x, tall = 34 + k * 32, int((0.2 + 0.06 * k + rng.uniform(0, 0.12)) * height)
        cv2.rectangle(image, (x, height - 24 - tall), (x + 22, height - 24), shades(rng, (90, 190, 200), 40), -1)
    centre, begin = (int(width * 0.78), int(height * 0.58)), 0.0
    for share, colour in (
        (0.4, (240, 170, 60)),
        (0.25, (220, 86, 70)),
        (0.2, (120, 200, 130)),
        (0.15, (230, 230, 236)),
    ):
        cv2.ellipse(image, centre, (64, 64), 0, begin, begin + 360 * share, colour, -1, cv2.LINE_AA)
        begin += 360 * share
    return image


def sheet_screen(rng: Generator, shape: Shape) -> Image:
    """A monitor with a table of numbers, some of its cells marked, and a bar chart."""
    image = np.full((*shape, 3), (248, 249, 250), dtype=np.uint8)
    image[:18] = (34, 116, 70)
    for y in range(30, shape[0] - 6, 13):
        for x in range(8, int(shape[1] * 0.62), 44):
            if rng.random() < 0.12:
                marked = shades(rng, (244, 214, 140), 30)
                cv2.rectangle(image, (x - 2, y - 3), (x + 40, y + 9), marked, -1)
            cv2.line(image, (x + 4, y + 3), (x + int(rng.integers(10, 36)), y + 3), (70, 76, 88), 4)
        cv2.line(image, (0, y + 9), (int(shape[1] * 0.62), y + 9), (208, 210, 214), 1)
    for k in range(9):
        x, tall = int(shape[1] * 0.66) + k * 15, int(rng.integers(20, shape[0] // 2))
        cv2.rectangle(image, (x, shape[0] - 30 - tall), (x + 10, shape[0] - 30), (60, 120, 190), -1)
    return image
