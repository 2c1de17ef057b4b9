"""The engine of a network for this GPU: the one in the cache, or one that is built now."""

import hashlib
from dataclasses import dataclass
from typing import Any

from vloc_ros.core.model_spec import ModelSpec
from vloc_ros.inference.backend import SessionSettings
from vloc_ros.inference.cuda import Gpu
from vloc_ros.inference.engine_build import build_engine
from vloc_ros.inference.engine_cache import EngineCache, EngineKey, cache_directory
from vloc_ros.inference.tensorrt_library import TensorRt


@dataclass(frozen=True)
class BuildSettings:
    """What only building needs to know. `workspace_mb`: GPU memory, in MiB, that one layer may use for itself.

    `anew`: build even where the cache has an engine, and replace it.
    """

    workspace_mb: int = 1024
    anew: bool = False


@dataclass(frozen=True)
class Engine:
    """A deserialized engine, and the runtime that has to live as long."""

    runtime: Any
    engine: Any


def engine_key(library: TensorRt, gpu: Gpu, network: bytes, spec: ModelSpec, settings: SessionSettings) -> EngineKey:
    """What the engine of a network depends on. The workspace limit is not part of it: it is about building alone."""
    return EngineKey(
        network_sha256=hashlib.sha256(network).hexdigest(),
        tensorrt=library.version,
        gpu=gpu.name,
        compute_capability=gpu.compute_capability,
        input_shape=tuple(size for name in sorted(spec.inputs) for size in spec.inputs[name].shape),
        max_batch=settings.max_batch,
        precision=settings.precision,
    )


def open_engine(
    library: TensorRt, gpu: Gpu, network: bytes, spec: ModelSpec, settings: SessionSettings, building: BuildSettings
) -> Engine:
    """The engine, ready for execution contexts. Raises ModelError, BackendUnavailableError where TensorRT does not run.

    `settings.say` is told which engine is taken, why another is not, and of the progress of building.
    """
    cache = EngineCache(cache_directory(), settings.say)
    key = engine_key(library, gpu, network, spec, settings)

    def build() -> bytes:
        settings.say(
            f"building the {settings.precision} engine for {gpu.name} with TensorRT {library.version}, "
            "which takes minutes and is needed once"
        )
        engine, timing = build_engine(
            library, network, spec, settings.max_batch, building.workspace_mb, cache.read_timing(key), settings.say
        )
        if timing:
            cache.write_timing(key, timing)
        return engine

    return cache.obtain(key, lambda engine: _deserialize(library, engine), build, building.anew)


def _deserialize(library: TensorRt, engine: bytes) -> Engine:
    runtime = library.create("creating a runtime", "Runtime")
    runtime.engine_host_code_allowed = False  # an engine is data for the GPU; one that brings programs is refused
    return Engine(runtime, library.require("loading the engine", runtime.deserialize_cuda_engine, engine))
