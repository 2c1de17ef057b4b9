"""The CUDA runtime through cuda-python: every call checked, everything allocated freed again.

cuda-python, because its wheels are a few megabytes of bindings, while PyTorch's buffers would bring all of PyTorch to
the robot. The device is the first that the process sees; the environment variable CUDA_VISIBLE_DEVICES chooses it.
"""

import ctypes
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vloc_ros.errors import ModelError
from vloc_ros.inference.backend import BackendUnavailableError
from vloc_ros.optional_packages import pip_install

RUNTIME = "cuda.bindings.runtime"
DEVICE = 0
OUT_OF_MEMORY = "cudaErrorMemoryAllocation"
OUT_OF_MEMORY_HINT = "close other programs on the GPU, or ask for a smaller batch"


@dataclass(frozen=True)
class Gpu:
    """A GPU as engines know it."""

    name: str
    compute_capability: str


class CudaError(ModelError):
    """A call of the CUDA runtime failed. `name` is CUDA's name of the error."""

    def __init__(self, call: str, name: str, text: str) -> None:
        super().__init__(f"CUDA: {call} failed: {name}: {text}")
        self.name = name

    @property
    def out_of_memory(self) -> bool:
        return self.name == OUT_OF_MEMORY


class Cuda:
    """One GPU, and what was allocated on it. Raises BackendUnavailableError where there is none that can be used.

    Its other methods raise CudaError. Any thread may use it, one at a time.
    """

    def __init__(self) -> None:
        self._runtime = _import_runtime()
        _require_gpu(self._runtime)
        self._allocated = ExitStack()
        self._has_failed = False
        self.use()
        properties = self.call("cudaGetDeviceProperties", DEVICE)
        self.gpu = Gpu(
            name=bytes(properties.name).split(b"\0")[0].decode(errors="replace"),
            compute_capability=f"{properties.major}.{properties.minor}",
        )

    def call(self, name: str, *arguments: Any) -> Any:
        """Result of a function of the CUDA runtime: nothing, one value, or several."""
        error, *values = getattr(self._runtime, name)(*arguments)
        if int(error):
            self._has_failed = True
            kind, text = _describe(self._runtime, error)
            if kind == OUT_OF_MEMORY:
                text += f" ({self._memory()}; {OUT_OF_MEMORY_HINT})"
            self._quietly("cudaGetLastError")  # the next call shall not be blamed
            raise CudaError(name, kind, text)
        return values[0] if len(values) == 1 else tuple(values) or None

    def use(self) -> None:
        """Make the calling thread use this GPU."""
        self.call("cudaSetDevice", DEVICE)

    def allocate(self, size: int) -> int:
        """Address of `size` bytes of GPU memory."""
        address = int(self.call("cudaMalloc", size))
        self._allocated.callback(self._quietly, "cudaFree", address)
        return address

    def allocate_pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array in page-locked host memory, which copies to and from the GPU need; invalid after `close`."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = int(self.call("cudaHostAlloc", size, self._runtime.cudaHostAllocDefault))
        self._allocated.callback(self._quietly, "cudaFreeHost", address)
        memory = np.ctypeslib.as_array((ctypes.c_ubyte * size).from_address(address))
        pinned: NDArray[Any] = memory.view(dtype).reshape(shape)
        return pinned

    def create_stream(self) -> Any:
        """A stream that does not wait for the default stream."""
        stream = self.call("cudaStreamCreateWithFlags", self._runtime.cudaStreamNonBlocking)
        self._allocated.callback(self._quietly, "cudaStreamDestroy", stream)
        return stream

    def copy_to_gpu(self, address: int, host: NDArray[Any], stream: Any) -> None:
        """Enqueue the copy of a contiguous pinned array."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self.call("cudaMemcpyAsync", address, host.ctypes.data, host.nbytes, kind, stream)

    def copy_to_host(self, host: NDArray[Any], address: int, stream: Any) -> None:
        """Enqueue the copy into a contiguous pinned array."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self.call("cudaMemcpyAsync", host.ctypes.data, address, host.nbytes, kind, stream)

    def capture(self, stream: Any, enqueue: Callable[[], None]) -> Any:
        """A graph, ready to launch, of what `enqueue` puts into the stream instead of running it."""
        mode = self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal  # other threads may go on
        self.call("cudaStreamBeginCapture", stream, mode)
        try:
            enqueue()
        except BaseException:
            error, graph = self._runtime.cudaStreamEndCapture(stream)
            if not int(error):
                self._quietly("cudaGraphDestroy", graph)
            self._quietly("cudaGetLastError")
            raise
        graph = self.call("cudaStreamEndCapture", stream)
        try:
            return self.call("cudaGraphInstantiate", graph, 0)
        finally:
            self._quietly("cudaGraphDestroy", graph)

    def destroy_graph(self, graph: Any) -> None:
        self._quietly("cudaGraphExecDestroy", graph)

    def close(self) -> None:
        """Free everything, whatever state the GPU is in; a second time does nothing.

        An error that stays, such as one of a GPU that was lost, ends every later call in this process. Giving up the
        process's context then is the only way to get a new one without a restart.
        """
        self._allocated.close()
        if self._has_failed and int(self._runtime.cudaDeviceSynchronize()[0]):
            self._quietly("cudaDeviceReset")
        self._has_failed = False

    def _memory(self) -> str:
        _, free, total = self._runtime.cudaMemGetInfo()
        return f"{free >> 20} of {total >> 20} MiB are free"

    def _quietly(self, name: str, *arguments: Any) -> None:
        getattr(self._runtime, name)(*arguments)


def _import_runtime() -> Any:
    try:
        return import_module(RUNTIME)
    except ImportError as error:
        raise BackendUnavailableError(
            f"the Python package 'cuda-bindings' cannot be loaded ({error}): {pip_install('cuda-bindings')}, "
            "of the CUDA version that the driver has"
        ) from error


def _require_gpu(runtime: Any) -> None:
    """Raise BackendUnavailableError unless there is a driver that is new enough, and a GPU."""
    driver = runtime.cudaDriverGetVersion()[1]
    if not driver:
        raise BackendUnavailableError("there is no NVIDIA driver")
    error, count = runtime.cudaGetDeviceCount()
    if error == runtime.cudaError_t.cudaErrorInsufficientDriver:
        needed = runtime.cudaRuntimeGetVersion()[1]
        raise BackendUnavailableError(
            f"the NVIDIA driver is too old: it supports CUDA {_version(driver)}, cuda-bindings is made for "
            f"{_version(needed)}; update the driver or install an older cuda-bindings"
        )
    if int(error):
        raise BackendUnavailableError("the GPU cannot be used: {}: {}".format(*_describe(runtime, error)))
    if not count:
        raise BackendUnavailableError("there is no NVIDIA GPU")


def _describe(runtime: Any, error: Any) -> tuple[str, str]:
    """CUDA's name of an error, and its sentence."""
    name, text = (bytes(call(error)[1]).decode() for call in (runtime.cudaGetErrorName, runtime.cudaGetErrorString))
    return name, text


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
