"""Matching inside recognised landmarks against matching with the whole map, by the number of points of the map.

python benchmark/landmark_matching.py --map MAP --dataset seven_scenes --root DIR --poses FILE --split test
                                      [--points 10000 100000]

MAP is a map of `vloc map --method pram --recognition trained` for one place. With as many points as it has, landmarks
are what its recognizer says. For more, the map is SIMULATED: its points stand in further places too, with descriptors
that are turned away from the true ones to a cosine of 0.7 (mean), and landmarks are what the map's own recognizer says,
as one that knows all these places would say it at best; its time is that of an untrained one with so many landmarks.
Image after image is asked in turn, one thread. Right: matches in the right place that the recorded pose puts within
5 px.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from in_turn import some_of, threads
from inputs import add_counts, data_of, parser_of
from numpy.typing import NDArray
from results import Results

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.feature_spec import DESCRIPTORS, KEY_POINTS, SCORES
from vloc_ros.core.manifest import places_apart
from vloc_ros.core.method import Observation
from vloc_ros.core.points import Points
from vloc_ros.core.session import Session
from vloc_ros.core.types import PER_LANDMARK
from vloc_ros.datasets import open_dataset
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.inference import SessionOptions, open_session
from vloc_ros.localizer import Localizer, load_localizer
from vloc_ros.mapping.frame_features import quantized
from vloc_ros.methods.pram.method import RECOGNIZER
from vloc_ros.methods.pram.recognition import Recognized
from vloc_ros.methods.pram.search import Search, SearchSettings
from vloc_ros.methods.query_key_points import query_key_points
from vloc_ros.training.pram.deploy import export_recognizer
from vloc_ros.training.pram.network import PRESETS, Recognizer

T = TypeVar("T")
RIGHT_PX = 5.0
ONE_THREAD = SessionOptions("onnxruntime", "float32", threads=1)
RUNS = 3  # of which the fastest counts

COLUMNS = {
    "points": "{points:,}",
    "landmarks": "{landmarks:,}",
    "labels": "{labels}",
    "recognition": "{recognition_ms:.1f} ms",
    "matching inside landmarks": "{inside_ms:.1f} ms, {inside_right:.0f} of {inside_matches:.0f} right",
    "matching with the whole map": "{whole_ms:.1f} ms, {whole_right:.0f} of {whole_matches:.0f} right",
    "matching, inside / whole": "{matching_ratio:.2f}",
    "with recognition": "{ratio:.2f}",
}


def main() -> None:
    parser = parser_of(__doc__)
    add_counts(parser, "--points", [10_000, 100_000])
    parser.add_argument("--images", type=int, default=50)
    options = parser.parse_args()
    frames = some_of(open_dataset(options.dataset, options.root, options.split, options.poses), options.images)
    with threads(1):
        localizer = load_localizer(options.map, ONE_THREAD)
        seen = [
            (localizer.observe(frame.image), frame.map_from_camera) for frame in map(frames.frame, range(len(frames)))
        ]
        results = Results(f"{data_of(options, len(frames))}; medians", COLUMNS)
        for asked in (filled_up(localizer, count) for count in options.points):
            taken = [measured(asked, observation, pose) for observation, pose in seen]
            figures = {name: float(np.median([each[name] for each in taken])) for name in taken[0]}
            results.add(
                **described(asked, simulated=asked is not localizer),
                **figures,
                matching_ratio=figures["inside_ms"] / figures["whole_ms"],
                ratio=(figures["recognition_ms"] + figures["inside_ms"]) / figures["whole_ms"],
            )
    results.write(options.json)


def described(localizer: Localizer, *, simulated: bool) -> dict[str, int | str]:
    points = localizer.landmark_map.points
    assert points is not None
    labels = "simulated" if simulated else "recognised"
    return {"points": len(points), "landmarks": len(localizer.landmark_map), "labels": labels}


def measured(localizer: Localizer, observation: Observation, map_from_camera: NDArray[np.float64]) -> dict[str, float]:
    """Milliseconds of each way, its matches, and how many of them are right."""
    landmark_map, (tensors,) = localizer.landmark_map, observation.tensors
    given = {name: tensors[name][None] for name in (KEY_POINTS, SCORES, DESCRIPTORS)}
    _, recognition_ms = timed(lambda: localizer.sessions[RECOGNIZER].run(given))
    search = Search(query_key_points(observation, landmark_map), landmark_map, SearchSettings())
    recognized = [Recognized.of(tensors, len(landmark_map))]
    camera = observation.query.views[0].image.camera.undistorted()
    ways: dict[str, Callable[[], Iterator[Correspondences]]] = {
        "inside": lambda: search.by_landmarks(recognized),
        "whole": search.everywhere,
    }
    found = {"recognition_ms": recognition_ms}
    for name, proposals in ways.items():
        matches, found[f"{name}_ms"] = timed(lambda of=proposals: next(of(), Correspondences.empty()))  # type: ignore[misc]
        pixels, _ = camera.project(apply(invert(map_from_camera), matches.points))
        near = np.linalg.norm(pixels - matches.pixels, axis=1) < RIGHT_PX
        found |= {f"{name}_matches": len(matches), f"{name}_right": int((near & (matches.places == 0)).sum())}
    return found


def timed(task: Callable[[], T]) -> tuple[T, float]:
    """What a task gives, and the least milliseconds of RUNS."""
    times = []
    for _ in range(RUNS):
        since = time.perf_counter()
        found = task()
        times.append(1e3 * (time.perf_counter() - since))
    return found, min(times)


def filled_up(localizer: Localizer, count: int) -> Localizer:
    """With as many points, in further places; the localizer itself if it has them."""
    landmark_map = localizer.landmark_map
    points, manifest = landmark_map.points, landmark_map.manifest
    assert points is not None
    if len(points) >= count:
        return localizer
    copies = -(-count // len(points))
    parts = [points, *(moved(points, copy, len(landmark_map)) for copy in range(1, copies))]
    joined = {name: np.concatenate([getattr(part, name) for part in parts])[:count] for name in POINT_ARRAYS}
    landmarks = len(landmark_map) * copies
    rows: dict[str, Any] = {name: np.concatenate([getattr(landmark_map, name)] * copies) for name in PER_LANDMARK}
    simulated = replace(
        landmark_map,
        **{**rows, "ids": np.arange(1, landmarks + 1, dtype=np.int32)},
        manifest=replace(manifest, places=places_apart([f"place_{copy}" for copy in range(copies)], "map"), lenses={}),
        places=np.repeat(np.arange(copies, dtype=np.int32), len(landmark_map)),
        correction=None,
        points=Points(**joined),
    )
    sessions = {**localizer.sessions, RECOGNIZER: untrained(localizer, landmarks)}
    return replace(localizer, landmark_map=simulated, sessions=sessions)


POINT_ARRAYS = ("positions", "descriptors", "regions", "places", "directions", "distances")


def moved(points: Points, copy: int, landmarks: int) -> Points:
    """The points in another place, where things look somewhat alike."""
    noise = np.random.default_rng(copy).standard_normal(points.descriptors.shape)
    alike = points.unit_descriptors + noise / np.linalg.norm(noise, axis=1, keepdims=True)
    alike /= np.linalg.norm(alike, axis=1, keepdims=True)
    return replace(
        points,
        descriptors=quantized(alike.astype(np.float32)),
        regions=(points.regions + copy * landmarks).astype(np.int32),
        places=np.full(len(points), copy, dtype=np.int32),
    )


def untrained(localizer: Localizer, landmarks: int) -> Session:
    """A recognizer of so many landmarks, for its time."""
    manifest = localizer.landmark_map.manifest
    assert manifest.features is not None
    settings = PRESETS[manifest.training.get("preset", "small")]
    network = Recognizer(landmarks, manifest.features.dimensions, manifest.image_size, settings)
    content, spec = export_recognizer(network, manifest.features.key_points)
    return open_session({"float32": content}, spec, ONE_THREAD)


if __name__ == "__main__":
    main()
