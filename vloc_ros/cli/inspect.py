"""`vloc inspect`: verify a map directory and say what is in it."""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vloc_ros.cli.command import Command
from vloc_ros.cli.options import add_report
from vloc_ros.core.model_spec import Precision
from vloc_ros.core.types import LandmarkMap
from vloc_ros.inference import open_sessions
from vloc_ros.maps import StoredMap, read_map


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("map", type=Path, metavar="MAP", help="map directory, as `vloc map` writes it")
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    stored = read_map(options.map)
    open_sessions(stored.networks, stored.landmark_map.manifest.models)  # verifies the network too
    manifest = stored.landmark_map.manifest
    sections: dict[str, Mapping[str, object]] = {
        str(options.map): _general(stored),
        **_places(stored.landmark_map),
        "gate": vars(manifest.gate),
        "calibration": vars(manifest.calibration),
        "training": manifest.training,
        "accuracy": manifest.accuracy,
    }
    width = max(len(name) for rows in sections.values() for name in rows)
    for title, rows in sections.items():
        print(title)
        print("\n".join(f"  {name:<{width}}  {_text(value)}" for name, value in rows.items()) or "  (nothing recorded)")
    print("verified: hashes, landmarks, network")
    if options.report:
        from vloc_ros.evaluation.report.map_report import write_map_report  # matplotlib is optional

        write_map_report(options.report, options.map.resolve().name, stored)
    return 0


def _general(stored: StoredMap) -> dict[str, object]:
    manifest = stored.landmark_map.manifest
    return {
        "id": stored.map_id,
        "method": manifest.method,
        "frame": manifest.frame_id,
        **({"places": manifest.places} if manifest.places else {}),
        "created": manifest.created,
        "format version": manifest.format_version,
        "size": f"{stored.size_bytes / 1e6:.2f} MB",
        "network input": "{} x {}".format(*manifest.image_size),
        **{role: _files(files) for role, files in stored.networks.items()},
        **{
            f"{role} outputs": ", ".join(f"{name} {tensor}" for name, tensor in spec.outputs.items())
            for role, spec in manifest.models.items()
        },
    }


def _files(networks: Mapping[Precision, bytes]) -> str:
    return ", ".join(f"{precision} {len(file) / 1e6:.2f} MB" for precision, file in networks.items())


def _places(landmark_map: LandmarkMap) -> dict[str, Mapping[str, object]]:
    """The landmarks, by place where there are several: boxes mean something in a place's own frame only."""
    places = landmark_map.manifest.places
    if not places:
        return {"landmarks": _landmarks(landmark_map)}
    return {
        f"landmarks of place {name}, frame {landmark_map.manifest.frame_of(name)}": _landmarks(
            landmark_map.of_place(name)
        )
        for name in places
    }


def _landmarks(landmark_map: LandmarkMap) -> dict[str, object]:
    low, high = landmark_map.positions.min(axis=0), landmark_map.positions.max(axis=0)
    return {
        "count": len(landmark_map),
        "box": " x ".join(f"{size:.2f}" for size in high - low) + " m",
        "from": _corner(low),
        "to": _corner(high),
        "patch radius": f"{_quantiles(landmark_map.extents)} m",
        "seen by training images": _quantiles(landmark_map.observations),
    }


def _corner(position: NDArray[np.float64]) -> str:
    return ", ".join(f"{metres:.2f}" for metres in position.round(2) + 0.0) + " m"  # no -0.00


def _quantiles(values: NDArray[np.floating] | NDArray[np.integer]) -> str:
    low, median, high = np.percentile(values, (0, 50, 100))
    return f"median {median:.3g} ({low:.3g} to {high:.3g})"


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(entry)}" for name, entry in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return str(value)


COMMAND = Command(__doc__, add_arguments, run)
