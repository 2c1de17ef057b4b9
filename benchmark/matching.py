"""Time of matching key points with the points of a map: of the whole map, near a prior, inside of recognised landmarks.

python benchmark/matching.py [--points 10000 100000] [--key-points 1024] [--dimensions 64] [--rounds 15]

The points fill a building whose rooms are all alike in size, 10,000 points each; the camera stands in one of them. A
recognizer gives each key point three landmarks, the right one among them. What is timed is the proposal alone, by the
processor time of its one thread, the ways in turn: neither the networks nor the pose.
"""

import time
from collections.abc import Callable

import numpy as np
from in_turn import threads
from inputs import PRIOR_SIGMAS, add_counts, plain_parser
from numpy.typing import NDArray
from results import Results

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.feature_spec import ONNX, FeatureSpec, extractor_spec
from vloc_ros.core.manifest import Manifest
from vloc_ros.core.points import Points
from vloc_ros.core.query import Prior
from vloc_ros.core.types import LandmarkMap
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.rig import RigCamera
from vloc_ros.methods.pram.recognition import Recognized
from vloc_ros.methods.pram.search import Search, SearchSettings
from vloc_ros.methods.query_key_points import ViewKeyPoints

CAMERA = Camera(640, 480, 525.0, 525.0, 319.5, 239.5)
ROOM_M, POINTS_OF_ROOM = 6.0, 10000
POINTS_OF_LANDMARK = 80
SHOWN = 0.5  # of the key points show a point of the map
NOISE = 0.05  # of each number of a descriptor
COLUMNS = {
    "points": "{points}",
    "landmarks": "{landmarks}",
    "whole map": "{everywhere_ms:.1f} ms",
    "near a prior": "{near_ms:.1f} ms",
    "best landmarks": "{best_landmarks_ms:.1f} ms",
    "next landmarks": "{next_landmarks_ms:.1f} ms",
    "best landmarks over whole map": "{ratio:.2f}",
}


def main() -> None:
    parser = plain_parser(__doc__)
    add_counts(parser, "--points", [10_000, 100_000])
    parser.add_argument("--key-points", type=int, default=1024)
    parser.add_argument("--dimensions", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    results = Results(
        f"Data: random descriptors of {options.dimensions} numbers, {options.key_points} key points", COLUMNS
    )
    for count in options.points:
        landmark_map = building(count, options.dimensions)
        with threads(1):
            taken = measured(landmark_map, options.key_points, options.rounds)
        results.add(
            points=count,
            landmarks=len(landmark_map),
            ratio=taken["best_landmarks_ms"] / taken["everywhere_ms"],
            **taken,
        )
    results.write(options.json)


def building(count: int, dimensions: int) -> LandmarkMap:
    """Rooms side by side along x, of points on their walls, in landmarks from left to right."""
    rng = np.random.default_rng(0)
    rooms = max(1, count // POINTS_OF_ROOM)
    positions = rng.uniform((0.0, -1.5, -ROOM_M / 2), (ROOM_M * rooms, 1.5, ROOM_M / 2), (count, 3))
    positions = positions[np.argsort(positions[:, 0], kind="stable")]
    inwards = np.where(positions[:, 2:] > 0, -1.0, 1.0) * [0.0, 0.0, 1.0]
    regions = (np.arange(count) // POINTS_OF_LANDMARK).astype(np.int32)
    landmarks = int(regions.max()) + 1
    extractor = extractor_spec(CAMERA.width, CAMERA.height, 1024, dimensions)
    size, features = (CAMERA.width, CAMERA.height), FeatureSpec(ONNX, 1024, dimensions, "0" * 64)
    return LandmarkMap(
        ids=np.arange(1, landmarks + 1, dtype=np.int32),
        positions=positions[::POINTS_OF_LANDMARK][:landmarks],
        normals=np.tile([0.0, 0.0, 1.0], (landmarks, 1)),
        extents=np.ones(landmarks),
        observations=np.ones(landmarks, np.int32),
        manifest=Manifest("pram", "map", "", size, {"extractor": extractor}, features=features),
        points=Points(
            positions=positions,
            descriptors=np.rint(127 * unit(rng.standard_normal((count, dimensions)))).astype(np.int8),
            regions=regions,
            places=np.zeros(count, np.int32),
            directions=inwards,
            distances=np.tile([0.5, ROOM_M], (count, 1)),
        ),
    )


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def measured(landmark_map: LandmarkMap, key_points: int, rounds: int) -> dict[str, float]:
    """Median milliseconds of each way, these taking turns."""
    view, recognized, prior = scene(landmark_map, key_points)
    search = Search([view], landmark_map, SearchSettings())

    def proposal(number: int, proposals: Callable[[], object]) -> Callable[[], Correspondences]:
        def run() -> Correspondences:
            found = iter(proposals())  # type: ignore[call-overload]
            return [next(found) for _ in range(number)][-1]  # type: ignore[no-any-return]

        return run

    ways = {
        "everywhere_ms": proposal(1, search.everywhere),
        "near_ms": lambda: search.near(prior),
        "best_landmarks_ms": proposal(1, lambda: search.by_landmarks([recognized])),
        "next_landmarks_ms": proposal(2, lambda: search.by_landmarks([recognized])),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, run in ways.items():
            start = time.thread_time()
            found = run()
            taken[name].append((time.thread_time() - start) * 1e3)
            assert len(found), name
    times = {name: float(np.median(each[1:])) for name, each in taken.items()}
    times["next_landmarks_ms"] -= times["best_landmarks_ms"]  # it is the second proposal, after the first one
    return times


def scene(landmark_map: LandmarkMap, key_points: int) -> tuple[ViewKeyPoints, Recognized, Prior]:
    """What the camera sees in the middle of the first room, what is recognised of it, and a prior there."""
    rng, points = np.random.default_rng(1), landmark_map.points
    assert points is not None
    pose = np.eye(4)
    pose[:3, 3] = ROOM_M / 2, 0.0, -ROOM_M / 2
    pixels, depths = CAMERA.project(points.positions - pose[:3, 3])
    inside = (pixels > 0).all(axis=1) & (pixels < (CAMERA.width, CAMERA.height)).all(axis=1)
    inside &= (depths > 1) & (points.directions[:, 2] < 0)
    shown = rng.permutation(np.flatnonzero(inside))[: round(SHOWN * key_points)]
    clutter = key_points - len(shown)
    order = rng.permutation(key_points)
    noisy = points.unit_descriptors[shown] + rng.normal(0, NOISE, (len(shown), points.descriptors.shape[1]))
    descriptors = unit(np.concatenate([noisy, rng.standard_normal((clutter, noisy.shape[1]))]))[order]
    seen = np.concatenate([pixels[shown], rng.uniform((0, 0), (CAMERA.width, CAMERA.height), (clutter, 2))])[order]
    near = np.unique(points.regions[inside])
    landmarks = rng.choice(near, (key_points, 3)).astype(np.int32)
    landmarks[: len(shown), 0] = points.regions[shown]
    confidences = np.tile(np.array([0.7, 0.2, 0.1], np.float32), (key_points, 1))
    view = ViewKeyPoints(0, RigCamera(CAMERA), seen, 1.0, descriptors)
    return view, Recognized(landmarks[order], confidences), Prior(pose, np.diag(PRIOR_SIGMAS**2))


if __name__ == "__main__":
    main()
