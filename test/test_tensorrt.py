"""The TensorRT session: the same outputs as ONNX Runtime, whatever the version, and every failure said in one line.

Most of it runs against fakes of TensorRT 10 and 11; what needs no failure also against the real one, where it is.
"""

import re
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import TensorProto
from support.fake_cuda import CudaError
from support.fake_tensorrt import FakeTensorRt, installed
from support.tensorrt_scenes import Said, open_tensorrt
from support.tiny_networks import SPEC, TWO_INPUTS, given, images, network, network_of_two_inputs

from vloc_ros.errors import ModelError
from vloc_ros.inference import SessionOptions, open_session
from vloc_ros.inference.backend import BackendUnavailableError, SessionSettings
from vloc_ros.inference.cuda import Cuda
from vloc_ros.inference.cuda import CudaError as CudaFailure
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


def failure(fake: FakeTensorRt, error: type[Exception] = ModelError, **options: object) -> str:
    """What opening a session says when it fails, after which nothing of it may be left on the GPU."""
    with pytest.raises(error) as caught:
        open_tensorrt(**options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not fake.cuda.live
    return str(caught.value)


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


def test_without_tensorrt(engines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(BackendUnavailableError, match="'tensorrt' cannot be loaded"):
        open_tensorrt()


def test_without_cuda_python(trt: FakeTensorRt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    assert "'cuda-bindings' cannot be loaded" in failure(trt, BackendUnavailableError)


def test_without_a_driver(trt: FakeTensorRt) -> None:
    trt.cuda.driver = 0
    assert "no NVIDIA driver" in failure(trt, BackendUnavailableError)


def test_with_a_driver_too_old(trt: FakeTensorRt) -> None:
    trt.cuda.driver = 12020
    text = failure(trt, BackendUnavailableError)
    assert "too old" in text
    assert "CUDA 12.2" in text
    assert "13.5" in text


def test_with_a_driver_too_old_for_tensorrt_alone(trt: FakeTensorRt) -> None:
    trt.driver_fits = False
    assert "CUDA initialization failure" in failure(trt, BackendUnavailableError)


def test_without_a_gpu(trt: FakeTensorRt) -> None:
    trt.cuda.devices = 0
    assert "cudaErrorNoDevice" in failure(trt, BackendUnavailableError)


def test_auto_says_why_not_tensorrt_and_asking_for_it_is_an_error(trt: FakeTensorRt) -> None:
    networks = {"float32": network()}
    said = Said()
    assert open_session(networks, SPEC.model, say=said.append).backend.startswith("TensorRT")  # type: ignore[arg-type]
    trt.cuda.driver = 0
    session = open_session(networks, SPEC.model, say=said.append)  # type: ignore[arg-type]
    assert "onnxruntime" in session.backend
    assert "not tensorrt: there is no NVIDIA driver" in said.text
    with pytest.raises(BackendUnavailableError.__base__, match="no NVIDIA driver"):  # type: ignore[arg-type]
        open_session(networks, SPEC.model, SessionOptions("tensorrt"))  # type: ignore[arg-type]


def test_auto_goes_on_where_tensorrt_refuses_the_network(trt: FakeTensorRt) -> None:
    networks = {"float32": network(first="Identity")}  # what older maps have
    said = Said()
    session = open_session(networks, SPEC.model, say=said.append)  # type: ignore[arg-type]
    assert "onnxruntime" in session.backend
    assert "not tensorrt: TensorRT" in said.text
    with pytest.raises(ModelError, match="UINT8"):
        open_session(networks, SPEC.model, SessionOptions("tensorrt"))  # type: ignore[arg-type]


def test_every_error_of_the_parser_is_reported(trt: FakeTensorRt) -> None:
    text = failure(trt, content=network(extra=("NonMaxSuppression", "Det")))
    assert "No importer registered for op: NonMaxSuppression" in text
    assert "No importer registered for op: Det" in text
    assert "UINT8" in failure(trt, content=network(first="Identity"))
    assert "MODEL_DESERIALIZE_FAILED" in failure(trt, content=b"garbage")


def test_networks_that_are_not_what_the_map_says(trt: FakeTensorRt) -> None:
    assert "arrows" in failure(trt, content=network(votes_name="arrows"))
    assert "int64" in failure(trt, content=network(labels_type=TensorProto.INT64))
    assert re.search(r"12, 16, 3", failure(trt, content=network(image=(12, 16, 3))))
    assert "(-1, 4, 8)" in failure(trt, spec=replace(SPEC, stride=2))
    assert "build_serialized_network" not in trt.calls  # which takes minutes


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("create_network", "creating a network"),
        ("create_builder_config", "creating a builder configuration"),
        ("create_optimization_profile", "creating an optimization profile"),
        ("add_optimization_profile", "batches of 1 to 1"),
        ("build_serialized_network", "building the engine"),
        ("deserialize_cuda_engine", "loading the engine"),
        ("create_execution_context", "creating an execution context"),
        ("set_tensor_address", "binding 'image'"),
        ("set_input_shape", "setting a batch of 1"),
        ("execute_async_v3", "running the network"),
    ],
)
def test_whatever_tensorrt_refuses_is_named_with_its_reason(trt: FakeTensorRt, call: str, said: str) -> None:
    trt.broken[call] = "reason:\nof TensorRT"
    text = failure(trt)
    assert said in text
    if call != "add_optimization_profile":
        assert "reason: of TensorRT" in text
    del trt.broken[call]
    np.testing.assert_array_equal(open_tensorrt().run(given(images(1)))["labels"], images(1)[:, ::4, ::4, 0])


@pytest.mark.parametrize("call", ["build_serialized_network", "create_execution_context"])
def test_tensorrt_out_of_gpu_memory(trt: FakeTensorRt, call: str) -> None:
    trt.broken[call] = "Requested amount of GPU memory could not be allocated: out of memory"
    assert "smaller batch" in failure(trt)


def test_buffers_out_of_gpu_memory(trt: FakeTensorRt) -> None:
    trt.cuda.memory = 5 << 20
    trt.cuda.fails["cudaMalloc"] = CudaError.cudaErrorMemoryAllocation
    text = failure(trt)
    assert "cudaErrorMemoryAllocation" in text
    assert "of 5 MiB are free" in text
    assert "smaller batch" in text


def test_out_of_gpu_memory_at_run(trt: FakeTensorRt) -> None:
    session = open_tensorrt()
    trt.cuda.fails["cudaGraphLaunch"] = CudaError.cudaErrorMemoryAllocation
    with pytest.raises(CudaFailure) as caught:
        session.run(given(images(1)))
    assert caught.value.out_of_memory
    trt.cuda.fails.clear()
    np.testing.assert_array_equal(session.run(given(images(1)))["labels"], images(1)[:, ::4, ::4, 0])


def test_a_gpu_that_is_lost_and_a_session_after_it(trt: FakeTensorRt) -> None:
    session = open_tensorrt()
    trt.cuda.lost = True
    for _ in range(2):
        with pytest.raises(ModelError, match="cudaErrorLaunchFailure"):
            session.run(given(images(1)))
    session.close()
    session.close()
    assert trt.cuda.calls.count("cudaDeviceReset") == 1
    again = open_tensorrt()
    np.testing.assert_array_equal(again.run(given(images(1)))["labels"], images(1)[:, ::4, ::4, 0])
    again.close()
    assert not trt.cuda.live


def test_a_gpu_that_works_is_never_reset(trt: FakeTensorRt) -> None:
    session = open_tensorrt()
    trt.cuda.fails["cudaGraphLaunch"] = CudaError.cudaErrorMemoryAllocation
    with pytest.raises(ModelError):
        session.run(given(images(1)))
    session.close()
    assert "cudaDeviceReset" not in trt.cuda.calls


def test_a_gpu_lost_while_warming_up(trt: FakeTensorRt) -> None:
    trt.cuda.fails["cudaStreamSynchronize"] = CudaError.cudaErrorLaunchFailure
    assert "cudaStreamSynchronize" in failure(trt)


def test_progress_is_said_and_ctrl_c_stops_the_build(
    trt: FakeTensorRt,
    engines: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vloc_ros.inference.engine_build.PROGRESS_INTERVAL_S", 0.0)
    said = Said()
    open_tensorrt(said=said).close()
    assert "Timing, step 2 of 3" in said.text

    def interrupted(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("concurrent.futures.Future.result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_tensorrt(network(batch=1))
    assert not trt.cuda.live
    assert len(list(engines.glob("*.engine"))) == 1
