"""The report of a map: what is in it, how it was made, and where it will fail."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.types import LandmarkMap
from vloc_ros.evaluation.metrics import PoseError
from vloc_ros.evaluation.output import write_text
from vloc_ros.evaluation.records import FrameRecord
from vloc_ros.evaluation.report import plots
from vloc_ros.evaluation.report.page import page, plot, section, table, tiles
from vloc_ros.evaluation.report.svg import plotting
from vloc_ros.maps import StoredMap

CURVES = {"loss/": "loss", "held_out/median_": "held-out median"}


def write_map_report(path: Path, title: str, stored: StoredMap) -> None:
    """Write the report of a map as one HTML file. Raises ConfigError when it cannot be written."""
    landmark_map = stored.landmark_map
    mapping = json.loads(stored.files["mapping.json"])
    held_out = [FrameRecord.from_json(node) for node in mapping.get("held_out", [])]
    with plotting():
        sections = [
            tiles(_tiles(stored, held_out)),
            _landmarks(landmark_map),
            _accuracy(landmark_map, held_out),
            _training(mapping.get("curves", {})),
            section("Settings", *(table((), rows) for rows in _settings(stored))),
        ]
    write_text(path, page(title, f"map {stored.map_id}, made {landmark_map.manifest.created}", sections))


def _tiles(stored: StoredMap, held_out: list[FrameRecord]) -> dict[str, tuple[str, str]]:
    accuracy = stored.landmark_map.manifest.accuracy
    median = accuracy.get("median_translation_m")
    return {
        "landmarks": (str(len(stored.landmark_map)), ""),
        "on the disk": (f"{stored.size_bytes / 1e6:.2f} MB", ""),
        "mapping images": (str(len(stored.landmark_map.mapping_views)), ""),
        "median, held-out frames": ("none" if median is None else f"{100 * median:.2f} cm", ""),
        "held-out frames": (str(len(held_out)), ""),
    }


def _landmarks(landmark_map: LandmarkMap) -> str:
    seen = landmark_map.observations.astype(np.float64)
    return section(
        "Landmarks",
        plot(plots.three_sides(landmark_map, seen, "images that see it"), "Grey: where the mapping images were taken."),
        plot(plots.histogram(100 * landmark_map.extents, "radius, cm"), "How large the patches are."),
        plot(plots.histogram(seen, "images that see it"), "What few images see is learned badly."),
    )


def _accuracy(landmark_map: LandmarkMap, held_out: list[FrameRecord]) -> str:
    if not held_out:
        return ""
    return section(
        "Where will it fail?",
        plot(
            plots.three_sides(landmark_map, _expected_error(landmark_map, held_out), "error nearby, cm"),
            "Landmarks coloured by the error of the held-out frames taken nearest to them; a rejected frame counts as "
            f"{100 * REJECTED.translation_m:g} cm. Far from all held-out frames nothing is known.",
        ),
        plot(plots.errors_in_time(held_out), "Held-out frames, in the order of recording."),
    )


def _training(curves: dict[str, Any]) -> str:
    cards = [
        plot(plots.curves(curves, prefix, label), f"{label[0].upper()}{label[1:]} while it was trained.")
        for prefix, label in CURVES.items()
        if any(tag.startswith(prefix) for tag in curves)
    ]
    return section("Training", *cards) if cards else ""


REJECTED = PoseError(0.5, math.radians(10))


def _expected_error(landmark_map: LandmarkMap, held_out: list[FrameRecord]) -> NDArray[np.float64]:
    """For each landmark the mean error, cm, of the three held-out frames whose cameras were nearest to it."""
    centres = np.array([record.true_map_from_camera[:3, 3] for record in held_out])
    errors = np.array([100 * (record.error or REJECTED).translation_m for record in held_out])
    distances = np.linalg.norm(landmark_map.positions[:, np.newaxis] - centres, axis=2)
    nearest = np.argsort(distances, axis=1)[:, :3]
    return np.asarray(errors[nearest].mean(axis=1), dtype=np.float64)


def _settings(stored: StoredMap) -> list[list[tuple[str, str]]]:
    manifest = stored.landmark_map.manifest
    groups = (vars(manifest.gate), vars(manifest.calibration), manifest.training, manifest.accuracy)
    return [[(name.replace("_", " "), _text(value)) for name, value in group.items()] for group in groups if group]


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(entry)}" for name, entry in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
