"""A `cuda.bindings.runtime` without a GPU: host memory plays the GPU's, streams run what is in them when waited for."""

# The names are CUDA's.
# ruff: noqa: N802, N815

import ctypes
import itertools
from collections.abc import Callable
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import numpy as np


class CudaError(IntEnum):
    """The names and numbers that cuda-python has."""

    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorNoDevice = 100
    cudaErrorLaunchFailure = 719
    cudaErrorStreamCaptureUnsupported = 900


SUCCESS = CudaError.cudaSuccess


class Stream:
    """What was put into it waits until somebody synchronizes; while it captures, it goes into `recorded` instead."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.waiting: list[Callable[[], None]] = []
        self.recorded: list[Callable[[], None]] | None = None

    def __int__(self) -> int:
        return self.handle

    def put(self, work: Callable[[], None]) -> None:
        (self.waiting if self.recorded is None else self.recorded).append(work)


class FakeCuda:
    """The functions of the runtime that the project uses, with cuda-python's results: (error, values...).

    `calls`: names in order. `fails`: error by name of a function, for as long as it is in there. `memory`: bytes that
    can be allocated. `lost`: from now on everything fails, until the device is reset. `live`: what was not freed.
    """

    cudaError_t = CudaError
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    cudaStreamCaptureMode = SimpleNamespace(
        cudaStreamCaptureModeGlobal=0, cudaStreamCaptureModeThreadLocal=1, cudaStreamCaptureModeRelaxed=2
    )
    cudaStreamNonBlocking = 1
    cudaHostAllocDefault = 0

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fails: dict[str, CudaError] = {}
        self.driver, self.needed, self.devices = 13000, 13050, 1
        self.memory = 1 << 30
        self.lost = False
        self.name = b"Fake GPU" + bytes(248)
        self.live: dict[int, Any] = {}
        self.streams: dict[int, Stream] = {}
        self._handles = itertools.count(1)

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if not name.startswith("cuda") or not callable(found) or isinstance(found, type):
            return found

        def called(*arguments: Any) -> tuple[Any, ...]:
            self.calls.append(name)
            error = self.fails.get(name, SUCCESS)
            if self.lost and name not in SURVIVORS:
                error = CudaError.cudaErrorLaunchFailure
            if error and name == "cudaStreamEndCapture":  # ends it in any case
                found(*arguments)[1].work.clear()
                self.live.popitem()
            if error and name != "cudaDeviceReset":
                return (error, None)
            returned: tuple[Any, ...] = found(*arguments)
            return returned

        return called

    def cudaDriverGetVersion(self) -> tuple[Any, ...]:
        return SUCCESS, self.driver

    def cudaRuntimeGetVersion(self) -> tuple[Any, ...]:
        return SUCCESS, self.needed

    def cudaGetDeviceCount(self) -> tuple[Any, ...]:
        if self.driver // 1000 < self.needed // 1000:
            return CudaError.cudaErrorInsufficientDriver, None
        return (SUCCESS, self.devices) if self.devices else (CudaError.cudaErrorNoDevice, None)

    def cudaGetErrorName(self, error: CudaError) -> tuple[Any, ...]:
        return SUCCESS, error.name.encode()

    def cudaGetErrorString(self, error: CudaError) -> tuple[Any, ...]:
        return SUCCESS, f"text of {int(error)}".encode()

    def cudaGetLastError(self) -> tuple[Any, ...]:
        return (SUCCESS,)

    def cudaSetDevice(self, device: int) -> tuple[Any, ...]:
        return (SUCCESS if device < self.devices else CudaError.cudaErrorInvalidValue,)

    def cudaGetDeviceProperties(self, device: int) -> tuple[Any, ...]:
        return SUCCESS, SimpleNamespace(name=self.name, major=9, minor=0, totalGlobalMem=self.memory)

    def cudaMemGetInfo(self) -> tuple[Any, ...]:
        return SUCCESS, self.memory - self.allocated, self.memory

    def cudaDeviceSynchronize(self) -> tuple[Any, ...]:
        return (SUCCESS,)

    def cudaDeviceReset(self) -> tuple[Any, ...]:
        self.lost = False
        self.live.clear()
        return (SUCCESS,)

    @property
    def allocated(self) -> int:
        return sum(block.nbytes for block in self.live.values() if isinstance(block, np.ndarray))

    def cudaMalloc(self, size: int) -> tuple[Any, ...]:
        if size > self.memory - self.allocated:
            return CudaError.cudaErrorMemoryAllocation, None
        block = np.full(size, 0xAB, np.uint8)
        self.live[block.ctypes.data] = block
        return SUCCESS, block.ctypes.data

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[Any, ...]:
        return self.cudaMalloc(size)

    def cudaFree(self, address: int) -> tuple[Any, ...]:
        return (SUCCESS if self.live.pop(address, None) is not None else CudaError.cudaErrorInvalidValue,)

    cudaFreeHost = cudaFree

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Any, ...]:
        stream = Stream(next(self._handles))
        self.streams[stream.handle] = self.live[stream.handle] = stream
        return SUCCESS, stream

    def cudaStreamDestroy(self, stream: Stream) -> tuple[Any, ...]:
        return self.cudaFree(stream.handle)

    def cudaStreamSynchronize(self, stream: Stream) -> tuple[Any, ...]:
        assert stream.recorded is None, "waiting is not allowed while capturing"
        waiting, stream.waiting = stream.waiting, []
        for work in waiting:
            work()
        return (SUCCESS,)

    def cudaMemcpyAsync(self, target: int, source: int, size: int, kind: int, stream: Stream) -> tuple[Any, ...]:
        for address in (target, source):
            assert any(
                start <= address and address + size <= start + block.nbytes
                for start, block in self.live.items()
                if isinstance(block, np.ndarray)
            ), "outside of what was allocated"
        stream.put(lambda: (None, ctypes.memmove(target, source, size))[0])
        return (SUCCESS,)

    def cudaStreamBeginCapture(self, stream: Stream, mode: int) -> tuple[Any, ...]:
        stream.recorded = []
        return (SUCCESS,)

    def cudaStreamEndCapture(self, stream: Stream) -> tuple[Any, ...]:
        recorded, stream.recorded = stream.recorded, None
        return SUCCESS, self._keep(recorded)

    def cudaGraphInstantiate(self, graph: Any, flags: int) -> tuple[Any, ...]:
        return SUCCESS, self._keep(list(graph.work))

    def cudaGraphLaunch(self, graph: Any, stream: Stream) -> tuple[Any, ...]:
        assert graph.handle in self.live, "the graph was destroyed"
        for work in graph.work:
            stream.put(work)
        return (SUCCESS,)

    def cudaGraphDestroy(self, graph: Any) -> tuple[Any, ...]:
        return self.cudaFree(graph.handle)

    cudaGraphExecDestroy = cudaGraphDestroy

    def _keep(self, work: Any) -> Any:
        graph = SimpleNamespace(handle=next(self._handles), work=work)
        self.live[graph.handle] = graph
        return graph


# What works without a context.
SURVIVORS = {"cudaGetErrorName", "cudaGetErrorString", "cudaDriverGetVersion", "cudaRuntimeGetVersion"}
