"""What can run a map's networks on an NVIDIA GPU, for `gpu.py`: TensorRT, ours; ONNX Runtime's providers; torch."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime as ort

from vloc_ros.core.feature_spec import EXTRACTOR, SCORES
from vloc_ros.core.model_spec import NETWORK, PRECISIONS, ModelSpec, Precision, Role
from vloc_ros.core.session import Tensors
from vloc_ros.inference import SessionOptions, open_session
from vloc_ros.maps import StoredMap, read_map

OURS = "TensorRT, ours"
ORT_TENSORRT = {True: "ONNX Runtime, TensorRT, CUDA graphs", False: "ONNX Runtime, TensorRT"}
TENSORRT, CUDA, CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"
FLAGS: Mapping[Precision, str] = {"float16": "trt_fp16_enable", "bfloat16": "trt_bf16_enable"}


def load_libraries() -> None:
    """CUDA, cuDNN and TensorRT of Python packages, where ONNX Runtime does not look by itself."""
    ort.preload_dlls()
    with suppress(ImportError):
        import_module("tensorrt")


class OrtSession:
    """A `Session` of ONNX Runtime with a provider of one's choice. Inputs and outputs keep their places on the device,
    which CUDA graphs need: without, they may compute with what lies there by then."""

    max_batch = 1

    def __init__(self, network: bytes, spec: ModelSpec, providers: list[Any]) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        self.spec, self.backend = spec, "ONNX Runtime"
        self._session = ort.InferenceSession(network, options, providers=providers)
        wanted = providers[0] if isinstance(providers[0], str) else providers[0][0]
        if wanted not in self._session.get_providers():
            raise RuntimeError(f"ONNX Runtime cannot use {wanted} here")
        self._binding, device = self._session.io_binding(), "cpu" if wanted == CPU else "cuda"
        self._values = {
            name: ort.OrtValue.ortvalue_from_numpy(np.zeros((1, *tensor.shape), tensor.element), device, 0)
            for name, tensor in {**spec.inputs, **spec.outputs}.items()
        }
        for name in spec.inputs:
            self._binding.bind_ortvalue_input(name, self._values[name])
        for name in spec.outputs:
            self._binding.bind_ortvalue_output(name, self._values[name])

    def run(self, inputs: Tensors) -> Tensors:
        for name, given in inputs.items():
            self._values[name].update_inplace(np.ascontiguousarray(given))
        self._session.run_with_iobinding(self._binding)
        return {name: self._values[name].numpy().copy() for name in self.spec.outputs}


Open: TypeAlias = Callable[[], Any]


@dataclass(frozen=True)
class Network:
    """One of a map, in the arithmetics that there are."""

    map: str
    directory: Path
    role: Role
    spec: ModelSpec
    files: Mapping[Precision, bytes]


def networks_of(name: str, directory: Path) -> Iterator[Network]:
    """Of a map."""
    stored = read_map(directory)
    for role, spec in stored.landmark_map.manifest.models.items():
        yield Network(name, directory, role, spec, files_of(stored, role))


def files_of(stored: StoredMap, role: Role) -> dict[Precision, bytes]:
    """Of a map's role by arithmetic; the extractor of XFeat is exported here in those that a map does not have."""
    files, manifest = dict(stored.networks[role]), stored.landmark_map.manifest
    if role == EXTRACTOR and manifest.features and manifest.features.name == "xfeat":
        from vloc_ros.training.features.xfeat import export_xfeat

        spec = manifest.models[role]
        (height, width, _), key_points = next(iter(spec.inputs.values())).shape, spec.outputs[SCORES].shape[0]
        for precision in PRECISIONS:
            if precision not in files:
                files[precision] = export_xfeat(width, height, key_points, precision)[0]
    return files


def runners(network: Network, precision: Precision, cache: Path | None) -> Iterator[tuple[str, Open]]:
    """What runs a network in this arithmetic. `cache`: where ONNX Runtime keeps engines; None: it runs on the CPU."""
    files, spec = network.files, network.spec
    if precision in files:
        options = SessionOptions("tensorrt", precision)
        yield OURS, lambda: open_session(files, spec, options)
    for graphs in ORT_TENSORRT:
        chosen = providers(network, precision, cache, graphs)
        yield ORT_TENSORRT[graphs], lambda chosen=chosen: OrtSession(files["float32"], spec, chosen)  # type: ignore[misc]
    if precision in files:
        on_cuda: list[Any] = [CPU] if cache is None else [CUDA, CPU]
        yield "ONNX Runtime, CUDA", lambda: OrtSession(files[precision], spec, on_cuda)
    if network.role == NETWORK:
        yield torch_runner(network, precision)


def providers(network: Network, precision: Precision, cache: Path | None, graphs: bool) -> list[Any]:
    """TensorRT's provider makes 16 bits of a float32 network itself, with caches of its own for engines and timings. It
    tells engines by the names in a network, not by the weights: so each network has a directory."""
    if cache is None:
        return [CPU]
    own = str(cache / f"{network.map}_{network.role}_{precision}")
    options = {
        "trt_engine_cache_enable": True, "trt_engine_cache_path": own,
        "trt_timing_cache_enable": True, "trt_timing_cache_path": own, "trt_cuda_graph_enable": graphs,
    }  # fmt: skip
    if precision in FLAGS:
        options[FLAGS[precision]] = True
    return [(TENSORRT, options), CUDA, CPU]


def torch_runner(network: Network, precision: Precision) -> tuple[str, Open]:
    """The network that was learned, in torch, of the work directory beside the map."""
    from precision import learned

    from vloc_ros.training.deploy import TorchSession
    from vloc_ros.training.device import choose_device

    workdir = network.directory.with_name(f"{network.directory.name}.work")
    device = choose_device()
    return "torch", lambda: TorchSession(learned(workdir).to(device), network.spec.grid, device, precision)
