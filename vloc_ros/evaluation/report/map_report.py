"""The report of a map: what is in it, how it was made, and where it will fail."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.points import Points
from vloc_ros.core.types import LandmarkMap
from vloc_ros.evaluation.records import FrameRecord, worst_first
from vloc_ros.evaluation.report import floor_plan, plots
from vloc_ros.evaluation.report.changes_section import changes_section
from vloc_ros.evaluation.report.deployment_section import deployment_section
from vloc_ros.evaluation.report.mapping_record import Curves, decode_preview, read_mapping_record
from vloc_ros.evaluation.report.page import page, picture, plot, section, table, tiles
from vloc_ros.evaluation.report.svg import plotting
from vloc_ros.files import write_text
from vloc_ros.maps import StoredMap

WORST_FRAMES = 8
REJECTED_CM = 50.0
IN_VIEW = math.cos(math.radians(30))  # of the optical axis
SEEN = "images that see it"
INLIERS = "inliers"
INLIERS_CAPTION = "How many matches that were found without a pose its inliers are, in each held-out frame."
LANDMARK_CAPTIONS = (
    "Arrows: where some of the mapping images were taken.",
    "What few images see is learned badly.",
    floor_plan.UP_IS,
)
ACCURACY_CAPTIONS = (
    f"Mean error of the held-out frames (arrows) that look there; a rejected one counts as {REJECTED_CM:g} cm.",
    "Grey: none looks there, nothing is known.",
)
LOOPS = "loops"
PASSES = {
    "disagreements": "passes that disagreed before poses were adjusted",
    "unexplained": "passes that disagree, or places that look alike",
}
CURVES = {"loss/": "loss", "held_out/median_": "held-out median"}


def write_map_report(path: Path, title: str, stored: StoredMap) -> None:
    """Write the report of a map as one HTML file. Raises ConfigError when it cannot be written, MapError for a map
    whose mapping.json is not one."""
    landmark_map = stored.landmark_map
    past = read_mapping_record(stored)
    curves, held_out = past.curves, past.held_out
    places = landmark_map.manifest.result_places
    with plotting():
        sections = [
            tiles(_tiles(stored, held_out)),
            *(_landmarks(place, landmark_map.of_place(place)) for place in places),
            changes_section(landmark_map.manifest.training.get("update"), held_out),
            preview_section(stored),
            *(deployment_section(place, landmark_map, past) for place in places),
            *(_accuracy(place, landmark_map.of_place(place), held_out) for place in places),
            _training(curves),
            _points(stored, held_out),
            *(pose_section(name, loops) for name, loops in landmark_map.manifest.training.items()),
            section("Settings", *(table((), rows) for rows in _settings(stored))),
        ]
    write_text(path, page(title, f"map {stored.map_id}, made {landmark_map.manifest.created}", sections))


def _tiles(stored: StoredMap, held_out: list[FrameRecord]) -> dict[str, tuple[str, str]]:
    accuracy, training = stored.landmark_map.manifest.accuracy, stored.landmark_map.manifest.training
    median = accuracy.get("median_translation_m")
    # For people, so that anything may stand there.
    known = f"{100 * median:.2f} cm" if isinstance(median, int | float) else "none"
    return {
        "landmarks": (str(len(stored.landmark_map)), ""),
        "on the disk": (f"{stored.size_bytes / 1e6:.2f} MB", ""),
        "mapping images": (str(len(stored.landmark_map.mapping_views)), ""),
        "median, held-out frames": (known, ""),
        "held-out frames": (str(len(held_out)), ""),
        **_recognition_tile(training.get("recognition_held_out")),
    }


def _recognition_tile(precision: object) -> dict[str, tuple[str, str]]:
    """Of a map with a recognizer, whose record says how well that does."""
    shares = [precision.get(f"top_{k}") for k in (1, 2, 3)] if isinstance(precision, dict) else [None]
    if not all(isinstance(share, int | float) for share in shares):
        return {}
    text = " / ".join(f"{100 * share:.0f}" for share in shares if share is not None)
    return {"landmark among the best 1 / 2 / 3 recognised": (f"{text} %", "")}


def _landmarks(place: str | None, landmark_map: LandmarkMap) -> str:
    seen = landmark_map.observations.astype(np.float64)
    cameras = landmark_map.mapping_views
    return section(
        _titled("Landmarks", place),
        *(
            plot(floor_plan.landmarks(landmark_map, seen, SEEN, side, cameras, least_high=1, few_is_bad=True), caption)
            for side, caption in zip(floor_plan.SIDES, LANDMARK_CAPTIONS, strict=True)
        ),
        plot(plots.histogram(100 * landmark_map.extents, "radius, cm"), "How large the patches are."),
        plot(plots.histogram(seen, SEEN), "How often they are seen."),
    )


def _titled(title: str, place: str | None) -> str:
    return f"{title}: place {place}" if place else title


def preview_section(stored: StoredMap) -> str:
    """The map's preview; nothing where it cannot be decoded."""
    rgb = decode_preview(stored)
    return "" if rgb is None else section("Preview", picture(rgb, "The preview in the map's directory."))


def _accuracy(place: str | None, landmark_map: LandmarkMap, all_held_out: list[FrameRecord]) -> str:
    held_out = [record for record in all_held_out if record.true_place == place]
    if not held_out:
        return ""
    errors, cameras = _error_of_views(landmark_map, held_out), np.array([r.true_map_from_camera for r in held_out])
    return section(
        _titled("Where will it fail?", place),
        *(
            plot(
                floor_plan.landmarks(
                    landmark_map, errors, "error, cm", side, cameras, least_high=floor_plan.BAD_CM, few_is_bad=False
                ),
                caption,
            )
            for side, caption in zip(("from above", "from the side"), ACCURACY_CAPTIONS, strict=True)
        ),
        plot(plots.errors_in_time(held_out), "The held-out frames: images that were kept from the training."),
        table(("worst held-out frames", "cm", "deg", "confidence"), _worst(held_out)),
    )


def _error_of_views(landmark_map: LandmarkMap, held_out: list[FrameRecord]) -> NDArray[np.float64]:
    """For each landmark the mean error, cm, of the held-out frames that look at its front; NaN where none does.

    A rejected frame, and one taken for another place, counts as REJECTED_CM. What stands in the way is not known.
    """
    total, count = np.zeros(len(landmark_map)), np.zeros(len(landmark_map))
    for record in held_out:
        pose = record.true_map_from_camera
        towards = landmark_map.positions - pose[:3, 3]
        towards /= np.linalg.norm(towards, axis=1, keepdims=True)
        looked_at = (towards @ pose[:3, 2] > IN_VIEW) & ((towards * landmark_map.normals).sum(axis=1) < 0)
        total += looked_at * (REJECTED_CM if (cm := _distance_cm(record)) is None else cm)
        count += looked_at
    total[count == 0] = np.nan
    return total / np.maximum(1, count)


def _distance_cm(record: FrameRecord) -> float | None:
    """The error, None where there is none: rejected, or taken for another place."""
    return 100 * record.error.translation_m if record.error and record.error.in_right_place else None


def _worst(held_out: list[FrameRecord]) -> list[tuple[str, str, str, str]]:
    return [
        (
            record.name,
            _verdict(record),
            f"{math.degrees(record.error.rotation_rad):.2f}" if record.error and record.error.in_right_place else "",
            f"{record.solved.confidence:.2f}" if record.solved else "",
        )
        for record in worst_first(held_out)[:WORST_FRAMES]
    ]


def _verdict(record: FrameRecord) -> str:
    if record.error is None:
        return "rejected"
    return f"{100 * record.error.translation_m:.2f}" if record.error.in_right_place else f"taken for {record.place}"


def _training(curves: Curves) -> str:
    cards = [
        plot(plots.curves(curves, prefix, label), f"{label[0].upper()}{label[1:]} while it was trained.")
        for prefix, label in CURVES.items()
        if any(tag.startswith(prefix) and points for tag, points in curves.items())
    ]
    return section("Training", *cards) if cards else ""


def _points(stored: StoredMap, held_out: list[FrameRecord]) -> str:
    """Of a map that has points: their features, how many are found in an image, and what takes how much room."""
    points, features = stored.landmark_map.points, stored.landmark_map.manifest.features
    if points is None:
        return ""
    found = [float(record.solved.inliers) for record in held_out if record.solved]
    rows = [("points", str(len(points))), ("of them in a landmark (median)", _per_landmark(points))]
    rows += [(name.replace("_", " "), str(value)) for name, value in vars(features).items()] if features else []
    rows += [(f"lens, {place}", lens.describe()) for place, lens in stored.landmark_map.manifest.lenses.items()]
    rows += _moved_poses(stored.landmark_map.manifest.training)
    sizes = [(name, f"{len(content) / 1e3:.1f} kB") for name, content in stored.files.items()]
    return section(
        "Points",
        plot(
            plots.histogram(points.distances[:, 1], "distance, m", "points"), "The farthest from which they were seen."
        ),
        *([plot(plots.histogram(np.array(found), INLIERS, "held-out frames"), INLIERS_CAPTION)] if found else []),
        table((), rows),
        table((), sizes),
    )


def _moved_poses(training: Mapping[str, Any]) -> list[tuple[str, str]]:
    """By how much the mapping poses were adjusted, of maps that say it."""
    match training:
        case {
            "poses_moved_m": {"median": moved, "most": farthest},
            "poses_turned_deg": {"median": turned, "most": most},
        }:
            by = f"{100 * moved:.2f} cm, {turned:.2f} deg (median), {100 * farthest:.2f} cm, {most:.2f} deg at most"
            return [("poses adjusted by", by)]
    return []


def pose_section(name: str, loops: object) -> str:
    """Of a map whose poses were checked: whether they agree where frames show the same. `name` of the entry in what the
    map tells of its making, for one place `loops`; nothing for other entries."""
    if not (name == LOOPS or name.startswith(f"{LOOPS}_")) or not isinstance(loops, Mapping):
        return ""
    rows = [(key.replace("_", " "), _text(value)) for key, value in loops.items() if not isinstance(value, list)]
    passes = [
        table((title, "", "m", "deg"), [_disagreement(each) for each in loops[key]])
        for key, title in PASSES.items()
        if isinstance(loops.get(key), list)
    ]
    return section(_titled("Poses", name.removeprefix(LOOPS).removeprefix("_")), table((), rows), *passes)


def _disagreement(told: object) -> tuple[str, str, str, str]:
    """For people, so that anything may stand there."""
    match told:
        case {"first": first, "second": second, "metres": int() | float() as m, "degrees": int() | float() as deg}:
            return str(first), str(second), f"{m:.3f}", f"{deg:.2f}"
    return _text(told), "", "", ""


def _per_landmark(points: Points) -> str:
    return f"{np.median(np.unique(points.regions, return_counts=True)[1]):.0f}"


def _settings(stored: StoredMap) -> list[list[tuple[str, str]]]:
    manifest = stored.landmark_map.manifest
    groups = (vars(manifest.gate), vars(manifest.calibration), manifest.training, manifest.accuracy)
    return [[(name.replace("_", " "), _text(value)) for name, value in group.items()] for group in groups if group]


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(entry)}" for name, entry in value.items())
    if isinstance(value, list):
        return "; ".join(map(_text, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
