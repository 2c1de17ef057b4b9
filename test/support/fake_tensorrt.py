"""A `tensorrt` of version 10 or 11 without a GPU: ONNX Runtime computes, the rules and refusals are TensorRT's.

It has what the project uses, and of version 10 some of what 11 removed. As in the real one a failure is a None, a False
or an exception of the bindings, its reason goes to the logger, and memory belongs to CUDA (here `FakeCuda`).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from support.fake_cuda import FakeCuda

VERSIONS = {"10": "10.16.1.11", "11": "11.4.0.106"}
NUMPY_TYPES = {"tensor(uint8)": np.uint8, "tensor(int32)": np.int32, "tensor(float)": np.float32}
UNSUPPORTED = ("NonMaxSuppression", "Det")
MAGIC = b"fake engine\n"


class DataType(IntEnum):
    FLOAT, HALF, INT8, INT32, BOOL, UINT8, FP8, BF16, INT64 = range(9)


class Severity(IntEnum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = Severity
    Severity = Severity

    def log(self, severity: int, message: str) -> None:
        raise NotImplementedError


class IProgressMonitor:
    pass


DTYPES = {
    onnx.TensorProto.FLOAT: DataType.FLOAT,
    onnx.TensorProto.INT32: DataType.INT32,
    onnx.TensorProto.INT64: DataType.INT64,
    onnx.TensorProto.UINT8: DataType.UINT8,
}


def tensor_of(value: Any) -> SimpleNamespace:
    """An input or output of a graph: name, type and shape, -1 where that is open."""
    kind = value.type.tensor_type
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in kind.shape.dim)
    return SimpleNamespace(name=value.name, dtype=DTYPES[kind.elem_type], shape=shape)


def flags_named(name: str, flags: dict[str, int]) -> Any:
    return IntEnum(name, list(flags.items()))


class FakeTensorRt:
    """The module. `calls`: what was called, in order. Ways to fail: `broken` holds names of calls that do, and the
    message that they log; `driver_fits`: without it nothing can be created; `host_code`: engines bring programs."""

    ILogger = ILogger
    IProgressMonitor = IProgressMonitor
    DataType = DataType
    uint8, int32, float32 = DataType.UINT8, DataType.INT32, DataType.FLOAT
    MemoryPoolType = IntEnum("MemoryPoolType", ["WORKSPACE"], start=0)
    TensorIOMode = IntEnum("TensorIOMode", ["NONE", "INPUT", "OUTPUT"], start=0)

    def __init__(self, major: str, cuda: FakeCuda) -> None:
        self.__version__ = VERSIONS[major]
        self.cuda = cuda
        self.calls: list[str] = []
        self.broken: dict[str, str] = {}
        self.driver_fits = True
        self.host_code = False
        self.logger: Any = None
        flags = {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1} if major == "10" else {"STRONGLY_TYPED": 0}
        self.NetworkDefinitionCreationFlag = flags_named("NetworkDefinitionCreationFlag", flags)
        self.BuilderFlag = flags_named("BuilderFlag", {"FP16": 0, "TF32": 7} if major == "10" else {"TF32": 7})
        self.must_ask_for_strong_types = major == "10"
        for made in (Builder, Runtime, OnnxParser):
            setattr(self, made.__name__, lambda *arguments, made=made: made(self, *arguments))

    def log(self, severity: Severity, message: str) -> None:
        assert self.logger is not None
        self.logger.log(severity, message)

    def fails(self, call: str) -> bool:
        """Note the call; log the reason when it is broken."""
        self.calls.append(call)
        if call in self.broken:
            self.log(Severity.ERROR, self.broken[call])
        return call in self.broken

    def take_logger(self, logger: Any) -> None:
        """The first logger of the process stays."""
        self.logger = self.logger or logger
        if not self.driver_fits:
            self.log(Severity.ERROR, "CUDA initialization failure with error: 35")
            raise TypeError("pybind11::init(): factory function returned nullptr")


class Builder:
    def __init__(self, trt: FakeTensorRt, logger: ILogger) -> None:
        trt.take_logger(logger)
        self.trt = trt

    def create_network(self, flags: int = 0) -> Any:
        known = self.trt.NetworkDefinitionCreationFlag
        assert flags < 1 << len(known), "a flag that there is not"
        strong = bool(flags >> known.STRONGLY_TYPED & 1) or not self.trt.must_ask_for_strong_types
        return None if self.trt.fails("create_network") else Network(strong)

    def create_builder_config(self) -> Any:
        return None if self.trt.fails("create_builder_config") else Config(self.trt)

    def create_optimization_profile(self) -> Any:
        return None if self.trt.fails("create_optimization_profile") else Profile()

    def build_serialized_network(self, network: "Network", config: "Config") -> Any:
        assert network.strong, "the precision is the ONNX file's"
        if self.trt.fails("build_serialized_network"):
            return None
        if network.inputs[0].shape[0] == -1 and not config.profiles:
            self.trt.log(Severity.ERROR, "Network has dynamic inputs, but no optimization profile has been defined")
            return None
        if not run_phases(config.progress_monitor):
            self.trt.log(Severity.ERROR, "Build was cancelled")
            return None
        header = {
            "version": self.trt.__version__,
            "gpu": self.trt.cuda.name.decode(),
            "host_code": self.trt.host_code,
            "batches": [shape[0] for shape in config.profiles[0].shapes] if config.profiles else [1, 1, 1],
        }
        config.timing += b" measured"
        return bytearray(MAGIC + json.dumps(header).encode() + b"\n" + network.model)


def run_phases(monitor: Any) -> bool:
    monitor.phase_start("Building Engine", None, 2)
    monitor.phase_start("Timing", "Building Engine", 3)
    goes_on = all(monitor.step_complete("Timing", step) for step in range(3))
    monitor.phase_finish("Timing")
    goes_on = goes_on and monitor.step_complete("Building Engine", 0)
    monitor.phase_finish("Building Engine")
    return goes_on


class Network:
    def __init__(self, strong: bool) -> None:
        self.strong = strong
        self.model = b""
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    num_inputs = property(lambda self: len(self.inputs))
    num_outputs = property(lambda self: len(self.outputs))

    def get_input(self, index: int) -> Any:
        return self.inputs[index]

    def get_output(self, index: int) -> Any:
        return self.outputs[index]


class OnnxParser:
    def __init__(self, trt: FakeTensorRt, network: Network, logger: ILogger) -> None:
        self.network = network
        self._errors: list[str] = []

    num_errors = property(lambda self: len(self._errors))

    def get_error(self, index: int) -> str:
        return self._errors[index]

    def parse(self, model: bytes) -> bool:
        try:
            graph = onnx.load_from_string(model).graph
        except Exception:
            self._errors.append("In node -1 with name:  and operator:  (parse): MODEL_DESERIALIZE_FAILED:\nFailed.")
            return False
        bytes_in = {value.name for value in graph.input if tensor_of(value).dtype == DataType.UINT8}
        for index, node in enumerate(graph.node):
            where = f"In node {index} with name: {node.name} and operator: {node.op_type} (checkSupport): "
            if node.op_type in UNSUPPORTED:
                self._errors.append(f"{where}UNSUPPORTED_NODE:\nNo importer registered for op: {node.op_type}.")
            if bytes_in & set(node.input) and node.op_type != "Cast":
                self._errors.append(f"{where}INVALID_NODE:\nUINT8 has to go into a Cast.")
        self.network.model = model
        self.network.inputs = [tensor_of(value) for value in graph.input]
        self.network.outputs = [tensor_of(value) for value in graph.output]
        return not self._errors


class Config:
    def __init__(self, trt: FakeTensorRt) -> None:
        self.trt = trt
        self.profiles: list[Profile] = []
        self.progress_monitor: Any = None
        self.timing = b""

    def set_memory_pool_limit(self, pool: int, size: int) -> None:
        self.trt.calls.append(f"workspace {size >> 20} MiB")

    def add_optimization_profile(self, profile: "Profile") -> int:
        self.profiles.append(profile)
        return -1 if self.trt.fails("add_optimization_profile") else len(self.profiles) - 1

    def create_timing_cache(self, content: bytes) -> Any:
        self.trt.calls.append(f"timing cache {content!r}")
        return SimpleNamespace(serialize=lambda: bytearray(self.timing)) if b"bad" not in content else None

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        self.cache = cache
        return True

    def get_timing_cache(self) -> Any:
        return self.cache


class Profile:
    def set_shape(self, name: str, low: Any, best: Any, high: Any) -> None:
        self.shapes = (low, best, high)


class Runtime:
    engine_host_code_allowed = True  # has to be forbidden, not left as it is

    def __init__(self, trt: FakeTensorRt, logger: ILogger) -> None:
        trt.take_logger(logger)
        self.trt = trt

    def deserialize_cuda_engine(self, content: bytes) -> Any:
        if self.trt.fails("deserialize_cuda_engine"):
            return None
        header_line, _, model = content.removeprefix(MAGIC).partition(b"\n")
        header = json.loads(header_line)
        reasons = {
            "The engine is not made for this version": header["version"] != self.trt.__version__,
            "The engine is not made for this device": header["gpu"] != self.trt.cuda.name.decode(),
            "The engine contains host code": header["host_code"] and not self.engine_host_code_allowed,
        }
        for reason in [reason for reason, applies in reasons.items() if applies]:
            self.trt.log(Severity.ERROR, reason)
            return None
        return Engine(self.trt, model, header["batches"])


class Engine:
    def __init__(self, trt: FakeTensorRt, model: bytes, batches: list[int]) -> None:
        self.trt, self.model, self.batches = trt, model, batches
        graph = onnx.load_from_string(model).graph
        self.tensors = {value.name: tensor_of(value) for value in (*graph.input, *graph.output)}
        self.inputs = [value.name for value in graph.input]

    num_io_tensors = property(lambda self: len(self.tensors))

    def get_tensor_name(self, index: int) -> str:
        return str(list(self.tensors)[index])

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.tensors[name].shape
        return shape

    def get_tensor_dtype(self, name: str) -> DataType:
        dtype: DataType = self.tensors[name].dtype
        return dtype

    def create_execution_context(self) -> Any:
        return None if self.trt.fails("create_execution_context") else Context(self.trt, self)


class Context:
    def __init__(self, trt: FakeTensorRt, engine: Engine) -> None:
        self.trt, self.engine = trt, engine
        self.session = ort.InferenceSession(engine.model, providers=["CPUExecutionProvider"])
        self.addresses: dict[str, int] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.has_run = False

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return not self.trt.fails("set_tensor_address")

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        low, _, high = self.engine.batches
        self.shapes[name], self.has_run = shape, False
        return not self.trt.fails("set_input_shape") and low <= shape[0] <= high

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        shape = self.engine.tensors[name].shape
        (batch,) = {given[0] for given in self.shapes.values()}
        return (batch, *shape[1:])

    def execute_async_v3(self, stream_handle: int) -> bool:
        stream = self.trt.cuda.streams[stream_handle]
        if self.trt.fails("execute_async_v3"):
            return False
        if stream.recorded is not None and (not self.has_run or "capture" in self.trt.broken):
            self.trt.log(Severity.ERROR, "operation not permitted when stream is capturing")
            return False
        assert set(self.addresses) == set(self.engine.tensors)
        shapes, self.has_run = dict(self.shapes), True
        assert set(shapes) == set(self.engine.inputs)
        stream.put(lambda: self._compute(shapes))
        return True

    def _compute(self, shapes: dict[str, tuple[int, ...]]) -> None:
        kinds = {node.name: np.dtype(NUMPY_TYPES[node.type]) for node in self.session.get_inputs()}
        given = {name: view(self.addresses[name], kinds[name], shape) for name, shape in shapes.items()}
        outputs = [name for name in self.engine.tensors if name not in self.engine.inputs]
        for output, value in zip(outputs, self.session.run(outputs, given), strict=True):
            view(self.addresses[output], value.dtype, value.shape)[...] = value


def view(address: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    import ctypes

    size = int(np.prod(shape)) * dtype.itemsize
    return np.ctypeslib.as_array((ctypes.c_ubyte * size).from_address(address)).view(dtype).reshape(shape)


@contextmanager
def installed(major: str) -> Iterator[FakeTensorRt]:
    """Both fakes in the place of the real modules."""
    import sys

    cuda = FakeCuda()
    trt = FakeTensorRt(major, cuda)
    names: dict[str, Any] = {"tensorrt": trt, "cuda": SimpleNamespace(), "cuda.bindings": SimpleNamespace(runtime=cuda)}
    names["cuda.bindings.runtime"] = cuda
    before = {name: sys.modules.get(name) for name in names}
    sys.modules.update(names)
    try:
        yield trt
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
