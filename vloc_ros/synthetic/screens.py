"""Screens, boards and dials of rendered rooms."""

import cv2
import numpy as np
from numpy.random import Generator

from vloc_ros.synthetic.textures import Image, Shape, finish, gradient, noise, paint, rgb, shades

FONT = cv2.FONT_HERSHEY_DUPLEX


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
    image = gradient(shape, (250, 190, 130), (90, 130, 170))
    height, width = shape
    sea = int(height * 0.55)
    waves = noise(rng, shape, (6, 40), 3)[..., None]
    image[sea:] = finish(rgb(38, 84, 116) * (1 + 0.22 * waves))[sea:]
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
