"""Views from where no camera was, rendered from frames with depth.

Far from the path of its training images a network is worse than near it, and does not know: what it has learned is that
things are only ever seen from where the path passed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.types import CameraImage
from vloc_ros.datasets.types import Dataset, Frame
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import apply, pose_distances
from vloc_ros.mapping.labels import undistorted_depth
from vloc_ros.mapping.splatting import render_points

Float = NDArray[np.float64]

MAX_TURN_DEG = 40.0
MAX_SHIFT = 0.25  # of the median distance of what the frame shows
LEAST_SEEN = 0.4  # share of a view's pixels that some frame shows; else a smaller move is tried
ATTEMPTS = 4
SOURCES = 6  # frames that a view is rendered from
APART = 0.15  # between two of them, where 1 is the largest shift and 1 the largest turn
NEARER = 0.9  # what another frame shows at less than this share of the depth so far was hidden from the others
EDGE = 0.05  # a relative step in depth between neighbours: what is there hangs between two surfaces
SPLAT_PIXELS = 0.75  # half side of a splat, in pixels of the frame that it is from
HOLE_PX = 5  # holes narrower than this are filled
GREY = 114  # where nothing is seen
CACHED = 24  # frames


@dataclass(frozen=True, eq=False)
class _Cloud:
    """What a frame shows: points (N, 3) in the map frame, radii (N,) metres, colors (N, 3) uint8; `distance` (m) is the
    median depth, 0 where there are no points."""

    points: Float
    radii: Float
    colors: NDArray[np.uint8]
    distance: float


class NovelViews:
    """`count` views by a camera like the frames', moved and turned away from frames spread evenly over a data set."""

    def __init__(self, dataset: Dataset, count: int, width: int, height: int, seed: int = 0) -> None:
        self._dataset = dataset
        self._bases = np.arange(count) * len(dataset) // max(1, count)
        self._size = width, height
        self._seed = seed
        self._poses = np.stack([dataset.map_from_camera(index) for index in range(len(dataset))])
        self._cloud = lru_cache(maxsize=CACHED)(self._read)

    def __len__(self) -> int:
        return len(self._bases)

    def frame(self, number: int) -> Frame:
        """The view, width x height, without distortion. Its depth is inf where no frame shows anything: that is grey.
        Where none shows enough, the recorded frame.

        Raises DatasetError as the data set does.
        """
        base = int(self._bases[number])
        rng = np.random.default_rng((self._seed, number))
        camera, distance = self._camera(base), self._cloud(base).distance
        for smaller in 0.5 ** np.arange(ATTEMPTS if distance else 0):
            pose = _moved(self._poses[base], rng, smaller * MAX_TURN_DEG, smaller * MAX_SHIFT * distance)
            sources = self._sources(pose, MAX_SHIFT * distance)
            image, depth = _render([self._cloud(source) for source in sources], camera, pose)
            if np.isfinite(depth).mean() > LEAST_SEEN:
                name = f"{self._dataset.names[base]} novel {number}"
                return Frame(name, CameraImage(image, camera), pose, depth, self._dataset.place(base))
        return self._dataset.frame(base, depth=True)

    def _camera(self, index: int) -> Camera:
        return self._dataset.camera(index).undistorted().resized(*self._size)

    def _sources(self, pose: Float, shift: float) -> list[int]:
        """Frames that see much of what a camera there does, nearest first."""
        away = _apart(self._poses, pose, shift)
        sources: list[int] = []
        while len(sources) < SOURCES and np.isfinite(away).any():
            sources.append(int(np.argmin(away)))
            away[_apart(self._poses, self._poses[sources[-1]], shift) <= APART] = np.inf
        return sources

    def _read(self, index: int) -> _Cloud:
        frame = self._dataset.frame(index, depth=True)
        seen, (width, height) = frame.image.camera, self._size
        camera = self._camera(index)
        if frame.depth is None:
            return _Cloud(np.empty((0, 3)), np.empty(0), np.empty((0, 3), dtype=np.uint8), 0.0)
        image = np.asarray(
            cv2.resize(seen.undistort(frame.image.rgb), self._size, interpolation=cv2.INTER_AREA), np.uint8
        )
        depth = undistorted_depth(seen, frame.depth, width, height)
        sound = _sound(depth)
        distances = depth[sound].astype(np.float64)
        points = apply(frame.map_from_camera, camera.rays()[sound] * distances[:, None])
        radii = SPLAT_PIXELS / camera.fx * distances
        return _Cloud(points, radii, image[sound], float(np.median(distances)) if len(distances) else 0.0)


def _sound(depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where depth is known and no edge is beside."""
    around = np.ones((3, 3), dtype=np.uint8)
    farthest, nearest = cv2.dilate(depth, around), cv2.erode(np.where(depth > 0, depth, np.float32(np.inf)), around)
    return np.asarray((depth > 0) & (farthest - nearest < 2 * EDGE * depth))


def _apart(poses: Float, pose: Float, shift: float) -> Float:
    """How far poses (V, 4, 4) are from one, in largest shifts and largest turns."""
    distances, angles = pose_distances(poses, pose)
    return np.asarray(distances / shift + np.degrees(angles) / MAX_TURN_DEG)


def _moved(pose: Float, rng: np.random.Generator, turn_deg: float, shift: float) -> Float:
    """The pose turned about an axis across its view and shifted, by at most so much, in any direction."""
    across = rng.uniform(0, 2 * np.pi)
    axis = np.array([np.cos(across), np.sin(across), 0.0])
    rotation, _ = cv2.Rodrigues(axis * np.radians(rng.uniform(0, turn_deg)))
    direction = rng.normal(size=3)
    moved: Float = pose.copy()
    moved[:3, :3] = pose[:3, :3] @ rotation
    moved[:3, 3] += rng.uniform(0, shift) * direction / np.linalg.norm(direction)
    return moved


def _render(clouds: Sequence[_Cloud], camera: Camera, pose: Float) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Image and depth, inf where nothing is seen, 0 in a hole that was filled. Each cloud adds what those before do not
    show, so that it is one frame wherever possible: frames differ in light, and by what their poses are off."""
    image = np.full((camera.height, camera.width, 3), GREY, dtype=np.uint8)
    depth = np.full((camera.height, camera.width), np.inf)
    for cloud in clouds:
        numbers, found = render_points(
            cloud.points, cloud.radii, np.arange(1, len(cloud.points) + 1, dtype=np.int32), camera, pose
        )
        new = found < NEARER * depth
        image[new], depth[new] = cloud.colors[numbers[new] - 1], found[new]
    holes = np.isinf(depth).astype(np.uint8)
    narrow = holes - cv2.morphologyEx(holes, cv2.MORPH_OPEN, np.ones((HOLE_PX, HOLE_PX), dtype=np.uint8))
    filled = np.asarray(cv2.inpaint(image, narrow, 2, cv2.INPAINT_TELEA), dtype=np.uint8)
    return filled, np.where(narrow > 0, 0, depth).astype(np.float32)
