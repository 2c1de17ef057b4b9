"""From an ONNX file to a TensorRT engine: parsed, checked against the map, built where Ctrl-C still works."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from vloc_ros.core.model_spec import ModelSpec
from vloc_ros.errors import ModelError
from vloc_ros.inference.engine_cache import Say
from vloc_ros.inference.tensorrt_library import TensorRt

PROGRESS_INTERVAL_S = 5.0
UNKNOWN = -1  # TensorRT's size of an axis that only running decides


def build_engine(
    library: TensorRt,
    network: bytes,
    spec: ModelSpec,
    max_batch: int,
    workspace_mb: int,
    timing: bytes,
    say: Say,
) -> tuple[bytes, bytes]:
    """A serialized engine for batches of 1 to `max_batch` images, best at `max_batch`, and the new timing cache.

    `workspace_mb`: the most GPU memory that one layer may use for itself. `timing`: an earlier timing cache or b"".
    A network with a fixed batch axis keeps it. Takes minutes; `say` is told of the progress. Raises ModelError.
    """
    api = library.api
    builder = library.create("creating a builder", "Builder")
    definition = library.require("creating a network", builder.create_network, _strongly_typed(api))
    # The parser refers to the network's bytes until the engine is built.
    parser = library.require("creating a parser", api.OnnxParser, definition, library.log)
    _parse(library, parser, network)
    _check_definition(library, definition, spec)
    config = library.require("creating a builder configuration", builder.create_builder_config)
    pool = api.MemoryPoolType.WORKSPACE
    library.attempt("limiting the workspace", config.set_memory_pool_limit, pool, workspace_mb << 20)
    if any(definition.get_input(index).shape[0] == UNKNOWN for index in range(definition.num_inputs)):
        _add_profile(library, builder, config, spec, max_batch)
    _attach_timing(library, config, timing)
    monitor = _make_monitor(api, say)
    config.progress_monitor = monitor

    def build() -> Any:
        return library.require("building the engine", builder.build_serialized_network, definition, config)

    engine = bytes(memoryview(_interruptibly(build, monitor)))
    return engine, _timing_of(config)


def check_tensor(library: TensorRt, name: str, dtype: Any, shape: tuple[int, ...], spec: ModelSpec) -> None:
    """Raise ModelError unless an input or output is what the map says. `shape`: with batch axis, -1 where unknown."""
    tensor = spec.inputs.get(name) or spec.outputs.get(name)
    if tensor is None:
        raise ModelError(f"network: has {name!r}, the map says {[*spec.inputs, *spec.outputs]}")
    kind, sizes = tensor.element, tensor.shape
    fits = len(shape) == 1 + len(sizes) and all(n in (UNKNOWN, m) for n, m in zip(shape[1:], sizes, strict=True))
    if dtype != getattr(library.api, kind) or not fits:
        raise ModelError(f"network: {name!r} is {dtype.name.lower()} {shape}, the map says {kind} {(UNKNOWN, *sizes)}")


def _strongly_typed(api: Any) -> int:
    """Flags of a network whose types are those of the ONNX file: the only kind that newer versions know."""
    flag = getattr(api.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _parse(library: TensorRt, parser: Any, network: bytes) -> None:
    if library.attempt("reading the ONNX file", parser.parse, network):
        return
    errors = [" ".join(str(parser.get_error(index)).split()) for index in range(parser.num_errors)]
    raise ModelError(
        f"TensorRT {library.version}: cannot use the ONNX file: {'; '.join(errors) or 'no reason was given'}"
    )


def _check_definition(library: TensorRt, definition: Any, spec: ModelSpec) -> None:
    inputs = [definition.get_input(index) for index in range(definition.num_inputs)]
    outputs = [definition.get_output(index) for index in range(definition.num_outputs)]
    for kind, tensors, names in (("inputs", inputs, list(spec.inputs)), ("outputs", outputs, list(spec.outputs))):
        if sorted(tensor.name for tensor in tensors) != sorted(names):
            raise ModelError(f"network: {kind} are {[tensor.name for tensor in tensors]}, the map says {names}")
    for tensor in (*inputs, *outputs):
        check_tensor(library, tensor.name, tensor.dtype, tuple(tensor.shape), spec)


def _add_profile(library: TensorRt, builder: Any, config: Any, spec: ModelSpec, max_batch: int) -> None:
    profile = library.require("creating an optimization profile", builder.create_optimization_profile)
    for name, tensor in spec.inputs.items():
        shapes = [(batch, *tensor.shape) for batch in (1, max_batch, max_batch)]
        library.attempt("setting the batch sizes", profile.set_shape, name, *shapes)
    if library.attempt("adding the optimization profile", config.add_optimization_profile, profile) < 0:
        raise ModelError(f"TensorRT {library.version}: refused batches of 1 to {max_batch} images")


def _attach_timing(library: TensorRt, config: Any, timing: bytes) -> None:
    """Use an earlier timing cache, or a new one where TensorRT does not take that."""
    try:
        cache = library.require("reading the timing cache", config.create_timing_cache, timing)
        library.require("using the timing cache", config.set_timing_cache, cache, False)
    except ModelError:
        if not timing:
            raise
        _attach_timing(library, config, b"")


def _timing_of(config: Any) -> bytes:
    cache = config.get_timing_cache()
    serialized = cache.serialize() if cache is not None else None
    return b"" if serialized is None else bytes(memoryview(serialized))


def _interruptibly(build: Callable[[], Any], monitor: Any) -> Any:
    """Result of `build`, in a thread of its own: this one stays free for Ctrl-C, which then stops TensorRT too."""
    with ThreadPoolExecutor(1, "tensorrt-build") as executor:
        future = executor.submit(build)
        try:
            return future.result()
        except KeyboardInterrupt:
            monitor.cancelled = True
            raise


def _make_monitor(api: Any, say: Say) -> Any:
    class Monitor(api.IProgressMonitor):  # type: ignore[misc]
        """Says now and then how far a phase of the build is, and stops it when `cancelled` is set."""

        def __init__(self) -> None:
            api.IProgressMonitor.__init__(self)
            self.cancelled = False
            self._steps: dict[str, int] = {}
            self._said = time.monotonic()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._steps[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            if time.monotonic() - self._said >= PROGRESS_INTERVAL_S:
                self._said = time.monotonic()
                say(f"building the engine: {phase_name}, step {step + 1} of {self._steps.get(phase_name, '?')}")
            return not self.cancelled

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

    return Monitor()
