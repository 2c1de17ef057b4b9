"""What a network's file may hold: all else is refused before a library that runs networks sees it."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import GraphProto, ModelProto, TensorProto
from support.tiny_networks import SPEC, network, refusal

from vloc_ros.errors import ModelError
from vloc_ros.inference.backend import SessionSettings
from vloc_ros.inference.onnx_file import require_plain
from vloc_ros.inference.onnxruntime import OnnxSession

ONE = network(batch=1)


def test_a_network_cannot_read_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").write_bytes(np.float32(1).tobytes())
    for location in ("weights", f"../{tmp_path.name}/weights", str(tmp_path / "weights")):
        assert "weights are in another file" in refusal(network(1, external=location))


def test_what_may_not_be_in_a_network_is_refused_before_anything_else_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "InferenceSession", lambda *_, **__: pytest.fail("ONNX Runtime sees it"))
    for changed, complaint in forbidden():
        assert complaint in refusal(changed.SerializeToString())


def forbidden() -> Iterator[tuple[Any, str]]:
    """ONNX models with one thing each that no map's network has."""

    def changed(change: Callable[[Any], object]) -> Any:
        model = ModelProto.FromString(ONE)
        change(model)
        return model

    def external(tensor: Any) -> None:
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="weights")

    def attribute_of(model: Any) -> Any:
        return model.graph.node[-1].attribute.add(name="value")

    elsewhere, inside = "weights are in another file", "graph inside an operator"
    yield changed(lambda m: external(m.graph.initializer[2])), elsewhere
    yield changed(lambda m: external(m.graph.sparse_initializer.add().values)), elsewhere
    yield changed(lambda m: external(m.graph.sparse_initializer.add().indices)), elsewhere
    yield changed(lambda m: external(attribute_of(m).t)), elsewhere
    yield changed(lambda m: external(attribute_of(m).tensors.add())), elsewhere
    yield changed(lambda m: external(attribute_of(m).sparse_tensor.values)), elsewhere
    yield changed(lambda m: external(attribute_of(m).sparse_tensors.add().values)), elsewhere
    yield changed(lambda m: attribute_of(m).g.SetInParent()), inside
    yield changed(lambda m: attribute_of(m).graphs.add()), inside
    yield changed(lambda m: setattr(m.graph.node[0], "domain", "com.microsoft")), "operators of 'com.microsoft'"
    yield changed(lambda m: m.functions.add()), "functions or training"
    yield changed(lambda m: m.training_info.add()), "functions or training"
    yield changed(lambda m: m.graph.node.extend([m.graph.node[0]] * 10_001)), "more than 10000 operators"


def test_a_network_in_two_halves_is_looked_at_as_a_whole() -> None:
    """Parsers join messages of the same field."""
    graph = GraphProto()
    graph.initializer.add(data_location=TensorProto.EXTERNAL)
    with pytest.raises(ModelError, match="another file"):
        require_plain(ONE + ModelProto(graph=graph).SerializeToString())


def test_a_network_in_onnx_runtimes_own_format_is_refused(tmp_path: Path) -> None:
    """Which it would tell by a few bytes; what is in it has not been looked at."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "tiny.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    ort.InferenceSession(ONE, options, providers=["CPUExecutionProvider"])
    content = (tmp_path / "tiny.ort").read_bytes()
    assert content[4:8] == b"ORTM"
    assert "cannot load" in refusal(content)
    with pytest.raises(ModelError, match="cannot load"):
        OnnxSession(content, SPEC.model, SessionSettings())


@pytest.mark.parametrize("content", [b"\x80" * 50, b"\x3a\xff\xff\xff\xff\x0f", b"\x0b", b"\x38\x01", b"\x3a", b"\xff"])
def test_what_is_no_protobuf_message(content: bytes) -> None:
    assert "cannot load it: its file is damaged" in refusal(content)


def test_damaged_networks_raise_nothing_but_model_errors() -> None:
    rng = np.random.default_rng(0)
    for _ in range(2000):
        damaged = bytearray(ONE)
        for at in rng.integers(0, len(ONE), rng.integers(1, 4)):
            damaged[at] = rng.integers(256)
        with suppress(ModelError):
            require_plain(bytes(damaged[: rng.integers(1, len(ONE))]))
