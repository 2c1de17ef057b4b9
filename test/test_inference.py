"""Inference sessions: outputs as they are, and networks that do not do what the map says refused when loaded."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import ModelProto, TensorProto
from support.tiny_networks import REALS, SPEC, H, W, given, images, network, refusal

from vloc_ros.core.manifest import Manifest
from vloc_ros.core.model_spec import Precision
from vloc_ros.core.session import Session
from vloc_ros.core.types import CameraImage, LandmarkMap, Rejection
from vloc_ros.errors import ConfigError, MapError, ModelError
from vloc_ros.geometry.camera import Camera
from vloc_ros.inference import SessionOptions, open_session
from vloc_ros.localizer import load_localizer
from vloc_ros.maps import write_map

ONE = network(batch=1)


def opened(content: bytes, **options: Any) -> Session:
    return open_session({"float32": content}, SPEC.model, SessionOptions(**options))


@pytest.mark.parametrize("backend", ["auto", "onnxruntime"])
@pytest.mark.parametrize("threads", [0, 1])
def test_outputs_by_name(backend: str, threads: int) -> None:
    shown = images(1)
    session = opened(ONE, backend=backend, threads=threads)
    outputs = session.run(given(shown))
    assert session.spec == SPEC.model
    assert session.max_batch == 1
    assert set(outputs) == set(SPEC.outputs)
    np.testing.assert_array_equal(outputs["labels"], shown[:, ::4, ::4, 0])
    for name in REALS:
        np.testing.assert_allclose(outputs[name], shown[:, ::4, ::4, 0] / 255, rtol=1e-6)
    assert outputs["votes"].shape == (1, H, W, 2)


def test_threads_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at once would take the memory of two, for good."""
    session = opened(ONE)
    inside, counts = list[object](), list[int]()

    class Slow:
        """Counts how many run."""

        def run(self, names: list[str], _: object) -> list[None]:
            inside.append(self)
            counts.append(len(inside))
            time.sleep(0.02)
            inside.pop()
            return [None] * len(names)

    monkeypatch.setattr(session, "_session", Slow())
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(session.run, [given(images(1))] * 6))
    assert counts == [1] * 6


def test_a_network_with_a_free_batch_axis_takes_as_many_images_as_were_asked_for() -> None:
    shown = images(4)
    session = opened(network(), max_batch=3)
    assert session.max_batch == 3
    for count in (1, 2, 3):
        np.testing.assert_array_equal(session.run(given(shown[:count]))["labels"], shown[:count, ::4, ::4, 0])
    for count in (0, 4):
        with pytest.raises(ModelError, match=f"given {count} images at once, it takes 1 to 3"):
            session.run(given(shown[:count]))


def test_a_network_with_a_fixed_batch_axis_takes_one_image_whatever_was_asked_for() -> None:
    assert opened(ONE, max_batch=8).max_batch == 1


@pytest.mark.parametrize("backend", ["tensorrt", "onnxruntime-cuda"])
def test_a_backend_that_cannot_be_used_here_says_why(backend: str) -> None:
    there = {
        "tensorrt": find_spec("tensorrt"),
        "onnxruntime-cuda": "CUDAExecutionProvider" in ort.get_available_providers(),
    }
    if there[backend]:
        pytest.skip(f"{backend} may be usable here")
    with pytest.raises(ConfigError, match=f"^no backend can be used: {backend}: "):
        opened(ONE, backend=backend)


def test_what_is_taken_is_said_and_why_not_the_ones_before() -> None:
    said: list[str] = []
    open_session({"float32": ONE}, SPEC.model, SessionOptions(), said.append)
    taken = said[-1]
    assert taken.startswith("network: ")
    if "on the CPU" in taken:
        assert taken.startswith("network: onnxruntime on the CPU, float32 (not tensorrt: ")
        assert "; not onnxruntime-cuda: " in taken


def test_a_precision_is_one_that_the_map_has() -> None:
    networks: dict[Precision, bytes] = {"float32": ONE, "float16": ONE}
    session = open_session(networks, SPEC.model, SessionOptions("onnxruntime", "float16"))
    assert session.backend == "onnxruntime on the CPU, float16"
    assert (
        open_session(networks, SPEC.model, SessionOptions("onnxruntime")).backend == "onnxruntime on the CPU, float32"
    )
    line = (
        r"precision 'bfloat16': the map has \['float32', 'float16'\]; `vloc map --precision` adds .* vsnet and hscnet$"
    )
    with pytest.raises(ConfigError, match=line):
        open_session(networks, SPEC.model, SessionOptions("onnxruntime", "bfloat16"))


def test_views_of_images_are_welcome() -> None:
    shown = images(1)
    flipped = opened(ONE).run(given(shown[:, ::-1, ::-1]))["labels"]
    np.testing.assert_array_equal(flipped, shown[:, ::-1, ::-1][:, ::4, ::4, 0])


def test_images_that_do_not_fit() -> None:
    session = opened(ONE)
    for shape, kind in (((1, 8, 15, 3), np.uint8), ((8, 16, 3), np.uint8), ((1, 8, 16, 3), np.float32)):
        with pytest.raises(ModelError, match="its input is uint8"):
            session.run({"image": np.zeros(shape, kind)})


def test_networks_with_another_input() -> None:
    assert "[1, 8, 12, 3]" in refusal(network(1, (8, 12, 3)))
    assert "[1, 3, 8, 16]" in refusal(network(1, (3, 8, 16)))
    assert "tensor(float)" in refusal(network(1, input_type=TensorProto.FLOAT))
    assert "['picture']" in refusal(network(1, input_name="picture"))
    assert "320, 3" in refusal(ONE, replace(SPEC, width=320))


def test_networks_with_other_outputs() -> None:
    assert "arrows" in refusal(network(1, votes_name="arrows"))
    assert "(1, 2, 4, 3)" in refusal(network(1, votes=np.zeros((1, H, W, 3), np.float32)))
    assert "(2, 4, 2)" in refusal(network(1, votes=np.zeros((H, W, 2), np.float32)))
    assert "int64" in refusal(network(1, labels_type=TensorProto.INT64))
    assert "votes" in refusal(ONE, replace(SPEC, outputs={"labels": "int32", "confidences": "float32"}))
    assert "(1, 2, 4)" in refusal(ONE, replace(SPEC, stride=2))


def test_a_scalar_output_is_refused() -> None:
    assert "votes" in refusal(network(1, votes=np.zeros((), np.float32)))


@pytest.mark.parametrize("content", [b"", b"garbage" * 50, ONE[:200]])
def test_damaged_networks(content: bytes) -> None:
    assert "cannot load" in refusal(content)


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_only_the_batch_axis_may_be_free(axis: int) -> None:
    """A network that takes images of any width says nothing against a map that claims a huge one."""
    model = ModelProto.FromString(network())
    model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = "any"
    del model.graph.output[:]
    model.graph.output.extend(ModelProto.FromString(network()).graph.output)
    assert "the map says tensor(uint8) [1, 8, 16, 3]" in refusal(model.SerializeToString())


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"backend": "cuda9000"}, "backend 'cuda9000' is unknown"),
        ({"precision": "int4"}, "precision 'int4' is unknown"),
        ({"threads": -1}, "threads is -1"),
        ({"threads": 100_000}, r"threads is 100000, must be 0 \(one per core\) to 256"),
        ({"max_batch": 0}, "max_batch is 0"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        opened(ONE, **options)


def write_tiny_map(directory: Path, content: bytes, method: str = "vsnet") -> Path:
    ids = np.arange(3, dtype=np.int32)
    manifest = Manifest(method, "map", "2025-06-01T12:00:00Z", SPEC.image_size, SPEC.models)
    landmark_map = LandmarkMap(ids, np.eye(3), np.eye(3), np.ones(3), ids, manifest)
    write_map(directory, landmark_map, {"network": {"float32": content}}, np.zeros((4, 4, 3), np.uint8))
    return directory


def test_a_map_directory_becomes_a_localizer(tmp_path: Path) -> None:
    localizer = load_localizer(write_tiny_map(tmp_path / "map", ONE), SessionOptions(threads=1))
    camera = Camera(32, 16, 30.0, 30.0, 15.5, 7.5)
    result = localizer.localize(CameraImage(np.zeros((16, 32, 3), np.uint8), camera))
    assert isinstance(result, Rejection)
    assert {"network", "total"} <= set(result.timings_ms)
    assert len(localizer.map_id) == 12


def test_maps_that_cannot_become_a_localizer_are_named(tmp_path: Path) -> None:
    other_outputs = write_tiny_map(tmp_path / "a", network(1, votes_name="arrows"))
    with pytest.raises(ModelError, match=f"^{other_outputs}: network: outputs are"):
        load_localizer(other_outputs)
    unknown_method = write_tiny_map(tmp_path / "b", ONE, method="magic")
    with pytest.raises(MapError, match=f"^{unknown_method}: .*'magic' is unknown"):
        load_localizer(unknown_method)
    other_method = write_tiny_map(tmp_path / "c", ONE, method="hscnet")
    with pytest.raises(MapError, match=rf"^{other_method}: .*'hscnet' needs .*'coordinates' to be float32\[3\]"):
        load_localizer(other_method)
