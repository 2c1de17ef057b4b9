"""Inference with TensorRT 10 and 11 on an NVIDIA GPU."""

import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from vloc_ros.core.model_spec import ModelSpec
from vloc_ros.core.session import Tensors
from vloc_ros.errors import ModelError
from vloc_ros.inference.backend import SessionSettings
from vloc_ros.inference.checks import check_inputs, check_outputs, empty_inputs
from vloc_ros.inference.cuda import Cuda
from vloc_ros.inference.engine_build import UNKNOWN, check_tensor
from vloc_ros.inference.engines import BuildSettings, open_engine
from vloc_ros.inference.tensorrt_library import TensorRt

# One run as it is, one that becomes the CUDA graph, one that launches it.
WARM_UP_RUNS = 3
DEFAULT_BUILDING = BuildSettings()


@dataclass(frozen=True)
class _Tensor:
    """Both ends of an input or output, (max_batch, ...): pinned host memory, and its address on the GPU."""

    host: NDArray[Any]
    address: int


class TensorRtSession:
    """A `Session` over the ONNX file in `network`, checked against `spec` and warmed up when made.

    The first time on a machine, making it takes minutes: TensorRT builds an engine, which is kept in a cache. Any
    thread may use it; one waits for the other. Raises BackendUnavailableError where TensorRT cannot run,
    ModelError for a network that TensorRT refuses or that is not what `spec` says, and when the GPU fails.
    """

    def __init__(
        self,
        network: bytes,
        spec: ModelSpec,
        settings: SessionSettings,
        building: BuildSettings = DEFAULT_BUILDING,
    ) -> None:
        self.spec = spec
        self._say = settings.say
        self._lock = threading.Lock()  # of the tensors and the graph
        self._library = TensorRt()
        self._cuda = Cuda()
        self.backend = f"TensorRT {self._library.version} on {self._cuda.gpu.name}, {settings.precision}"
        self._engine: Any = None
        self._context: Any = None
        self._graph: Any = None
        self._graphs_work = True
        self._batch = 0
        try:
            self._engine = open_engine(self._library, self._cuda.gpu, network, spec, settings, building)
            self.max_batch = self._find_max_batch(self._engine.engine, settings.max_batch)
            self._open_context(self._engine.engine)
            self._warm_up()
        except BaseException:
            self.close()
            raise

    def run(self, inputs: Tensors) -> Tensors:
        """As `Session.run`, of 1 to `max_batch` images.

        Raises ModelError for inputs that do not fit, and when the GPU fails; then only a new session may help.
        """
        batch = check_inputs(inputs, self.spec, self.max_batch)
        with self._lock:
            return self._run(inputs, batch)

    def _run(self, inputs: Tensors, batch: int) -> Tensors:
        if self._context is None:
            raise ModelError("network: the session is closed")
        self._cuda.use()
        for name, given in inputs.items():
            self._tensors[name].host[:batch] = given
        if batch != self._batch:
            self._set_batch(batch)
            self._enqueue()  # TensorRT wants one run of a size before the one that becomes a graph
        else:
            self._graph = self._capture() if self._graph is None else self._graph
            self._launch()
        self._cuda.call("cudaStreamSynchronize", self._stream)
        return {name: self._tensors[name].host[:batch].copy() for name in self.spec.outputs}

    def close(self) -> None:
        """Free the GPU's memory, in whatever state the GPU is; a second time does nothing."""
        if self._graph is not None:
            self._cuda.destroy_graph(self._graph)
        self._graph = self._context = self._engine = None  # in this order, and before the buffers
        self._tensors: dict[str, _Tensor] = {}
        self._cuda.close()

    def __del__(self) -> None:
        with suppress(Exception):  # the session could not be made, or the interpreter is ending
            self.close()

    def _find_max_batch(self, engine: Any, wanted: int) -> int:
        """Check the engine's tensors, whose sizes decide what is read and written where, and its batch axis."""
        spec = self.spec
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        if sorted(names) != sorted([*spec.inputs, *spec.outputs]):
            raise ModelError(f"network: has {names}, the map says {[*spec.inputs, *spec.outputs]}")
        for name in names:
            shape = tuple(engine.get_tensor_shape(name))
            check_tensor(self._library, name, engine.get_tensor_dtype(name), shape, spec)
        batches = {engine.get_tensor_shape(name)[0] for name in spec.inputs}
        if batches not in ({UNKNOWN}, {1}):
            raise ModelError(
                f"network: takes {' and '.join(map(str, sorted(batches)))} images at once, expected 1 or any number"
            )
        return wanted if batches == {UNKNOWN} else 1

    def _open_context(self, engine: Any) -> None:
        require = self._library.require
        self._stream = self._cuda.create_stream()
        self._context = require("creating an execution context", engine.create_execution_context)
        self._tensors = {}
        for name, tensor in {**self.spec.inputs, **self.spec.outputs}.items():
            host = self._cuda.allocate_pinned((self.max_batch, *tensor.shape), tensor.element)
            self._tensors[name] = _Tensor(host, self._cuda.allocate(host.nbytes))
            require(f"binding {name!r}", self._context.set_tensor_address, name, self._tensors[name].address)

    def _warm_up(self) -> None:
        nothing = empty_inputs(self.spec, self.max_batch)
        for _ in range(WARM_UP_RUNS):
            check_outputs(self.run(nothing), self.spec, self.max_batch)

    def _set_batch(self, batch: int) -> None:
        if self._graph is not None:  # it belongs to the old size
            self._cuda.destroy_graph(self._graph)
        self._graph, self._batch = None, 0
        context = self._context
        for name, tensor in self.spec.inputs.items():
            shape = (batch, *tensor.shape)
            self._library.require(f"setting a batch of {batch}", context.set_input_shape, name, shape)
        for name, tensor in self.spec.outputs.items():
            expected = (batch, *tensor.shape)
            if (found := tuple(context.get_tensor_shape(name))) != expected:
                raise ModelError(f"network: output {name!r} is {found}, the map says {expected}")
        self._batch = batch

    def _enqueue(self) -> None:
        """Upload, network, download: into the stream, which may be recording them."""
        batch, stream = self._batch, self._stream
        for name in self.spec.inputs:
            given = self._tensors[name]
            self._cuda.copy_to_gpu(given.address, given.host[:batch], stream)
        self._library.require("running the network", self._context.execute_async_v3, int(stream))
        for name in self.spec.outputs:
            output = self._tensors[name]
            self._cuda.copy_to_host(output.host[:batch], output.address, stream)

    def _capture(self) -> Any:
        """The CUDA graph of a run with the current batch, or None where there can be none."""
        if not self._graphs_work:
            return None
        try:
            return self._cuda.capture(self._stream, self._enqueue)
        except ModelError as error:
            self._graphs_work = False
            self._say(f"runs without CUDA graphs, which takes a little longer: {error}")
            return None

    def _launch(self) -> None:
        if self._graph is None:
            self._enqueue()
        else:
            self._cuda.call("cudaGraphLaunch", self._graph, self._stream)
