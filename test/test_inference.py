"""Inference sessions: outputs as they are, and networks that do not do what the map says refused when loaded."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from vloc_ros.core.camera import Camera
from vloc_ros.core.manifest import Manifest, NetworkSpec, Precision
from vloc_ros.core.pipeline import Session
from vloc_ros.core.types import CameraImage, LandmarkMap, Rejection
from vloc_ros.errors import ConfigError, MapError, ModelError
from vloc_ros.inference import SessionOptions, open_session
from vloc_ros.localizer import load_localizer
from vloc_ros.maps import write_map
from vloc_ros.methods.vsnet import VsNet

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402

SPEC = NetworkSpec(width=16, height=8, stride=4, outputs=VsNet.outputs)
H, W = 2, 4
REALS = ("confidences", "distances", "scales")


def tiny_network(
    input_shape: tuple[int, ...] = (1, 8, 16, 3),
    input_type: int = TensorProto.UINT8,
    input_name: str = "image",
    votes_shape: tuple[int, ...] = (1, H, W, 2),
    votes_name: str = "votes",
    labels_type: int = TensorProto.INT32,
    external: str = "",
) -> bytes:
    """labels = channel 0 of each cell's top-left pixel, REALS = that / 255, votes = constant numbers."""
    votes = np.arange(np.prod(votes_shape), dtype=np.float32)
    constants = [
        helper.make_tensor("from", TensorProto.INT64, [3], [0, 0, 0]),
        helper.make_tensor("to", TensorProto.INT64, [3], [10**6, 10**6, 1]),
        helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3]),
        helper.make_tensor("steps", TensorProto.INT64, [3], [4, 4, 1]),
        helper.make_tensor("last", TensorProto.INT64, [1], [3]),
        helper.make_tensor("scale", TensorProto.FLOAT, [], [1 / 255]),
        helper.make_tensor("votes_value", TensorProto.FLOAT, votes_shape, votes.tobytes(), raw=True),
    ]
    if external:
        constants[-1].ClearField("raw_data")
        constants[-1].data_location = TensorProto.EXTERNAL
        constants[-1].external_data.add(key="location", value=external)
    nodes = [
        helper.make_node("Slice", [input_name, "from", "to", "axes", "steps"], ["cells"]),
        helper.make_node("Squeeze", ["cells", "last"], ["red"]),
        helper.make_node("Cast", ["red"], ["labels"], to=labels_type),
        helper.make_node("Cast", ["red"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["real", "scale"], ["confidences"]),
        helper.make_node("Identity", ["votes_value"], [votes_name]),
        helper.make_node("Identity", ["confidences"], ["distances"]),
        helper.make_node("Identity", ["confidences"], ["scales"]),
    ]
    outputs = [
        helper.make_tensor_value_info("labels", labels_type, None),
        helper.make_tensor_value_info(votes_name, TensorProto.FLOAT, votes_shape),
        *(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in REALS),
    ]
    inputs = [helper.make_tensor_value_info(input_name, input_type, input_shape)]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def batched_network() -> bytes:
    """The same for as many images as one likes; its votes are the same for all."""
    model = onnx.load_from_string(tiny_network())
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    constant = next(tensor for tensor in model.graph.initializer if tensor.name == "votes_value")
    identity = next(node for node in model.graph.node if "votes_value" in node.input)
    model.graph.node.remove(identity)
    constants = [
        helper.make_tensor("ones", TensorProto.INT64, [3], [1, 1, 1]),
        helper.make_tensor("first", TensorProto.INT64, [1], [0]),
        helper.make_tensor("until", TensorProto.INT64, [1], [1]),
    ]
    model.graph.initializer.extend(constants)
    model.graph.node.extend(
        [
            helper.make_node("Shape", ["labels"], ["labels_shape"]),
            helper.make_node("Slice", ["labels_shape", "first", "until"], ["count"]),
            helper.make_node("Concat", ["count", "ones"], ["repeats"], axis=0),
            helper.make_node("Tile", [constant.name, "repeats"], ["votes"]),
        ]
    )
    model.graph.output[1].type.tensor_type.shape.dim[0].dim_param = "batch"
    return bytes(model.SerializeToString())


def random_images(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, 8, 16, 3), dtype=np.uint8)


def opened(network: bytes, **options: Any) -> Session:
    return open_session({"float32": network}, SPEC, SessionOptions(**options))


def refusal(network: bytes, spec: NetworkSpec = SPEC) -> str:
    with pytest.raises(ModelError) as caught:
        open_session({"float32": network}, spec)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("backend", ["auto", "onnxruntime"])
@pytest.mark.parametrize("threads", [0, 1])
def test_outputs_by_name(backend: str, threads: int) -> None:
    images = random_images(1)
    session = opened(tiny_network(), backend=backend, threads=threads)
    outputs = session.run(images)
    assert session.spec == SPEC
    assert session.max_batch == 1
    assert set(outputs) == set(SPEC.outputs)
    np.testing.assert_array_equal(outputs["labels"], images[:, ::4, ::4, 0])
    for name in REALS:
        np.testing.assert_allclose(outputs[name], images[:, ::4, ::4, 0] / 255, rtol=1e-6)
    assert outputs["votes"].shape == (1, H, W, 2)


def test_a_network_with_a_free_batch_axis_takes_as_many_images_as_were_asked_for() -> None:
    images = random_images(4)
    session = opened(batched_network(), max_batch=3)
    assert session.max_batch == 3
    for count in (1, 2, 3):
        np.testing.assert_array_equal(session.run(images[:count])["labels"], images[:count, ::4, ::4, 0])
    for count in (0, 4):
        with pytest.raises(ModelError, match=f"given {count} images at once, it takes 1 to 3"):
            session.run(images[:count])


def test_a_network_with_a_fixed_batch_axis_takes_one_image_whatever_was_asked_for() -> None:
    assert opened(tiny_network(), max_batch=8).max_batch == 1


@pytest.mark.parametrize("backend", ["tensorrt", "onnxruntime-cuda"])
def test_a_backend_that_cannot_be_used_here_says_why(backend: str) -> None:
    there = {
        "tensorrt": find_spec("tensorrt"),
        "onnxruntime-cuda": "CUDAExecutionProvider" in ort.get_available_providers(),
    }
    if there[backend]:
        pytest.skip(f"{backend} may be usable here")
    with pytest.raises(ConfigError, match=f"^no backend can be used: {backend}: "):
        opened(tiny_network(), backend=backend)


def test_what_is_taken_is_said_and_why_not_the_ones_before() -> None:
    said: list[str] = []
    open_session({"float32": tiny_network()}, SPEC, SessionOptions(), said.append)
    taken = said[-1]
    assert taken.startswith("network: ")
    if "on the CPU" in taken:
        assert taken.startswith("network: onnxruntime on the CPU, float32 (not tensorrt: ")
        assert "; not onnxruntime-cuda: " in taken


def test_a_precision_is_one_that_the_map_has() -> None:
    networks: dict[Precision, bytes] = {"float32": tiny_network(), "float16": tiny_network()}
    session = open_session(networks, SPEC, SessionOptions("onnxruntime", "float16"))
    assert session.backend == "onnxruntime on the CPU, float16"
    assert open_session(networks, SPEC, SessionOptions("onnxruntime")).backend == "onnxruntime on the CPU, float32"
    with pytest.raises(ConfigError, match=r"precision 'bfloat16': the map has \['float32', 'float16'\]"):
        open_session(networks, SPEC, SessionOptions("onnxruntime", "bfloat16"))


def test_views_of_images_are_welcome() -> None:
    images = random_images(1)
    flipped = opened(tiny_network()).run(images[:, ::-1, ::-1])["labels"]
    np.testing.assert_array_equal(flipped, images[:, ::-1, ::-1][:, ::4, ::4, 0])


def test_images_that_do_not_fit() -> None:
    session = opened(tiny_network())
    for shape, kind in (((1, 8, 15, 3), np.uint8), ((8, 16, 3), np.uint8), ((1, 8, 16, 3), np.float32)):
        with pytest.raises(ModelError, match="its input is uint8"):
            session.run(np.zeros(shape, kind))  # type: ignore[arg-type]


def test_networks_with_another_input() -> None:
    assert "[1, 8, 12, 3]" in refusal(tiny_network(input_shape=(1, 8, 12, 3)))
    assert "[1, 3, 8, 16]" in refusal(tiny_network(input_shape=(1, 3, 8, 16)))
    assert "tensor(float)" in refusal(tiny_network(input_type=TensorProto.FLOAT))
    assert "['picture']" in refusal(tiny_network(input_name="picture"))
    assert "320, 3" in refusal(tiny_network(), replace(SPEC, width=320))


def test_networks_with_other_outputs() -> None:
    assert "arrows" in refusal(tiny_network(votes_name="arrows"))
    assert "(1, 2, 4, 3)" in refusal(tiny_network(votes_shape=(1, H, W, 3)))
    assert "(2, 4, 2)" in refusal(tiny_network(votes_shape=(H, W, 2)))
    assert "int64" in refusal(tiny_network(labels_type=TensorProto.INT64))
    assert "votes" in refusal(tiny_network(), replace(SPEC, outputs={"labels": "int32", "confidences": "float32"}))
    assert "(1, 2, 4)" in refusal(tiny_network(), replace(SPEC, stride=2))


def test_a_scalar_output_is_refused() -> None:
    assert "votes" in refusal(tiny_network(votes_shape=()))


@pytest.mark.parametrize("content", [b"", b"garbage" * 50, tiny_network()[:200]])
def test_damaged_networks(content: bytes) -> None:
    assert "cannot load" in refusal(content)


def test_a_network_cannot_read_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").write_bytes(np.zeros(H * W * 2, np.float32).tobytes())
    for location in ("weights", f"../{tmp_path.name}/weights", str(tmp_path / "weights")):
        assert "cannot load" in refusal(tiny_network(external=location))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"backend": "cuda9000"}, "backend 'cuda9000' is unknown"),
        ({"precision": "int4"}, "precision 'int4' is unknown"),
        ({"threads": -1}, "threads is -1"),
        ({"max_batch": 0}, "max_batch is 0"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        opened(tiny_network(), **options)


def write_tiny_map(directory: Path, network: bytes, method: str = "vsnet") -> Path:
    ids = np.arange(3, dtype=np.int32)
    manifest = Manifest(method, "map", "2025-06-01T12:00:00Z", SPEC)
    landmark_map = LandmarkMap(ids, np.eye(3), np.eye(3), np.ones(3), ids, manifest)
    write_map(directory, landmark_map, {"float32": network}, np.zeros((4, 4, 3), np.uint8))
    return directory


def test_a_map_directory_becomes_a_localizer(tmp_path: Path) -> None:
    localizer = load_localizer(write_tiny_map(tmp_path / "map", tiny_network()), SessionOptions(threads=1))
    camera = Camera(32, 16, 30.0, 30.0, 15.5, 7.5)
    result = localizer.localize(CameraImage(np.zeros((16, 32, 3), np.uint8), camera))
    assert isinstance(result, Rejection)
    assert {"network", "total"} <= set(result.timings_ms)
    assert len(localizer.map_id) == 12


def test_maps_that_cannot_become_a_localizer_are_named(tmp_path: Path) -> None:
    other_outputs = write_tiny_map(tmp_path / "a", tiny_network(votes_name="arrows"))
    with pytest.raises(ModelError, match=f"^{other_outputs}: network: outputs are"):
        load_localizer(other_outputs)
    unknown_method = write_tiny_map(tmp_path / "b", tiny_network(), method="magic")
    with pytest.raises(MapError, match=f"^{unknown_method}: .*'magic' is unknown"):
        load_localizer(unknown_method)
    other_method = write_tiny_map(tmp_path / "c", tiny_network(), method="hscnet")
    with pytest.raises(MapError, match=rf"^{other_method}: .*'hscnet' needs .*'coordinates' to be float32\[3\]"):
        load_localizer(other_method)
