"""Inference with ONNX Runtime on the CPU."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from vloc_ros.core.manifest import OUTPUT_CELLS, NetworkSpec
from vloc_ros.errors import ConfigError, ModelError

LOG_FATAL_ONLY = 4


class OnnxSession:
    """A `Session` over an ONNX file (or its bytes), checked against `spec` and warmed up when made.

    `threads`: CPU threads of one inference, 0 = one per physical core. Raises ModelError for a file that is damaged,
    is not self-contained, or has another input or other outputs than `spec` says.
    """

    def __init__(self, network: bytes | Path, spec: NetworkSpec, threads: int = 0) -> None:
        if threads < 0:
            raise ConfigError(f"threads is {threads}, must be 0 (one per core) or more")
        self.spec = spec
        self._output_names = list(spec.output_names)
        self._session = _load(network if isinstance(network, bytes) else _read(network), threads)
        _check_input(self._session.get_inputs(), spec)
        _check_output_names([output.name for output in self._session.get_outputs()], spec)
        _check_outputs(self._run(np.zeros((spec.height, spec.width, 3), dtype=np.uint8)), spec)

    def run(self, image: NDArray[np.uint8]) -> Mapping[str, NDArray[Any]]:
        """Outputs by name, without the batch axis, of an RGB image (spec.height, spec.width, 3)."""
        expected = (self.spec.height, self.spec.width, 3)
        if image.shape != expected or image.dtype != np.uint8:
            raise ModelError(f"network: given {image.dtype} {image.shape}, its input is uint8 {expected}")
        return {name: output[0] for name, output in zip(self._output_names, self._run(image), strict=True)}

    def _run(self, image: NDArray[np.uint8]) -> list[NDArray[Any]]:
        try:
            outputs: list[NDArray[Any]] = self._session.run(
                self._output_names, {self.spec.input_name: image[np.newaxis]}
            )
        except Exception as error:  # ONNX Runtime's own classes derive from nothing narrower
            raise ModelError(f"network: inference failed: {_first_line(error)}") from error
        return outputs


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error


def _load(content: bytes, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = LOG_FATAL_ONLY
    # Between two images a robot has better use for its cores than waiting loops.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A map is self-contained: weights in other files, named by the network, are looked for where there are none.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own classes derive from nothing narrower
        raise ModelError(f"network: ONNX Runtime cannot load it: {_first_line(error)}") from error


def _check_input(inputs: list[Any], spec: NetworkSpec) -> None:
    names = [node.name for node in inputs]
    if names != [spec.input_name]:
        raise ModelError(f"network: inputs are {names}, the map says {[spec.input_name]}")
    expected = (1, spec.height, spec.width, 3)
    shape, kind = inputs[0].shape, inputs[0].type
    fits = len(shape) == 4 and all(not isinstance(n, int) or n == m for n, m in zip(shape, expected, strict=True))
    if kind != "tensor(uint8)" or not fits:
        raise ModelError(f"network: input is {kind} {shape}, the map says tensor(uint8) {list(expected)}")


def _check_output_names(names: list[str], spec: NetworkSpec) -> None:
    if sorted(names) != sorted(spec.output_names):
        raise ModelError(f"network: outputs are {names}, the map says {list(spec.output_names)}")


def _check_outputs(outputs: list[NDArray[Any]], spec: NetworkSpec) -> None:
    for name, output in zip(spec.output_names, outputs, strict=True):
        kind, shape = OUTPUT_CELLS[name][0], (1, *spec.output_shape(name))
        if output.dtype != kind or output.shape != shape:
            raise ModelError(f"network: output {name!r} is {output.dtype} {output.shape}, the map says {kind} {shape}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
