"""A map whose network always sees the same place, and images of it; what a refused command says."""

import builtins
from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from vloc_ros.cli import main
from vloc_ros.core.manifest import Manifest
from vloc_ros.core.model_spec import GridSpec
from vloc_ros.core.types import LandmarkMap
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import apply, from_quaternion
from vloc_ros.maps import write_map
from vloc_ros.methods.vsnet.method import VSNetMethod

WIDTH, HEIGHT, STRIDE, BLOCK = 320, 240, 8, 5  # a landmark per block of 5 x 5 cells
ROWS, COLUMNS = HEIGHT // STRIDE, WIDTH // STRIDE
CAMERA = Camera(WIDTH, HEIGHT, 260.0, 262.0, 161.0, 118.0)
CAMERA_OPTION = "260,262,161,118"
POSITION, QUATERNION = (1.5, -0.5, 1.2), (0.5, -0.5, 0.5, -0.5)
MAP_FROM_CAMERA = from_quaternion(QUATERNION, POSITION)


def landmark_pixels() -> np.ndarray:
    """One pixel at a random place in each block, (N, 2)."""
    corners = np.stack(np.meshgrid(np.arange(COLUMNS // BLOCK), np.arange(ROWS // BLOCK)), axis=-1).reshape(-1, 2)
    return (corners + np.random.default_rng(1).uniform(0.2, 0.8, corners.shape)) * BLOCK * STRIDE


def make_network() -> bytes:
    """Labels and votes that point to `landmark_pixels`, or no label at all where the image is black."""
    cells = np.stack(np.meshgrid(np.arange(COLUMNS), np.arange(ROWS)), axis=-1)
    labels = (cells[..., 1] // BLOCK * (COLUMNS // BLOCK) + cells[..., 0] // BLOCK + 1).astype(np.int32)
    offsets = landmark_pixels()[labels - 1] - ((cells + 0.5) * STRIDE - 0.5)
    distances = np.linalg.norm(offsets, axis=-1).astype(np.float32)
    votes = (offsets / distances[..., np.newaxis]).astype(np.float32)
    ones = np.ones_like(distances)
    constants = {"confidences": ones, "votes": votes, "distances": distances, "scales": ones}
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["real"], ["brightest"], keepdims=0),
        helper.make_node("Cast", ["brightest"], ["is_bright"], to=TensorProto.BOOL),
        helper.make_node("Cast", ["is_bright"], ["one_or_zero"], to=TensorProto.INT32),
        helper.make_node("Mul", ["constant_labels", "one_or_zero"], ["labels"]),
        *(helper.make_node("Identity", [f"constant_{name}"], [name]) for name in constants),
    ]
    kinds = {"labels": TensorProto.INT32, **dict.fromkeys(constants, TensorProto.FLOAT)}
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, HEIGHT, WIDTH, 3])],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in kinds.items()],
        [
            numpy_helper.from_array(array[np.newaxis], f"constant_{name}")
            for name, array in {"labels": labels, **constants}.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


SPEC = GridSpec(WIDTH, HEIGHT, STRIDE, VSNetMethod.outputs)


def write_place(root: Path) -> None:
    """A map and a folder data set of three images, all taken from MAP_FROM_CAMERA."""
    pixels = landmark_pixels()
    depth = np.random.default_rng(2).uniform(1.5, 3.0, (len(pixels), 1))
    rays = np.c_[(pixels - (CAMERA.cx, CAMERA.cy)) / (CAMERA.fx, CAMERA.fy), np.ones(len(pixels))]
    landmark_map = LandmarkMap(
        ids=np.arange(len(pixels), dtype=np.int32),
        positions=apply(MAP_FROM_CAMERA, rays * depth),
        normals=np.tile((0.0, 0.0, 1.0), (len(pixels), 1)),
        extents=np.full(len(pixels), 0.1),
        observations=np.full(len(pixels), 7, dtype=np.int32),
        manifest=Manifest("vsnet", "office", "2026-01-02T03:04:05Z", SPEC.image_size, SPEC.models),
    )
    write_map(root / "map", landmark_map, {"network": {"float32": make_network()}}, np.zeros((60, 80, 3), np.uint8))
    names = ("a", "b", "c")
    (root / "images").mkdir()
    for name in names:
        cv2.imwrite(str(root / "images" / f"{name}.png"), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    pose = " ".join(map(str, (*POSITION, *QUATERNION)))
    (root / "camera.txt").write_text(f"{WIDTH} {HEIGHT} {CAMERA.fx} {CAMERA.fy} {CAMERA.cx} {CAMERA.cy}\n")
    (root / "poses.txt").write_text("".join(f"{name} {pose}\n" for name in names))
    (root / "split_test.txt").write_text("\n".join(names))


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that a wrong command line gives."""
    assert main([str(argument) for argument in arguments]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    *notes, complaint = err.splitlines()
    assert all(note.startswith("network: ") for note in notes)
    assert complaint.startswith("vloc: error: ")
    return complaint


def without_module(monkeypatch: pytest.MonkeyPatch, imported: str, missing: str) -> None:
    """Importing the module `imported` fails from now on, because `missing` is not installed."""
    real_import = builtins.__import__

    def without(name: str, *arguments: object, **keywords: object) -> object:
        if name == imported:
            raise ModuleNotFoundError(f"No module named '{missing}'", name=missing)
        return real_import(name, *arguments, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
