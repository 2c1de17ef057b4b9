"""`vloc inspect` of a building: a table of its places, and what is damaged."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vloc_ros.core.place_index import INT8_SCALE, PlaceIndex
from vloc_ros.errors import ConfigError, MapError, printable
from vloc_ros.evaluation.metrics import RIGHT_RECALL, median_text
from vloc_ros.geometry.pose_error import RIGHT_POSE
from vloc_ros.inference import open_sessions
from vloc_ros.maps import StoredBuilding, StoredMap, require_signature
from vloc_ros.maps.building import read_building, read_places

ASKED = 256  # points of a place that say which other place looks most like it
COLUMNS = (
    "place",
    "map",
    "size",
    "points",
    "box",
    "views",
    "held out",
    f"within {RIGHT_POSE}",
    "rejected",
    "most like",
)


def inspect_building(options: argparse.Namespace) -> int:
    """Print what there is to say. Raises MapError for one that is damaged, after the table of what is not."""
    if options.report:
        raise ConfigError(f"--report: there is none of a building; give one of {options.map}/places")
    rows: list[tuple[str, ...]] = []
    faults: list[str] = []
    networks: list[Mapping[Any, Any]] = []
    for name, found in read_places(options.map):
        if isinstance(found, MapError):
            faults.append(str(found))
            rows.append((name, "damaged", *[""] * (len(COLUMNS) - 3)))
            continue
        rows.append((name, *_cells(found)))
        if found.networks not in networks:
            networks.append(found.networks)
            open_sessions(found.networks, found.landmark_map.manifest.models)
    try:
        building: StoredBuilding | None = read_building(options.map)
    except MapError as error:
        building = None
        faults += [str(error)] if str(error) not in faults else []
    if building is not None:
        _print_general(building, options)
        rows = [(*row, *like) for row, like in zip(rows, _most_like(building.index, building), strict=True)]
    _print_table([COLUMNS, *rows])
    if faults:
        more = f"; and {len(faults) - 1} more like it" if len(faults) > 1 else ""
        raise MapError(f"{faults[0]}{more}")
    print(f"verified: hashes, the maps of {len(rows)} places, {len(networks)} kinds of networks")
    return 0


def _print_general(building: StoredBuilding, options: argparse.Namespace) -> None:
    key: Path | None = options.require_signature
    if key is not None:
        require_signature(building, str(options.map), key)
    unchecked = "not checked, for want of --require-signature"
    index = building.index
    colors = "and their colours" if len(index.colors) else "no colours, which a map of them does not know"
    said = {
        "id": building.map_id,
        "frame": building.landmark_map.manifest.frame_id,
        "places": len(building.places),
        "tell them apart": f"{len(index.descriptors)} points of {len(index.words)} visual words, {colors}",
        "signature": "none" if building.signature is None else f"by the key of {key}" if key else unchecked,
    }
    print(printable(str(options.map)))
    print("\n".join(f"  {name:<15}  {value}" for name, value in said.items()))


def _cells(stored: StoredMap) -> Iterator[str]:
    """Of a place, behind its name."""
    landmark_map, accuracy = stored.landmark_map, stored.landmark_map.manifest.accuracy
    points = landmark_map.points
    yield stored.map_id
    yield f"{stored.size_bytes / 1e6:.1f} MB"
    yield "0" if points is None else str(len(points))
    yield " x ".join(f"{size:.1f}" for size in np.ptp(landmark_map.positions, axis=0)) + " m"
    yield str(len(landmark_map.mapping_views))
    yield median_text(accuracy) if "median_translation_m" in accuracy else "not known"
    yield f"{accuracy[RIGHT_RECALL]:.0%}" if RIGHT_RECALL in accuracy else ""
    yield f"{accuracy.get('rejected', '')} of {accuracy.get('held_out_frames', '')}"


def _most_like(index: PlaceIndex, building: StoredBuilding) -> Iterator[tuple[str]]:
    """Of each place, which other one its own points speak for most, as a share of what they speak for itself: rooms
    that are hard to tell apart have much."""
    names = list(building.places)
    for place in range(len(names)):
        rows = np.flatnonzero(index.point_places == place)
        asked = rows[np.linspace(0, len(rows) - 1, min(ASKED, len(rows))).astype(np.intp)]
        descriptors = np.asarray(index.descriptors[asked], dtype=np.float32) / np.float32(INT8_SCALE)
        votes = index.votes(np.ascontiguousarray(descriptors))
        own, votes[place] = votes[place], 0.0
        best = int(np.argmax(votes))
        yield (f"{names[best]} {votes[best] / own:.2f}" if votes[best] > 0 else "none",)


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows if column < len(row)) for column in range(len(COLUMNS))]
    for row in rows:
        print(printable("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()))
