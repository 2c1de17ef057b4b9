"""A picture of a place from above: its surface or points, and where its frames were taken."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.files import write_bytes
from vloc_ros.mapping.place_geometry import PlaceGeometry, points_of
from vloc_ros.mapping.surface import Surface

Float = NDArray[np.float64]
Picture = NDArray[np.uint8]

WIDTH, MARGIN = 900, 40  # pixels
TITLE = 26  # pixels of height for each line of text
CUT = 0.98  # of the heights: what is above, such as a ceiling, would hide the room
SIGHT = 14  # pixels of the line that shows where a camera looks
TEXT, PATH = (40, 40, 40), (200, 60, 20)
LEAST_POINT = 2  # pixels of width
UNCOLORED = 90.0  # of points without colours
SCALE_BARS_M = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def draw_top_view(place: PlaceGeometry, map_from_camera: Float) -> Picture:
    """RGB (H, WIDTH, 3), x of the map to the right and y up: points in their colours, the higher over the lower ones
    but for the highest; in PATH's colour cameras (V, 4, 4) and where they look."""
    points, centers = points_of(place.shape), map_from_camera[:, :3, 3]
    together = np.concatenate([points[:, :2], centers[:, :2]])
    low, high = np.quantile(together, 0.002, axis=0), np.quantile(together, 0.998, axis=0)
    low, high = np.minimum(low, centers[:, :2].min(axis=0)), np.maximum(high, centers[:, :2].max(axis=0))
    width, height = np.maximum(high - low, 0.5)
    scale = (WIDTH - 2 * MARGIN) / max(width, height)
    rows = int(height * scale) + 2 * MARGIN + 2 * TITLE
    picture: Picture = np.full((rows, WIDTH, 3), 255, dtype=np.uint8)

    def pixels(positions: Float) -> NDArray[np.int64]:
        x, y = ((positions[:, :2] - low) * scale).T
        return np.asarray(np.column_stack([MARGIN + x, rows - MARGIN - y]).round(), dtype=np.int64)

    _draw_points(picture, place, pixels(points), scale)
    _draw_cameras(picture, pixels(centers), map_from_camera)
    _write(picture, [place.name or "the place from above", place.figures.describe()])
    _draw_scale(picture, scale)
    return picture


def save_top_view(path: Path, place: PlaceGeometry, map_from_camera: Float) -> None:
    """Write `draw_top_view` as PNG, all at once. Raises ConfigError when it cannot be written."""
    _, content = cv2.imencode(".png", cv2.cvtColor(draw_top_view(place, map_from_camera), cv2.COLOR_RGB2BGR))
    write_bytes(path, content.tobytes())


def _draw_points(picture: Picture, place: PlaceGeometry, pixels: NDArray[np.int64], pixels_per_metre: float) -> None:
    heights = points_of(place.shape)[:, 2]
    order = np.argsort(heights, kind="stable")
    order = order[heights[order] <= np.quantile(heights, CUT)]
    order = order[((pixels[order] >= 0) & (pixels[order] < (WIDTH, len(picture)))).all(axis=1)]
    surface = place.shape if isinstance(place.shape, Surface) else None
    colors = np.full((len(order), 3), UNCOLORED) if surface is None else 255 * surface.colors[order]
    x, y = pixels[order].T
    size = LEAST_POINT if surface is None else max(LEAST_POINT, round(surface.voxel_size * pixels_per_metre))
    for dx, dy in np.ndindex(size, size):
        picture[(y + dy).clip(max=len(picture) - 1), (x + dx).clip(max=WIDTH - 1)] = colors


def _draw_cameras(picture: Picture, pixels: NDArray[np.int64], map_from_camera: Float) -> None:
    cv2.polylines(picture, [pixels.astype(np.int32).reshape(-1, 1, 2)], False, PATH, 1, cv2.LINE_AA)
    for (x, y), toward in zip(pixels.tolist(), map_from_camera[:, :2, 2], strict=True):
        end = round(x + SIGHT * float(toward[0])), round(y - SIGHT * float(toward[1]))
        cv2.line(picture, (x, y), end, PATH, 1, cv2.LINE_AA)
        cv2.circle(picture, (x, y), 2, PATH, -1, cv2.LINE_AA)


def _draw_scale(picture: Picture, pixels_per_metre: float) -> None:
    fitting = [metres for metres in SCALE_BARS_M if metres * pixels_per_metre <= WIDTH / 3]
    metres = fitting[-1] if fitting else SCALE_BARS_M[0]
    y, start = len(picture) - MARGIN // 3, MARGIN
    cv2.line(picture, (start, y), (start + round(metres * pixels_per_metre), y), TEXT, 2)
    cv2.putText(picture, f"{metres:g} m", (start, y - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.45, TEXT, 1, cv2.LINE_AA)


def _write(picture: Picture, lines: list[str]) -> None:
    for number, line in enumerate(lines, start=1):
        place = (MARGIN, number * TITLE - 6)
        cv2.putText(picture, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, TEXT, 1, cv2.LINE_AA)
