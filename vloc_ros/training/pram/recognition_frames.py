"""What the recognizer learns from: the key points of frames, and the landmark of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from vloc_ros.core.arrays import require_finite
from vloc_ros.features.types import KeyPoints
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.mapping.frame_features import FeatureSource
from vloc_ros.mapping.point_regions import PointRegions
from vloc_ros.mapping.point_selection import point_descriptors
from vloc_ros.progress import Advance, no_advance

Float = NDArray[np.float64]
Ints = NDArray[np.int32]

NEAR_PX = 3.0  # between a key point and where a point that it shows projects
SAME_COSINE = 0.7  # of their descriptors: what is hidden behind something looks otherwise


@dataclass(frozen=True, eq=False)
class RecognitionFrames:
    """The K best key points of F frames, as an extractor gives them: key_points (F, K, 2) float32, scores (F, K)
    float32, 0 where there is none, descriptors (F, K, D) float16; labels (F, K) int32: k for landmark k - 1 of the map,
    0 for none. `size`: width and height of the images; `landmarks`: how many the map has; places (F,): the number of
    each frame's place, and `place_of_landmark` (landmarks,)."""

    key_points: NDArray[np.float32]
    scores: NDArray[np.float32]
    descriptors: NDArray[np.float16]
    labels: Ints
    places: Ints
    place_of_landmark: Ints
    size: tuple[int, int]

    def __post_init__(self) -> None:
        frames, count = self.scores.shape
        require_finite("recognition: key points", self.key_points, (frames, count, 2))
        require_finite("recognition: descriptors", self.descriptors, (frames, count, None))
        require_finite("recognition: labels", self.labels, (frames, count))
        require_finite("recognition: places", self.places, (frames,))

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: NDArray[np.intp]) -> "RecognitionFrames":
        """Some of the frames."""
        chosen = {name: getattr(self, name)[rows] for name in PER_FRAME}
        return RecognitionFrames(**chosen, place_of_landmark=self.place_of_landmark, size=self.size)

    @property
    def landmarks(self) -> int:
        return len(self.place_of_landmark)


PER_FRAME = ("key_points", "scores", "descriptors", "labels", "places")


class PointLabeller:
    """Which landmark each key point of an image of one place shows."""

    def __init__(self, regions: PointRegions, features: FeatureSource) -> None:
        """`features`: those that the reconstruction of `regions` was made of."""
        self._points, self._labels = regions.reconstruction, regions.landmarks.point_labels
        count = len(self._points)
        self._descriptors = point_descriptors(self._points, features, np.arange(count))
        self._order = np.argsort(self._points.frames, kind="stable")
        frames = np.arange(len(self._points.names) + 1)
        self._ends = np.searchsorted(self._points.frames[self._order], frames)

    def of_mapping_frame(self, frame: int, found: KeyPoints) -> Ints:
        """Labels (N,) of a frame of the reconstruction: the landmark of the point that a key point observes, or that
        projects next to it."""
        labels = self.of_image(found, self._points.map_from_camera[frame], self._points.camera)
        observed = self._order[self._ends[frame] : self._ends[frame + 1]]
        labels[self._points.rows[observed]] = self._labels[self._points.points[observed]]
        return labels

    def of_image(self, found: KeyPoints, map_from_camera: Float, camera: Camera) -> Ints:
        """Labels (N,) of any image, undistorted, whose pose is known: the landmark of the nearest point that projects
        within NEAR_PX and has a descriptor of a cosine of at least SAME_COSINE."""
        labels = np.zeros(len(found), dtype=np.int32)
        pixels, _ = camera.project(apply(invert(map_from_camera), self._points.positions))
        inside = ((pixels > -0.5) & (pixels < [camera.width - 0.5, camera.height - 0.5])).all(axis=1)  # NaN is not
        rows = np.flatnonzero(inside)
        if not len(rows) or not len(found):
            return labels
        apart, nearest = cKDTree(pixels[rows]).query(found.pixels, k=min(3, len(rows)), distance_upper_bound=NEAR_PX)
        apart, nearest = apart.reshape(len(found), -1), nearest.reshape(len(found), -1)
        for apart_n, nearest_n in reversed(list(zip(apart.T, nearest.T, strict=True))):  # the nearest has the last word
            near = np.flatnonzero(np.isfinite(apart_n))
            points = rows[nearest_n[near]]
            same = (found.descriptors[near] * self._descriptors[points]).sum(axis=1) >= SAME_COSINE
            labels[near[same]] = self._labels[points[same]]
        return labels


def recognition_frames(
    places: Sequence[tuple[PointRegions, FeatureSource]], key_points: int, advance: Advance = no_advance
) -> RecognitionFrames:
    """The `key_points` best ones of all mapping frames of all places, with their labels: landmarks are numbered place
    after place. Nothing but cached features is read."""
    parts: list[tuple[KeyPoints, Ints, int]] = []
    total, before = sum(len(regions.reconstruction.names) for regions, _ in places), 0
    for number, (regions, features) in enumerate(places):
        labeller = PointLabeller(regions, features)
        for frame in range(len(regions.reconstruction.names)):
            found = features.key_points(frame)
            labels = labeller.of_mapping_frame(frame, found)
            parts.append((found, np.where(labels > 0, labels + before, 0), number))
            advance(len(parts), total)
        before += len(regions.landmarks)
    return _of_places(parts, key_points, [regions for regions, _ in places])


@dataclass(frozen=True, eq=False)
class PosedImages:
    """Key points of F images that a reconstruction was not made of, undistorted, and their poses (F, 4, 4)."""

    features: FeatureSource
    map_from_camera: Float


def labelled_images(
    places: Sequence[tuple[PointRegions, FeatureSource, PosedImages]], key_points: int
) -> RecognitionFrames:
    """The same of images that the reconstructions were not made of; landmarks have the same numbers."""
    parts: list[tuple[KeyPoints, Ints, int]] = []
    before = 0
    for number, (regions, features, images) in enumerate(places):
        labeller, camera = PointLabeller(regions, features), regions.reconstruction.camera
        for row, pose in enumerate(images.map_from_camera):
            found = images.features.key_points(row)
            labels = labeller.of_image(found, pose, camera)
            parts.append((found, np.where(labels > 0, labels + before, 0), number))
        before += len(regions.landmarks)
    return _of_places(parts, key_points, [regions for regions, _, _ in places])


def _of_places(
    parts: Sequence[tuple[KeyPoints, Ints, int]], key_points: int, places: Sequence[PointRegions]
) -> RecognitionFrames:
    counts, camera = [len(regions.landmarks) for regions in places], places[0].reconstruction.camera
    of_landmark = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    return stacked(parts, key_points, of_landmark, (camera.width, camera.height))


def stacked(
    parts: Sequence[tuple[KeyPoints, Ints, int]], key_points: int, place_of_landmark: Ints, size: tuple[int, int]
) -> RecognitionFrames:
    """The best key points, their labels and the number of its place of each frame, as arrays."""
    frames, dimensions = len(parts), parts[0][0].descriptors.shape[1]
    pixels = np.zeros((frames, key_points, 2), dtype=np.float32)
    scores = np.zeros((frames, key_points), dtype=np.float32)
    descriptors = np.zeros((frames, key_points, dimensions), dtype=np.float16)
    labels = np.zeros((frames, key_points), dtype=np.int32)
    for row, (found, of_key_point, _) in enumerate(parts):
        count = min(key_points, len(found))
        pixels[row, :count], scores[row, :count] = found.pixels[:count], found.scores[:count]
        descriptors[row, :count], labels[row, :count] = found.descriptors[:count], of_key_point[:count]
    places = np.array([number for _, _, number in parts], dtype=np.int32)
    return RecognitionFrames(pixels, scores, descriptors, labels, places, place_of_landmark, size)
