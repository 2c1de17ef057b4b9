"""Inference with ONNX Runtime: on the CPU, and through its CUDA provider where there is one."""

import threading
from collections.abc import Sequence
from typing import Any

import onnxruntime as ort

from vloc_ros.core.model_spec import ModelSpec, TensorSpec
from vloc_ros.core.session import Tensors
from vloc_ros.cores import core_limit
from vloc_ros.errors import ModelError, reason_of
from vloc_ros.inference.backend import BackendUnavailableError, SessionSettings
from vloc_ros.inference.checks import check_inputs, check_output_names, check_outputs, empty_inputs

LOG_FATAL_ONLY = 4
TYPES = {"uint8": "tensor(uint8)", "int32": "tensor(int32)", "float32": "tensor(float)"}
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class OnnxSession:
    """A `Session` over the content of an ONNX file, checked against `spec` and warmed up when made.

    Raises ModelError for a file that is damaged, is not self-contained, or has another input or other outputs than
    `spec` says. A network whose batch axis is fixed takes one image at once, whatever the settings allow. Any thread
    may use it; one waits for the other, for two at once would take the memory of two.
    """

    providers: Sequence[str] = (CPU,)

    def __init__(self, network: bytes, spec: ModelSpec, settings: SessionSettings) -> None:
        self.spec = spec
        self._lock = threading.Lock()
        self.backend = f"onnxruntime on the CPU, {settings.precision}"
        self._output_names = list(spec.outputs)
        self._session = _load(network, settings.threads, self.providers)
        is_dynamic = _check_inputs(self._session.get_inputs(), spec)
        self.max_batch = settings.max_batch if is_dynamic else 1
        check_output_names([output.name for output in self._session.get_outputs()], spec)
        check_outputs(self.run(empty_inputs(spec, 1)), spec, 1)

    def run(self, inputs: Tensors) -> Tensors:
        """As `Session.run`. Raises ModelError for inputs that do not fit, and where inference fails."""
        check_inputs(inputs, self.spec, self.max_batch)
        try:
            with self._lock:
                outputs = self._session.run(self._output_names, dict(inputs))
        except Exception as error:  # ONNX Runtime's own classes derive from nothing narrower
            raise ModelError(f"network: inference failed: {reason_of(error)}") from error
        return dict(zip(self._output_names, outputs, strict=True))


class CudaOnnxSession(OnnxSession):
    """The same on an NVIDIA GPU. Raises BackendUnavailableError where ONNX Runtime has no CUDA provider or cannot use
    it."""

    providers = (CUDA, CPU)

    def __init__(self, network: bytes, spec: ModelSpec, settings: SessionSettings) -> None:
        if CUDA not in ort.get_available_providers():
            raise BackendUnavailableError("the installed ONNX Runtime has no CUDA provider")
        super().__init__(network, spec, settings)
        if CUDA not in self._session.get_providers():  # it falls back to the CPU without an error
            raise BackendUnavailableError(
                "ONNX Runtime cannot use its CUDA provider: are driver, CUDA and cuDNN there?"
            )
        self.backend = f"onnxruntime on the GPU, {settings.precision}"


def _load(content: bytes, threads: int, providers: Sequence[str]) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or core_limit()
    options.inter_op_num_threads = 1
    options.log_severity_level = LOG_FATAL_ONLY
    # Between two images a robot has better use for its cores than waiting loops.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Not its own format, which it tells by a few bytes and `require_plain` has not looked at.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return ort.InferenceSession(content, options, providers=list(providers))
    except Exception as error:  # ONNX Runtime's own classes derive from nothing narrower
        raise ModelError(f"network: ONNX Runtime cannot load it: {reason_of(error)}") from error


def _check_inputs(nodes: Sequence[Any], spec: ModelSpec) -> bool:
    """Whether the batch axis is dynamic, which no other may be. Raises ModelError for other inputs than the map's."""
    names = [node.name for node in nodes]
    if sorted(names) != sorted(spec.inputs):
        raise ModelError(f"network: inputs are {names}, the map says {list(spec.inputs)}")
    dynamic = {_check_input(node, spec.inputs[node.name]) for node in nodes}
    if len(dynamic) > 1:
        raise ModelError(f"network: of its inputs {names} some take one image at once and others any number")
    return dynamic.pop()


def _check_input(node: Any, tensor: TensorSpec) -> bool:
    shape, kind, expected = node.shape, node.type, TYPES[tensor.element]
    batch, *rest = shape or [None]
    if kind != expected or rest != list(tensor.shape) or (isinstance(batch, int) and batch != 1):
        raise ModelError(
            f"network: input {node.name!r} is {kind} {shape}, the map says {expected} {[1, *tensor.shape]}"
        )
    return not isinstance(batch, int)
