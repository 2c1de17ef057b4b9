"""TensorRT that is not there, refuses, or fails: every failure is said in one line."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto
from support.fake_cuda import CudaError
from support.fake_tensorrt import FakeTensorRt
from support.tensorrt_scenes import Said, open_tensorrt
from support.tiny_networks import SPEC, given, images, network

from vloc_ros.errors import ModelError
from vloc_ros.inference import SessionOptions, open_session
from vloc_ros.inference.backend import BackendUnavailableError
from vloc_ros.inference.cuda import CudaError as CudaFailure


def failure(fake: FakeTensorRt, error: type[Exception] = ModelError, **options: object) -> str:
    """What opening a session says when it fails, after which nothing of it may be left on the GPU."""
    with pytest.raises(error) as caught:
        open_tensorrt(**options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not fake.cuda.live
    return str(caught.value)


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
