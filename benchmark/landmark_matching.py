"""Matching inside recognised landmarks against matching with the whole map, by the number of points of the map.

python benchmark/landmark_matching.py --map MAP --dataset seven_scenes --root DIR --poses FILE --split test
                                      [--points 10000 100000]

MAP is a map of `vloc map --method pram --recognition trained`. It is filled up to so many points with landmarks
that no image shows, whose points are described by the map's own descriptors with their numbers in another order.
Image after image is asked in turn, one thread. Right: matches that the recorded pose puts within 5 px.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from results import Results, add_json

from vloc_ros.cli.options import add_dataset, add_split
from vloc_ros.core.feature_spec import DESCRIPTORS, KEY_POINTS, SCORES
from vloc_ros.core.points import Points
from vloc_ros.core.types import PER_LANDMARK, Correspondences, LandmarkMap
from vloc_ros.datasets import open_dataset
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import load_localizer
from vloc_ros.methods.pram.method import RECOGNIZER
from vloc_ros.methods.pram.recognition import Recognized
from vloc_ros.methods.pram.search import Search, SearchSettings
from vloc_ros.methods.query_key_points import query_key_points

RIGHT_PX = 5.0

COLUMNS = {
    "points": "{points}",
    "landmarks": "{landmarks}",
    "recognition": "{recognition_ms:.1f} ms",
    "matching inside landmarks": "{inside_ms:.1f} ms, {inside_right:.0f} of {inside_matches:.0f} right",
    "matching with the whole map": "{whole_ms:.1f} ms, {whole_right:.0f} of {whole_matches:.0f} right",
    "matching, inside / whole": "{matching_ratio:.2f}",
    "with recognition": "{ratio:.2f}",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--map", type=Path, required=True)
    add_dataset(parser)
    add_split(parser, default="test")
    parser.add_argument("--points", nargs="+", type=int, default=[10_000, 100_000])
    parser.add_argument("--images", type=int, default=50)
    add_json(parser)
    options = parser.parse_args()
    dataset = open_dataset(options.dataset, options.root, options.split, options.poses)
    localizer = load_localizer(options.map, SessionOptions("onnxruntime", "float32", threads=1))
    rows = np.linspace(0, len(dataset) - 1, min(options.images, len(dataset))).astype(int).tolist()
    seen = []
    for row in rows:
        frame = dataset.frame(row)
        seen.append((localizer.observe(frame.image), frame.map_from_camera))
    results = Results(f"Data: {len(rows)} images of {options.dataset}, split {options.split}; medians", COLUMNS)
    for count in options.points:
        filled = filled_up(localizer.landmark_map, count)
        figures = []
        for observation, map_from_camera in seen:
            (tensors,) = observation.tensors
            given = {name: tensors[name][None] for name in (KEY_POINTS, SCORES, DESCRIPTORS)}
            _, recognition_ms = timed(lambda given=given: localizer.sessions[RECOGNIZER].run(given))  # type: ignore[misc]
            search = Search(query_key_points(observation, filled), filled, SearchSettings())
            recognized = [Recognized.of(tensors, len(filled))]
            inside, inside_ms = timed(lambda s=search, r=recognized: first(s.by_landmarks(r)))  # type: ignore[misc]
            whole, whole_ms = timed(lambda s=search: first(s.everywhere()))  # type: ignore[misc]
            camera = observation.query.views[0].image.camera.undistorted()
            right = [
                int((np.linalg.norm(camera.project(apply(invert(map_from_camera), m.points))[0] - m.pixels, axis=1)
                     < RIGHT_PX).sum()) for m in (inside, whole)
            ]  # fmt: skip
            figures.append((recognition_ms, inside_ms, whole_ms, len(inside), len(whole), *right))
        recognition_ms, inside_ms, whole_ms, *counts = np.median(figures, axis=0).tolist()
        names = ("inside_matches", "whole_matches", "inside_right", "whole_right")
        assert filled.points is not None
        results.add(
            points=len(filled.points),
            landmarks=len(filled),
            recognition_ms=recognition_ms,
            inside_ms=inside_ms,
            whole_ms=whole_ms,
            matching_ratio=inside_ms / whole_ms,
            ratio=(recognition_ms + inside_ms) / whole_ms,
            **dict(zip(names, counts, strict=True)),
        )
    results.write(options.json)


def timed(task: Callable[[], object]) -> tuple[Correspondences, float]:
    """What a task gives, and the least milliseconds of three runs."""
    times = []
    for _ in range(3):
        since = time.perf_counter()
        found = task()
        times.append(1e3 * (time.perf_counter() - since))
    return found, min(times)  # type: ignore[return-value]


def first(proposals: Iterator[Correspondences]) -> Correspondences:
    """The first proposal, which is the likeliest."""
    return next(proposals, Correspondences.empty())


def filled_up(landmark_map: LandmarkMap, count: int) -> LandmarkMap:
    """The map with more landmarks, until it has so many points."""
    points = landmark_map.points
    assert points is not None
    copies = -(-max(0, count - len(points)) // len(points))
    parts = [points]
    for copy in range(1, copies + 1):
        order = np.random.default_rng(copy).permutation(points.descriptors.shape[1])
        regions = (points.regions + copy * len(landmark_map)).astype(np.int32)
        parts.append(replace(points, descriptors=points.descriptors[:, order], regions=regions))
    joined = {name: np.concatenate([getattr(part, name) for part in parts])[:count] for name in vars(points)
              if isinstance(getattr(points, name), np.ndarray)}  # fmt: skip
    per_landmark = {name: np.concatenate([getattr(landmark_map, name)] * (copies + 1)) for name in PER_LANDMARK}
    per_landmark["ids"] = np.arange(1, len(per_landmark["ids"]) + 1, dtype=np.int32)
    places = np.concatenate([landmark_map.places] * (copies + 1))
    changes: dict[str, Any] = {**per_landmark, "places": places, "points": Points(**joined)}
    return replace(landmark_map, **changes)


if __name__ == "__main__":
    main()
