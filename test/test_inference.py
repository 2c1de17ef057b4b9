"""Inference sessions: outputs as they are, and networks that do not do what the map says refused when loaded."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vloc_ros.core.camera import Camera
from vloc_ros.core.manifest import Manifest, NetworkSpec
from vloc_ros.core.types import CameraImage, LandmarkMap, Rejection
from vloc_ros.errors import ConfigError, MapError, ModelError
from vloc_ros.inference import open_session
from vloc_ros.localizer import load_localizer
from vloc_ros.maps import write_map

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402

SPEC = NetworkSpec(width=16, height=8, stride=4)
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


def refusal(network: bytes | Path, spec: NetworkSpec = SPEC) -> str:
    with pytest.raises(ModelError) as caught:
        open_session(network, spec)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("backend", ["auto", "onnxruntime"])
@pytest.mark.parametrize("threads", [0, 1])
def test_outputs_by_name_without_batch_axis(tmp_path: Path, backend: str, threads: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 16, 3), dtype=np.uint8)
    (tmp_path / "network.onnx").write_bytes(tiny_network())
    for network in (tiny_network(), tmp_path / "network.onnx"):
        session = open_session(network, SPEC, backend, threads)
        outputs = session.run(image)
        assert session.spec == SPEC
        assert set(outputs) == set(SPEC.output_names)
        np.testing.assert_array_equal(outputs["labels"], image[::4, ::4, 0])
        for name in REALS:
            np.testing.assert_allclose(outputs[name], image[::4, ::4, 0] / 255, rtol=1e-6)
        assert outputs["votes"].shape == (H, W, 2)


def test_views_of_images_are_welcome() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 16, 3), dtype=np.uint8)
    session = open_session(tiny_network(), SPEC)
    flipped = session.run(image[::-1, ::-1])["labels"]
    np.testing.assert_array_equal(flipped, image[::-1, ::-1][::4, ::4, 0])


def test_images_that_do_not_fit() -> None:
    session = open_session(tiny_network(), SPEC)
    for image in (np.zeros((8, 15, 3), np.uint8), np.zeros((8, 16), np.uint8), np.zeros((8, 16, 3), np.float32)):
        with pytest.raises(ModelError, match="its input is uint8"):
            session.run(image)  # type: ignore[arg-type]


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
    assert "votes" in refusal(tiny_network(), replace(SPEC, output_names=("labels", "confidences")))
    assert "(1, 2, 4)" in refusal(tiny_network(), replace(SPEC, stride=2))


def test_a_scalar_output_is_refused() -> None:
    assert "votes" in refusal(tiny_network(votes_shape=()))


@pytest.mark.parametrize("content", [b"", b"garbage" * 50, tiny_network()[:200]])
def test_damaged_networks(content: bytes) -> None:
    assert "cannot load" in refusal(content)


def test_a_network_file_that_is_not_there(tmp_path: Path) -> None:
    assert str(tmp_path / "no.onnx") in refusal(tmp_path / "no.onnx")


def test_a_network_cannot_read_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").write_bytes(np.zeros(H * W * 2, np.float32).tobytes())
    for location in ("weights", f"../{tmp_path.name}/weights", str(tmp_path / "weights")):
        assert "cannot load" in refusal(tiny_network(external=location))


def test_unknown_backends_and_thread_counts() -> None:
    with pytest.raises(ConfigError, match="'cuda9000' is unknown"):
        open_session(tiny_network(), SPEC, "cuda9000")
    with pytest.raises(ConfigError, match="threads is -1"):
        open_session(tiny_network(), SPEC, threads=-1)


def write_tiny_map(directory: Path, network: bytes, method: str = "vsnet") -> Path:
    ids = np.arange(3, dtype=np.int32)
    manifest = Manifest(method, "map", "2025-06-01T12:00:00Z", SPEC)
    landmark_map = LandmarkMap(ids, np.eye(3), np.eye(3), np.ones(3), ids, manifest)
    write_map(directory, landmark_map, network, np.zeros((4, 4, 3), np.uint8))
    return directory


def test_a_map_directory_becomes_a_localizer(tmp_path: Path) -> None:
    localizer = load_localizer(write_tiny_map(tmp_path / "map", tiny_network()), threads=1)
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
