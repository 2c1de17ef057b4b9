"""The key points of tracks, moved to where the images show the same patch.

Detectors place a point of the scene a pixel or so apart in different images. Once poses and points are known roughly,
what is around it tells better where it is (as Lindenberger et al., ICCV 2021, have it from features of a network). The
observation that looks at a point from the middle of all its observations stays where it is. The others are aligned to
it; those that look too different from there, to the nearest one that is aligned.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.geometry.transforms import invert
from vloc_ros.mapping.sfm.patch_alignment import Templates, align, smoothed, templates
from vloc_ros.progress import Advance, no_advance

Float = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

LEAST_SIMILARITY = 0.8
MAX_MOVED_PX = 5.0
ZOOM = 0.15, 6.0  # areas of a patch in one image against the other: what is beyond is not compared
LEAST_ALIGNED = 30  # of an image; with fewer it keeps its others as they are


@dataclass(frozen=True, eq=False)
class Tracked:
    """O observations of P points in F images: those of point p from starts[p] to starts[p + 1] (P + 1,).

    frames (O,) and pixels (O, 2) of the observations, positions (P, 3) of the points, poses `camera_from_map`
    (F, 4, 4), in any unit. `project`: points (N, 3) in camera axes to pixels (N, 2), the lens included; `focal`: its
    focal length, pixels.
    """

    starts: Ints
    frames: Ints
    pixels: Float
    positions: Float
    camera_from_map: Float
    project: Callable[[Float], Float]
    focal: float

    @property
    def points(self) -> Ints:
        """(O,) which point each is of."""
        return np.repeat(np.arange(len(self.positions)), np.diff(self.starts))


def refined(tracked: Tracked, images: Sequence[NDArray[np.uint8]], advance: Advance = no_advance) -> tuple[Float, Mask]:
    """Pixels (O, 2) of the observations in grey `images` (H, W), and which (O,) are to be used: those that could be
    aligned, and all of an image that has few of these."""
    points, rays = tracked.points, _rays(tracked)
    central = _central(tracked, rays)
    pixels, good = tracked.pixels.copy(), np.zeros(len(points), dtype=np.bool_)
    good[central] = True
    others = np.flatnonzero(~good)
    against = central[points[others]]
    for half in range(2):
        found, aligned = _aligned(tracked, images, others, against, pixels, _half(advance, half, len(images)))
        pixels[others[aligned]], good[others[aligned]] = found[aligned], True
        if half == 0:
            others, against = _nearest_good(tracked, rays, np.flatnonzero(~good), good)
    few = np.bincount(tracked.frames[good], minlength=len(images)) < LEAST_ALIGNED
    return pixels, good | few[tracked.frames]


def _half(advance: Advance, half: int, count: int) -> Advance:
    return lambda done, _: advance(half * count + done, 2 * count)


def _rays(tracked: Tracked) -> Float:
    """(O, 3) unit vectors from cameras to points, in the map's axes."""
    centres = invert(tracked.camera_from_map)[:, :3, 3]
    rays = tracked.positions[tracked.points] - centres[tracked.frames]
    return np.asarray(rays / np.linalg.norm(rays, axis=1, keepdims=True))


def _central(tracked: Tracked, rays: Float) -> Ints:
    """(P,) the observation of each point whose ray is nearest to their mean."""
    means = np.add.reduceat(rays, tracked.starts[:-1])
    along = (rays * means[tracked.points]).sum(axis=1)
    order = np.lexsort((-along, tracked.points))  # of each point the best one first
    return np.asarray(order[tracked.starts[:-1]])


def _nearest_good(tracked: Tracked, rays: Float, rows: Ints, good: Mask) -> tuple[Ints, Ints]:
    """Rows (N,) of observations, without those whose track has no good one, and the good one of the same track that
    looks from nearest."""
    found = np.full(len(rows), -1)
    for number, (row, point) in enumerate(zip(rows, tracked.points[rows], strict=True)):
        track = slice(tracked.starts[point], tracked.starts[point + 1])
        found[number] = track.start + np.argmax(np.where(good[track], rays[track] @ rays[row], -np.inf))
    kept = good[found]
    return rows[kept], found[kept]


def _aligned(
    tracked: Tracked,
    images: Sequence[NDArray[np.uint8]],
    rows: Ints,
    against: Ints,
    pixels: Float,
    advance: Advance,
) -> tuple[Float, Mask]:
    """Where (N, 2) observations `rows` (N,) see what observations `against` (N,), which are at `pixels` (O, 2), see,
    and whether (N,) that could be told."""
    sources, source_of = np.unique(against, return_inverse=True)
    sought = _templates(images, tracked.frames[sources], pixels[sources])
    warps = _warps(tracked, rows, against)
    zoom = np.linalg.det(warps)
    can = (zoom > ZOOM[0]) & (zoom < ZOOM[1])
    found, similarity = tracked.pixels[rows], np.full(len(rows), -1.0)
    for frame, own in _by_frame(tracked.frames[rows]):
        own = own[can[own]]
        image = smoothed(images[frame])
        found[own], similarity[own] = align(image, sought.taken(source_of[own]), warps[own], found[own])
        advance(frame + 1, len(images))
    moved = np.linalg.norm(found - tracked.pixels[rows], axis=1)
    return found, (similarity >= LEAST_SIMILARITY) & (moved <= MAX_MOVED_PX)


def _templates(images: Sequence[NDArray[np.uint8]], frames: Ints, pixels: Float) -> Templates:
    """Those around pixels (T, 2) of images `frames` (T,)."""
    parts = [(own, templates(smoothed(images[frame]), pixels[own])) for frame, own in _by_frame(frames)]
    if not parts:
        return templates(np.zeros((1, 1), np.float32), pixels)
    order = np.argsort(np.concatenate([own for own, _ in parts]))
    values, slopes, usable = (
        np.concatenate([getattr(part, name) for _, part in parts])[order] for name in ("values", "slopes", "usable")
    )
    return Templates(values, slopes, usable)


def _warps(tracked: Tracked, rows: Ints, against: Ints) -> Float:
    """(N, 2, 2) from offsets around the observations `against` to those around `rows`, as if each point lay on a plane
    that faces the camera of the former."""
    positions, seen_from = tracked.positions[tracked.points[rows]], tracked.camera_from_map[tracked.frames[against]]
    depths = np.einsum("ni,ni->n", seen_from[:, 2, :3], positions) + seen_from[:, 2, 3]
    own = tracked.camera_from_map[tracked.frames[rows]]

    def seen(points: Float) -> Float:
        return tracked.project(np.einsum("nij,nj->ni", own[:, :3, :3], points) + own[:, :3, 3])

    middle = seen(positions)
    steps = [seen(positions + depths[:, None] / tracked.focal * seen_from[:, axis, :3]) for axis in range(2)]
    return np.stack([step - middle for step in steps], axis=2)


def _by_frame(frames: Ints) -> Iterator[tuple[int, Ints]]:
    """Each frame of (N,), and where it stands."""
    order = np.argsort(frames, kind="stable")
    found, begins = np.unique(frames[order], return_index=True)
    yield from zip(found.tolist(), np.split(order, begins[1:]), strict=True)
