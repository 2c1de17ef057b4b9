"""Map directories, and what reading them says: for the tests of the map format."""

import hashlib
import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from vloc_ros.core.manifest import GateThresholds, Manifest, places_apart
from vloc_ros.core.model_spec import GridSpec
from vloc_ros.core.types import LandmarkMap
from vloc_ros.errors import MapError
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.maps import read_map
from vloc_ros.maps.manifest_yaml import record_of
from vloc_ros.methods.vsnet.method import VSNetMethod

NETWORK = b"any bytes will do here" * 100
PREVIEW = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(6, 8, 3)
SPEC = GridSpec(320, 240, 4, VSNetMethod.outputs)
FILES = ("map.yaml", "regions.npz", "network.onnx", "preview.png", "mapping.json")


# What an array of a map's file may be in its place: of another shape or type, and a single value.
DAMAGED_ARRAYS: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    lambda array: array[..., :-1],
    lambda array: array.astype(np.complex128),
    lambda array: array.astype(np.int64),
    lambda array: np.array(["a"] * len(array)),
    lambda array: array[0, ...].reshape(-1)[0],
)


def random_pose(rng: np.random.Generator) -> np.ndarray:
    return from_quaternion(rng.normal(size=4), rng.normal(size=3))


def make_map(n: int = 5, offset: float = 0.0, **manifest: object) -> LandmarkMap:
    rng = np.random.default_rng(n)
    normals = rng.normal(size=(n, 3))
    fields = {
        "method": "vsnet",
        "frame_id": "map",
        "created": "2025-06-01T12:00:00Z",
        "image_size": SPEC.image_size,
        "models": SPEC.models,
        "gate": GateThresholds(min_inliers=9, min_confidence=0.07),
        "training": {"epochs": 3, "loss": np.float32(0.25), "blocks": (1, 2)},
        "accuracy": {"median_translation_m": None, "recall": 0.5},
        **manifest,
    }
    return LandmarkMap(
        ids=np.arange(n, dtype=np.int32) * 3,
        positions=rng.normal(size=(n, 3)) * 5 + offset,
        normals=normals / np.linalg.norm(normals, axis=1, keepdims=True),
        extents=rng.uniform(0.05, 0.3, n),
        observations=rng.integers(5, 900, n).astype(np.int32),
        manifest=Manifest(**fields),  # type: ignore[arg-type]
        mapping_views=np.stack([random_pose(rng) for _ in range(3)]),
        method_data={"radii": rng.normal(size=(n, 2)).astype(np.float32)},
    )


def joined_map() -> LandmarkMap:
    """Landmarks 0, 2, 4 and views 0, 2 are of the hall, the others of the attic."""
    indices = np.arange(5, dtype=np.int32) % 2
    one = make_map()
    manifest = replace(one.manifest, places=places_apart(("hall", "attic"), "map"))
    return replace(one, manifest=manifest, places=indices, view_places=indices[:3])


def as_format_3(directory: Path) -> None:
    """Make an older map of one that was just written: of one place, unless its places have names of their own."""
    arrays = dict(np.load(directory / "regions.npz"))
    one = len(read_map(directory).landmark_map.manifest.places) == 1
    for name, old in (("places", "scenes"), ("view_places", "view_scenes")):
        array = arrays.pop(name)
        if not one:
            arrays[old] = array
    np.savez_compressed(directory / "landmarks.npz", **arrays)
    (directory / "regions.npz").unlink()
    record = record_of((directory / "landmarks.npz").read_bytes())

    def edit(document: dict[str, Any]) -> None:
        document["format_version"] = 3
        places, model = document.pop("places"), document.pop("models")["network"]
        document["scenes"] = [] if one else [place["name"] for place in places]
        size = document.pop("image")
        outputs = {name: text.partition("[")[0] for name, text in model["outputs"].items()}
        for name, text in model["outputs"].items():
            shape = text.partition("[")[2].rstrip("]").split(", ")
            stride = size["height"] // int(shape[0])
            outputs[name] += f"[{shape[2]}]" if len(shape) > 2 else ""
        document["network"] = {**size, "stride": stride, "outputs": outputs, "input_name": "image"}
        del document["files"]["regions.npz"]
        document["files"]["landmarks.npz"] = {"sha256": record.sha256, "bytes": record.bytes}

    edit_manifest(directory, edit)


def refusal(directory: Path) -> str:
    with pytest.raises(MapError) as caught:
        read_map(directory)
    message = str(caught.value)
    assert "\n" not in message
    assert str(directory) in message
    return message


def edit_manifest(directory: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change map.yaml and renew its seal: what a careful attacker or a hand editor would do."""
    document = yaml.safe_load((directory / "map.yaml").read_bytes())
    del document["sha256"]
    edit(document)
    body = yaml.safe_dump(document, sort_keys=False).encode()
    (directory / "map.yaml").write_bytes(body + f"sha256: {hashlib.sha256(body).hexdigest()}\n".encode())


def replace_file(directory: Path, name: str, content: bytes) -> None:
    """Replace a file and renew its record, so that only its content can be objected to."""
    (directory / name).write_bytes(content)
    record = record_of(content)
    edit_manifest(directory, lambda d: d["files"].update({name: {"sha256": record.sha256, "bytes": record.bytes}}))


def npz(**arrays: Any) -> bytes:
    """The arrays as an npz, whatever they are."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def assert_no_npz_is_named(directory: Path, name: str, good: bytes) -> None:
    """What is no npz, or only the beginning of one, is refused with the file's name."""
    for content in (b"", b"garbage", good[:-40], bytes(1000)):
        replace_file(directory, name, content)
        assert name in refusal(directory)


def assert_only_map_errors(decode: Callable[[bytes], object], good: bytes) -> None:
    """Any byte of a file may be another: nothing but MapError comes of that."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(good)
        damaged[int(rng.integers(len(good)))] ^= int(rng.integers(1, 256))
        with suppress(MapError):
            decode(bytes(damaged))


def assert_other_files_are_named(directory: Path, name: str) -> None:
    """A file of other bits, none, and a link to what is no file."""
    good = (directory / name).read_bytes()
    (directory / name).write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert f"{name}: damaged" in refusal(directory)
    (directory / name).unlink()
    assert f"{name}: missing" in refusal(directory)
    (directory / name).symlink_to("/dev/zero")
    assert f"{name}: not a regular file" in refusal(directory)
