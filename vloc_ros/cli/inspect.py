"""`vloc inspect`: verify a map directory, or that of a building, and say what is in it."""

import argparse
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vloc_ros.cli.command import Command
from vloc_ros.cli.inspect_building import inspect_building
from vloc_ros.cli.options import add_report, add_signature, checked_map
from vloc_ros.core.correction_field import CorrectionField
from vloc_ros.core.lens import LensCorrection
from vloc_ros.core.manifest import Place
from vloc_ros.core.model_spec import Precision, TensorSpec
from vloc_ros.core.place_surface import PlaceSurface
from vloc_ros.core.points import Points
from vloc_ros.core.types import LandmarkMap
from vloc_ros.geometry.transforms import POSE_COLUMNS
from vloc_ros.inference import open_sessions
from vloc_ros.maps import StoredMap
from vloc_ros.maps.manifest_yaml import FORMAT_VERSION
from vloc_ros.maps.reader import is_building


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("map", type=Path, metavar="MAP", help="a map, or a building, as `vloc map` writes it")
    add_signature(parser)
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    if is_building(options.map):
        return inspect_building(options)
    stored = checked_map(options)
    open_sessions(stored.networks, stored.landmark_map.manifest.models)  # verifies the network too
    manifest = stored.landmark_map.manifest
    sections: dict[str, Mapping[str, object]] = {
        str(options.map): {**_general(stored), "signature": _signature(stored, options.require_signature)},
        **_models(stored),
        **_places(stored.landmark_map),
        **({} if manifest.features is None else {"features": vars(manifest.features)}),
        **{f"lens of place {name}": _lens(lens) for name, lens in manifest.lenses.items()},
        **_points(stored.landmark_map.points),
        **_correction(stored.landmark_map.correction),
        **_surface(stored.landmark_map.surface),
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
        "places": manifest.place_names,
        "created": manifest.created,
        "format version": _format(stored.format_version),
        "size": f"{stored.size_bytes / 1e6:.2f} MB",
        "files": {name: f"{len(content) / 1e3:.1f} kB" for name, content in stored.files.items()},
        "image": "{} x {}".format(*manifest.image_size),
        **({"scale": "unknown: lengths are no metres"} if manifest.unknown_scale else {}),
    }


def _signature(stored: StoredMap, public_key: Path | None) -> str:
    if stored.signature is None:
        return "none"
    return f"by the key of {public_key}" if public_key else "not checked, for want of --require-signature"


def _format(version: int) -> str:
    return str(version) if version == FORMAT_VERSION else f"{version}, `vloc upgrade` makes it {FORMAT_VERSION}"


def _models(stored: StoredMap) -> dict[str, Mapping[str, object]]:
    return {
        f"model {role}": {
            "files": _files(stored.networks[role]),
            "inputs": _tensors(spec.inputs),
            "outputs": _tensors(spec.outputs),
        }
        for role, spec in stored.landmark_map.manifest.models.items()
    }


def _tensors(tensors: Mapping[str, TensorSpec]) -> str:
    return ", ".join(f"{name} {tensor}" for name, tensor in tensors.items())


def _files(networks: Mapping[Precision, bytes]) -> str:
    return ", ".join(f"{precision} {len(file) / 1e6:.2f} MB" for precision, file in networks.items())


def _places(landmark_map: LandmarkMap) -> dict[str, Mapping[str, object]]:
    """The places and their regions: boxes mean something in a place's own frame only."""
    return {
        f"place {place.name}": {
            "frame": place.frame_id,
            "in the map's frame": _pose(place),
            **_regions(landmark_map.of_place(place.name)),
        }
        for place in landmark_map.manifest.places
    }


def _pose(place: Place) -> str:
    return "not known" if place.map_from_place is None else f"{_text(place.map_from_place)} ({POSE_COLUMNS})"


def _lens(lens: LensCorrection) -> dict[str, object]:
    return {"found": lens.describe(), **vars(lens)}


def _points(points: Points | None) -> dict[str, Mapping[str, object]]:
    if points is None:
        return {}
    kind, length = points.descriptors.dtype, points.descriptors.shape[1]
    with_points = len(np.unique(points.regions))
    rows = {"count": len(points), "descriptors": f"{length} x {kind}", "regions that have some": with_points}
    return {"points": {**rows, "seen from, up to": f"{_quantiles(points.distances[:, 1])} m"}}


def _correction(field: CorrectionField | None) -> dict[str, Mapping[str, object]]:
    if field is None:
        return {}
    steps = np.array(
        [field[field.places == place].step(pose) for pose, place in zip(field.poses, field.places, strict=True)]
    )
    reach = f"{100 * field.kernel.distance_m:.3g} cm, {math.degrees(field.kernel.angle_rad):.3g} deg"
    return {
        "correction": {
            "views": len(field),
            "reach": reach,
            "moves by": f"{_quantiles(100 * np.linalg.norm(steps[:, :3], axis=1))} cm",
            "turns by": f"{_quantiles(np.degrees(np.linalg.norm(steps[:, 3:], axis=1)))} deg",
        }
    }


def _surface(surface: PlaceSurface | None) -> dict[str, Mapping[str, object]]:
    if surface is None:
        return {}
    box = " x ".join(f"{size:.2f}" for size in np.ptp(surface.positions, axis=0))
    voxels, least = f"{100 * surface.voxel_m:.3g} cm", f"{100 * surface.least_agreement:.0f} % of an image"
    return {"surface": {"count": len(surface), "voxels": voxels, "box": f"{box} m", "has to agree": least}}


def _regions(landmark_map: LandmarkMap) -> dict[str, object]:
    low, high = landmark_map.positions.min(axis=0), landmark_map.positions.max(axis=0)
    return {
        "regions": len(landmark_map),
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
