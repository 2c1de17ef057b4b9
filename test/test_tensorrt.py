"""The TensorRT session: the same outputs as ONNX Runtime, whatever the version, and every failure said in one line.

Most of it runs against fakes of TensorRT 10 and 11; what needs no failure also against the real one, where it is.
"""

import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.fake_cuda import CudaError
from support.fake_tensorrt import FakeTensorRt, installed
from support.tensorrt_scenes import Said, open_tensorrt
from support.tiny_networks import SPEC, TWO_INPUTS, given, images, network, network_of_two_inputs

from vloc_ros.errors import ModelError
from vloc_ros.inference.backend import BackendUnavailableError, SessionSettings
from vloc_ros.inference.cuda import Cuda
from vloc_ros.inference.engine_build import _strongly_typed
from vloc_ros.inference.onnxruntime import OnnxSession
from vloc_ros.inference.tensorrt import TensorRtSession


@pytest.fixture(params=["10", "11", "real"])
def any_trt(request: pytest.FixtureRequest, engines: Path) -> Iterator[None]:
    """Either fake, and the real TensorRT where there is one."""
    if request.param != "real":
        with installed(request.param):
            yield
        return
    if find_spec("tensorrt") is None:
        pytest.skip("TensorRT is not installed")
    try:
        Cuda().close()
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    yield


@pytest.mark.parametrize("max_batch", [1, 3])
def test_outputs_are_those_of_onnx_runtime(any_trt: None, max_batch: int) -> None:
    session = open_tensorrt(max_batch=max_batch)
    reference = OnnxSession(network(), SPEC.model, SessionSettings(max_batch=max_batch))
    assert session.max_batch == max_batch
    assert session.spec == SPEC.model
    for seed, count in enumerate([max_batch, max_batch, max_batch, 1, 1, 1, 1, max_batch]):
        shown = images(count, seed)
        outputs, expected = session.run(given(shown)), reference.run(given(shown))
        assert set(outputs) == set(SPEC.outputs)
        for name in SPEC.outputs:
            assert outputs[name].dtype == expected[name].dtype
            np.testing.assert_allclose(outputs[name], expected[name], rtol=1e-6)
    session.close()


def test_a_network_of_two_inputs(any_trt: None) -> None:
    settings = SessionSettings(max_batch=3)
    content = network_of_two_inputs()
    session, reference = TensorRtSession(content, TWO_INPUTS, settings), OnnxSession(content, TWO_INPUTS, settings)
    assert session.max_batch == reference.max_batch == 3
    rng = np.random.default_rng(0)
    for seed, count in enumerate([3, 1, 1, 1, 3]):
        shown = images(count, seed)
        weights = rng.uniform(size=(count, 5)).astype(np.float32)
        inputs: dict[str, np.ndarray] = {"weights": weights, "image": shown}
        expected = weights * shown.max(axis=(1, 2, 3))[:, None]
        for found in (session.run(inputs), reference.run(inputs)):
            np.testing.assert_allclose(found["weighted"], expected, rtol=1e-6)
    with pytest.raises(ModelError, match=r"given \['image'\], its inputs are \['image', 'weights'\]"):
        session.run({"image": images(1)})
    session.close()
    assert TensorRtSession(network_of_two_inputs(batch=1), TWO_INPUTS, settings).max_batch == 1


def test_outputs_stay_when_the_session_goes_on(any_trt: None) -> None:
    session = open_tensorrt()
    first = session.run(given(images(1, 1)))
    kept = {name: output.copy() for name, output in first.items()}
    session.run(given(images(1, 2)))
    session.close()
    for name, output in kept.items():
        np.testing.assert_array_equal(first[name], output)


def test_a_network_of_an_older_map_takes_one_image_at_once(any_trt: None) -> None:
    session = open_tensorrt(network(batch=1), max_batch=4)
    assert session.max_batch == 1
    assert session.run(given(images(1)))["labels"].shape == (1, 2, 4)
    with pytest.raises(ModelError, match="2 images at once"):
        session.run(given(images(2)))


def test_images_that_do_not_fit(any_trt: None) -> None:
    session = open_tensorrt()
    for wrong in (np.zeros((1, 8, 15, 3), np.uint8), np.zeros((8, 16, 3), np.uint8), images(1).astype(np.float32)):
        with pytest.raises(ModelError, match="its input is uint8"):
            session.run(given(wrong))  # type: ignore[arg-type]


def test_a_session_made_in_one_thread_runs_in_another(any_trt: None) -> None:
    session = open_tensorrt()
    labels: list[np.ndarray] = []
    worker = threading.Thread(target=lambda: labels.append(session.run(given(images(1)))["labels"]))
    worker.start()
    worker.join()
    np.testing.assert_array_equal(labels[0], images(1)[:, ::4, ::4, 0])


def test_views_of_images_are_welcome(any_trt: None) -> None:
    shown = images(1)[:, ::-1, ::-1]
    np.testing.assert_array_equal(open_tensorrt().run(given(shown))["labels"], shown[:, ::4, ::4, 0])


def test_how_it_builds_and_what_it_says(trt: FakeTensorRt) -> None:
    said = Said()
    session = open_tensorrt(max_batch=4, said=said)
    asked = ["create_network", "create_builder_config", "workspace 1024 MiB", "create_optimization_profile"]
    assert trt.calls[:4] == asked
    assert trt.__version__ in session.backend
    assert "Fake GPU" in session.backend
    assert "takes minutes" in said.text
    assert "engine kept as" in said.text
    assert not hasattr(trt.BuilderFlag, "FP16") or trt.__version__.startswith("10")


def test_networks_are_strongly_typed_where_that_has_to_be_asked_for() -> None:
    flags = SimpleNamespace(NetworkDefinitionCreationFlag=SimpleNamespace(STRONGLY_TYPED=1))
    assert _strongly_typed(flags) == 2
    assert _strongly_typed(SimpleNamespace(NetworkDefinitionCreationFlag=SimpleNamespace())) == 0


def test_runs_become_a_graph_and_a_new_size_another(trt: FakeTensorRt) -> None:
    session = open_tensorrt(max_batch=3)
    runs = [3, 1, 1, 1, 1, 3, 3]
    for seed, count in enumerate(runs):
        trt.cuda.calls.clear()
        np.testing.assert_array_equal(
            session.run(given(images(count, seed)))["labels"], images(count, seed)[:, ::4, ::4, 0]
        )
        same = seed == 0 or runs[seed - 1] == count
        assert ("cudaGraphLaunch" in trt.cuda.calls) == same
    assert trt.cuda.calls.count("cudaMemcpyAsync") == 1 + len(SPEC.outputs)  # of the capture
    trt.cuda.calls.clear()
    session.run(given(images(3)))
    assert trt.cuda.calls == ["cudaSetDevice", "cudaGraphLaunch", "cudaStreamSynchronize"]


@pytest.mark.parametrize("where", ["cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphInstantiate", "enqueue"])
def test_without_graphs_where_they_cannot_be_had(trt: FakeTensorRt, where: str) -> None:
    if where == "enqueue":
        trt.broken["capture"] = ""
    else:
        trt.cuda.fails[where] = CudaError.cudaErrorStreamCaptureUnsupported
    said = Said()
    session = open_tensorrt(said=said)
    assert said.text.count("without CUDA graphs") == 1
    for seed in range(3):
        np.testing.assert_array_equal(session.run(given(images(1, seed)))["labels"], images(1, seed)[:, ::4, ::4, 0])
    session.close()
    assert not trt.cuda.live


def test_closing_frees_everything(trt: FakeTensorRt) -> None:
    session = open_tensorrt(max_batch=2)
    assert trt.cuda.live
    session.close()
    session.close()
    assert not trt.cuda.live
    with pytest.raises(ModelError, match="closed"):
        session.run(given(images(1)))


def test_a_session_that_nobody_closes_is_freed(trt: FakeTensorRt) -> None:
    session = open_tensorrt()
    del session
    assert not trt.cuda.live
