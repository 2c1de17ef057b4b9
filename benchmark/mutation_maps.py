"""Maps that are given mutants of their files, and what all subjects of mutations share: the seed and a small image."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import yaml
from mutants import (
    Rng,
    damaged,
    edited,
    odd_archive,
    odd_json,
    odd_json_bytes,
    one_of,
    packed,
    png_of_size,
    sealed,
    seeded,
)

from vloc_ros.core.correction_field import CorrectionField, CorrectionKernel
from vloc_ros.core.feature_spec import SIFT, SIFT_DIMENSIONS, FeatureSpec
from vloc_ros.core.place_surface import PlaceSurface
from vloc_ros.core.points import Points
from vloc_ros.core.types import CameraImage
from vloc_ros.datasets.synthetic_room import open_synthetic_room
from vloc_ros.evaluation.report.map_report import preview_section, write_map_report
from vloc_ros.localizer import open_localizer
from vloc_ros.maps import StoredMap, pack_map, read_map, unpack_map, write_map
from vloc_ros.maps.manifest_yaml import record_of
from vloc_ros.shipped import shipped

SEED = 6


def with_optional_files(stored: StoredMap, folder: Path) -> dict[str, bytes]:
    """The files of a map, to which a few points with descriptors, a correction field and a surface are added."""
    rng = seeded(SEED, "points", 0)
    positions = stored.landmark_map.positions[:50]
    points = Points(
        positions=positions,
        descriptors=rng.integers(-127, 128, (50, SIFT_DIMENSIONS)).astype(np.int8),
        regions=np.arange(50, dtype=np.int32),
        places=np.zeros(50, np.int32),
        directions=np.tile([0.0, 0.0, 1.0], (50, 1)),
        distances=np.tile([0.5, 5.0], (50, 1)),
        colors=rng.integers(0, 256, (50, 3)).astype(np.uint8),
    )
    views = stored.landmark_map.mapping_views[:20]
    correction = CorrectionField(
        poses=views,
        coefficients=rng.normal(0, 1e-3, (len(views), 6)),
        places=np.zeros(len(views), np.int32),
        kernel=CorrectionKernel(0.15, 0.2),
    )
    surface = PlaceSurface.of(positions, points.colors, voxel_m=0.05)
    manifest = replace(stored.landmark_map.manifest, features=FeatureSpec(SIFT, 500, SIFT_DIMENSIONS))
    landmark_map = replace(
        stored.landmark_map, manifest=manifest, points=points, correction=correction, surface=surface
    )
    mapping = json.loads(stored.files["mapping.json"])
    write_map(folder, landmark_map, stored.networks, np.zeros((48, 64, 3), np.uint8), mapping)
    return dict(read_map(folder).files)


class Maps:
    """Maps whose checksums are right, so that what is in their files is parsed: from a directory, or packed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = with_optional_files(read_map(shipped("maps/demo_room")), folder / "whole")
        self._image = small_frame()

    def run(self, index: int) -> None:
        rng = seeded(SEED, "maps", index)
        name, files = self._mutant(rng)
        if rng.random() < 0.5:
            stored = unpack_map(packed(files), "map/data")
        else:
            directory = self._folder / "map"
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            for file, content in files.items():
                (directory / file).write_bytes(content)
            stored = read_map(directory)
        if name in ("map.yaml", "network.onnx", "correction.npz") or rng.random() < 0.1:
            localizer = open_localizer(stored, "map")
            localizer.localize(self._image)
        if name == "preview.png":  # without the report's plots, which take seconds and are of the other files
            preview_section(stored)
        if name == "mapping.json" or rng.random() < 0.02:
            write_map_report(self._folder / "report.html", "map", stored)
        pack_map(stored)

    def packed_mutant(self, rng: Rng) -> bytes:
        """A mutant as the map server would send it."""
        return packed(self._mutant(rng)[1])

    def _mutant(self, rng: Rng) -> tuple[str, dict[str, bytes]]:
        """The files of a map with right checksums, and which of them was changed."""
        name = one_of(
            rng,
            ("map.yaml",) * 5
            + ("regions.npz",) * 4
            + ("points.npz",) * 2
            + ("correction.npz",) * 2
            + ("surface.npz",) * 2
            + ("network.onnx", "preview.png", "mapping.json"),
        )
        files = dict(self._files)
        if name != "map.yaml":
            files[name] = self._mutant_of(rng, name)
        files["map.yaml"] = self._sealed(rng, files, changed=name == "map.yaml")
        return name, files

    def _mutant_of(self, rng: Rng, name: str) -> bytes:
        content = self._files[name]
        if name in ("regions.npz", "points.npz", "correction.npz", "surface.npz"):
            return odd_archive(rng, content)
        if name == "mapping.json":
            return odd_json_bytes(rng, content or b"{}")
        if name == "network.onnx":
            return content[: int(rng.integers(len(content)))]
        if rng.random() < 0.2:
            return png_of_size(content, *(int(one_of(rng, (0, 1, 5000, 30_000, 2**31 - 1))) for _ in range(2)))
        return damaged(rng, content)

    def _sealed(self, rng: Rng, files: Mapping[str, bytes], changed: bool) -> bytes:
        document = yaml.safe_load(self._files["map.yaml"])
        del document["sha256"]
        document["files"] = {name: vars(record_of(files[name])) for name in document["files"]}
        body = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        if changed and rng.random() < 0.5:
            body = yaml.safe_dump(odd_json(rng, document), sort_keys=False, allow_unicode=True)
        elif changed:
            return sealed(edited(rng, body))
        return sealed(body.encode("utf-8", "surrogatepass"))


def small_frame() -> CameraImage:
    """A small image of the room in which the shipped map was made."""
    image = open_synthetic_room(None, "small").frame(0).image
    rgb = cv2.resize(image.rgb, (320, 240), interpolation=cv2.INTER_AREA)
    return CameraImage(np.asarray(rgb, np.uint8), image.camera.resized(320, 240))
