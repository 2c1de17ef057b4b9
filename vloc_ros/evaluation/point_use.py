"""What a map's points and landmarks did for some frames: which were recognised, matched, and inliers of the pose."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.method import Observation
from vloc_ros.core.types import LandmarkMap, PoseEstimate
from vloc_ros.datasets.types import Frame
from vloc_ros.localizer import Localizer
from vloc_ros.methods.pram.recognition import LANDMARKS, TOP, Recognized
from vloc_ros.methods.query_key_points import query_key_points

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FrameUse:
    """Of one frame: its key points; the matches that the pose was found with, and how many of them are inliers; the
    guided matches, and how many of these are. All 0 where there was no pose. `points`: rows of the map's points that
    are inliers of an accepted pose.

    With a recognizer, else None: `landmarks` (L,), how many key points were recognised as each of the map's; `ranks`
    (TOP + 1,): how many key points that are inliers show the landmark that they were recognised as first, second, ...,
    and in the end those that show none of these.
    """

    name: str
    key_points: int
    matches: int
    inliers: int
    guided_matches: int
    guided_inliers: int
    points: NDArray[np.intp]
    landmarks: Counts | None
    ranks: Counts | None


@dataclass(frozen=True, eq=False)
class PointUse:
    """Of all `frames`; `counts` (P,): of how many of them each of the map's points is an inlier."""

    frames: tuple[FrameUse, ...]
    counts: Counts

    @property
    def landmarks(self) -> Counts | None:
        """How many key points of all frames were recognised as each of the map's landmarks (L,)."""
        found = [frame.landmarks for frame in self.frames if frame.landmarks is not None]
        return np.sum(found, axis=0) if found else None

    @property
    def precision(self) -> list[float] | None:
        """Of the key points that are inliers and were asked about: the share whose landmark is the first one that was
        recognised, one of the first two, one of the first three. None without a recognizer, or without inliers."""
        ranks = [frame.ranks for frame in self.frames if frame.ranks is not None]
        total = np.sum(ranks, axis=0) if ranks else np.zeros(1)
        if not total.sum():
            return None
        shares: list[float] = (total.cumsum()[:TOP] / total.sum()).tolist()
        return shares


def point_use(localizer: Localizer, frames: Iterable[Frame]) -> PointUse:
    """Localize the frames with a map that has points, and see what these did. Raises as `Localizer.localize`."""
    landmark_map = localizer.landmark_map
    points = landmark_map.points
    assert points is not None
    rows = {
        _key(place, position): row
        for row, (place, position) in enumerate(zip(points.places.tolist(), points.positions, strict=True))
    }
    used = tuple(_frame_use(localizer, frame, rows) for frame in frames)
    seen = np.concatenate([np.empty(0, np.intp), *(frame.points for frame in used)])
    return PointUse(used, np.bincount(seen, minlength=len(points)))


def _frame_use(localizer: Localizer, frame: Frame, rows: dict[tuple[int, bytes], int]) -> FrameUse:
    result, observation = localizer.localize(frame.query), localizer.observe(frame.query)
    solved = result if isinstance(result, PoseEstimate) else result.refused
    landmark_map = localizer.landmark_map
    inliers = Correspondences.empty() if solved is None else solved.correspondences[solved.inliers]
    guided = solved is not None and solved.unguided is not None
    said = _recognized(observation, landmark_map)
    used = {
        rows.get(_key(place, position), -1)
        for place, position in zip(inliers.places.tolist(), inliers.points, strict=True)
    }
    return FrameUse(
        frame.name,
        sum(len(view.pixels) for view in query_key_points(observation, landmark_map)),
        solved.evidence.correspondences if solved else 0,
        solved.evidence.inliers if solved else 0,
        len(solved.correspondences) if solved and guided else 0,
        len(inliers) if guided else 0,
        np.array(sorted(used - {-1}) if isinstance(result, PoseEstimate) else [], dtype=np.intp),
        None if said is None else _landmark_counts(said, len(landmark_map)),
        None if said is None else _ranks(said, inliers, observation, landmark_map),
    )


def _recognized(observation: Observation, landmark_map: LandmarkMap) -> list[Recognized] | None:
    """What was recognised in each view; None without a recognizer."""
    if not all(LANDMARKS in tensors for tensors in observation.tensors):
        return None
    return [Recognized.of(tensors, len(landmark_map)) for tensors in observation.tensors]


def _ranks(
    said: list[Recognized], inliers: Correspondences, observation: Observation, landmark_map: LandmarkMap
) -> Counts:
    """As `FrameUse.ranks`. Key points that the recognizer was not asked about are none with certainty."""
    counts = np.zeros(TOP + 1, dtype=np.int64)
    for view, recognized in zip(query_key_points(observation, landmark_map), said, strict=True):
        counts += _ranks_in_view(recognized, inliers[inliers.views == view.view], view.pixels, landmark_map)
    return counts


def _ranks_in_view(
    said: Recognized, inliers: Correspondences, pixels: NDArray[np.float64], landmark_map: LandmarkMap
) -> Counts:
    row_of = {pixel.tobytes(): row for row, pixel in enumerate(pixels)}
    rows = np.array([row_of.get(pixel.tobytes(), -1) for pixel in inliers.pixels], dtype=np.intp)
    asked = (rows >= 0) & (said.confidences[rows, 0] < 1) if len(rows) else np.zeros(0, np.bool_)
    recognised = np.where(said.landmarks[rows[asked]] >= 0, landmark_map.ids[said.landmarks[rows[asked]]], -1)
    hits = recognised == inliers.landmark_ids[asked][:, np.newaxis]
    ranks = np.where(hits.any(axis=1), hits.argmax(axis=1), TOP)
    return np.bincount(ranks, minlength=TOP + 1)


def _landmark_counts(said: list[Recognized], landmarks: int) -> Counts:
    first = np.concatenate([view.landmarks[:, 0] for view in said])
    return np.bincount(first[first >= 0], minlength=landmarks)


def _key(place: int, position: NDArray[np.float64]) -> tuple[int, bytes]:
    return place, position.tobytes()
