"""What a map says of its local features, and that maps whose points were described by others are refused."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.map_files import NETWORK, PREVIEW, edit_manifest, make_map, refusal, replace_file

from vloc_ros.core.feature_spec import FeatureSpec, extractor_spec
from vloc_ros.core.model_spec import ModelSpec, Role, TensorSpec
from vloc_ros.core.points import Points
from vloc_ros.core.types import LandmarkMap
from vloc_ros.errors import ConfigError, MapError
from vloc_ros.maps import read_map, upgrade_map, write_map

K, D = 256, 64
EXTRACTOR = b"an extractor, as far as these tests look" * 10
FEATURES = FeatureSpec("xfeat", K, D, hashlib.sha256(EXTRACTOR).hexdigest())
SIFT = FeatureSpec("sift", K, 128)
MODELS: dict[Role, ModelSpec] = {"extractor": extractor_spec(320, 240, K, D)}


def points(dimensions: int) -> Points:
    return Points(
        positions=np.ones((4, 3)),
        descriptors=np.ones((4, dimensions), np.int8),
        regions=np.zeros(4, np.int32),
        places=np.zeros(4, np.int32),
        directions=np.tile([0.0, 0.0, 1.0], (4, 1)),
        distances=np.tile([1.0, 2.0], (4, 1)),
    )


def sparse_map(features: FeatureSpec | None = FEATURES, dimensions: int | None = D) -> LandmarkMap:
    models = {} if features is SIFT else MODELS
    made = make_map(features=features, models=models)
    return made if dimensions is None else replace(made, points=points(dimensions))


def write(directory: Path, landmark_map: LandmarkMap, network: bytes = EXTRACTOR) -> Path:
    networks = {role: {"float32": network} for role in landmark_map.manifest.models}
    write_map(directory / "map", landmark_map, networks, PREVIEW)  # type: ignore[arg-type]
    return directory / "map"


def test_features_come_back(tmp_path: Path) -> None:
    assert read_map(write(tmp_path, sparse_map())).landmark_map.manifest.features == FEATURES
    assert read_map(write(tmp_path, sparse_map(SIFT, 128))).landmark_map.manifest.features == SIFT
    assert read_map(tmp_path / "map").landmark_map.manifest.models == {}


def test_a_map_without_features_has_no_such_key_and_may_say_so(office: Path, tmp_path: Path) -> None:
    assert b"features" not in (office / "map.yaml").read_bytes()
    before = read_map(office)
    assert before.landmark_map.manifest.features is None
    edit_manifest(office, lambda document: document.update(features=None))
    assert read_map(office).landmark_map.manifest == before.landmark_map.manifest
    assert upgrade_map(office)[1] is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "surf"}, "name is 'surf', known are xfeat, sift, onnx"),
        ({"key_points": 0}, "key_points is 0, must be 1 to 2048"),
        ({"key_points": 4096}, "key_points is 4096, must be 1 to 2048"),
        ({"dimensions": 2000}, "dimensions is 2000, must be 1 to 1024"),
        ({"extractor_sha256": None}, "extractor_sha256 is None, not 64 lower-case hex digits"),
        ({"extractor_sha256": "AB" * 32}, "not 64 lower-case hex digits"),
        ({"name": "sift"}, "sift has 128 dimensions and no network"),
    ],
)
def test_features_that_cannot_be(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=f"features: .*{words}"):
        replace(FEATURES, **change)
    directory = write(tmp_path, sparse_map())
    edit_manifest(directory, lambda document: document["features"].update(change))
    assert "map.yaml: features" in refusal(directory)


@pytest.mark.parametrize("name", ["key_points", "name", "extractor_sha256"])
def test_a_key_that_is_missing(tmp_path: Path, name: str) -> None:
    directory = write(tmp_path, sparse_map())
    edit_manifest(directory, lambda document: document["features"].pop(name))
    assert f"features.{name} is missing" in refusal(directory)


@pytest.mark.parametrize(
    ("features", "models", "words"),
    [
        (FEATURES, {}, "'xfeat' needs a network of the role 'extractor'"),
        (SIFT, MODELS, "'sift' has no network, there is an extractor"),
        (
            replace(FEATURES, dimensions=8),
            MODELS,
            r"'descriptors' is float32\[256, 64\] instead of float32\[256, 8\]",
        ),
        (replace(FEATURES, key_points=9), MODELS, r"'key_points' is float32\[256, 2\] instead of float32\[9, 2\]"),
        (
            FEATURES,
            {"extractor": ModelSpec(MODELS["extractor"].inputs, {"labels": TensorSpec("int32", (5,))})},
            "its outputs are labels instead of key_points, scores, descriptors",
        ),
    ],
)
def test_networks_that_are_not_those_of_the_features(
    features: FeatureSpec, models: dict[Role, ModelSpec], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        make_map(features=features, models=models)


def test_descriptors_of_another_length(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"descriptors of 32 numbers, those of .*'xfeat' have 64.*do not belong"):
        sparse_map(dimensions=32)
    other = write(tmp_path / "other", sparse_map(SIFT, 128))
    directory = write(tmp_path, sparse_map())
    replace_file(directory, "points.npz", (other / "points.npz").read_bytes())
    assert "points: descriptors of 128 numbers" in refusal(directory)
    assert "descriptors and features do not belong together" in refusal(directory)


def test_another_extractor_than_the_one_that_described_the_points(tmp_path: Path) -> None:
    with pytest.raises(MapError, match=r"cannot write.*descriptors and features do not belong together"):
        write(tmp_path, sparse_map(), network=NETWORK)
    assert not (tmp_path / "map").exists()
    directory = write(tmp_path, sparse_map())
    replace_file(directory, "extractor.onnx", NETWORK)
    assert "features.extractor_sha256 is" in refusal(directory)
    assert "descriptors and features do not belong together" in refusal(directory)


def forget(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["files"].pop(name)


def test_points_without_features_and_features_without_points(tmp_path: Path) -> None:
    with pytest.raises(MapError, match=r"files.points.npz is there, but not `features`"):
        write(tmp_path, replace(make_map(), points=points(D)), NETWORK)
    with pytest.raises(MapError, match=r"features is 'xfeat', but files.points.npz is missing"):
        write(tmp_path, sparse_map(dimensions=None))
    directory = write(tmp_path, sparse_map())
    edit_manifest(directory, forget("points.npz"))
    assert "map.yaml: features is 'xfeat', but files.points.npz is missing" in refusal(directory)
    directory = write(tmp_path / "other", sparse_map())
    edit_manifest(directory, lambda document: document.pop("features"))
    assert "map.yaml: files.points.npz is there, but not `features`" in refusal(directory)
