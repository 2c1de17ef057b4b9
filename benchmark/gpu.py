"""One part of `gpu.sh`: what the networks of maps do on an NVIDIA GPU. Every row is written when it is there.

python benchmark/gpu.py latency|accuracy|training --bundle DIR --json FILE [--dry]

`--bundle` is what `gpu_bundle.sh` prepares: maps/vsnet, maps/hscnet and maps/pram with their work directories beside
them, and the posed images. Rows of the part that are in FILE already are measured again, those of other parts stay.
`--dry` needs no GPU: TensorRT is the fake of the tests, ONNX Runtime's providers are its CPU's. Its times mean nothing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from results import ROOT, Results, add_json, figures_of

from vloc_ros.core.feature_spec import EXTRACTOR, SCORES
from vloc_ros.core.model_spec import PRECISIONS, ModelSpec, Precision, Role
from vloc_ros.core.session import Session, Tensors
from vloc_ros.datasets import Dataset, open_dataset
from vloc_ros.datasets.subset import Subset
from vloc_ros.evaluation.evaluate import evaluate
from vloc_ros.inference import SessionOptions, open_session
from vloc_ros.localizer import load_localizer
from vloc_ros.maps import StoredMap, read_map

MAPS = ("vsnet", "hscnet", "pram")
WARM_UP = 30
TENSORRT, CUDA, CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"
COLUMNS = {
    "part": "{part}",
    "map": "{map}",
    "network": "{network}",
    "runs on": "{runner}",
    "arithmetic": "{precision}",
    "first opening; again": "{first_s:.1f} s; {again_s:.1f} s",
    "one image, p50 / p99": "{p50_ms:.2f} / {p99_ms:.2f} ms",
    "median": "{median_cm:.3f} cm, {median_deg:.3f} deg",
    "within 5 cm and 5 deg": "{recall_5cm_5deg_percent:.1f} %",
    "rejected; wrong accepted": "{rejected}; {wrong_accepted}",
    "training": "{images_per_s:.1f} images/s",
    "note": "{note}",
}


@dataclass(frozen=True)
class Plan:
    """What is measured how often, and where the parts of the bundle are."""

    bundle: Path
    is_dry: bool
    runs: int
    images: int
    steps: int
    cache: Path

    def maps(self) -> Iterator[tuple[str, Path]]:
        return ((name, self.bundle / "maps" / name) for name in MAPS)

    def dataset(self) -> Dataset:
        """The test images, or the first of them."""
        said = json.loads((self.bundle / "dataset.json").read_text())
        root = self.bundle / said["root"] if said["root"] else None
        poses = str(root / said["poses"]) if root and said["poses"] else None
        whole = open_dataset(said["dataset"], root, said["split"], poses)
        return Subset(whole, range(min(self.images, len(whole))))


class OrtSession:
    """ONNX Runtime with providers of its own choice."""

    def __init__(self, network: bytes, spec: ModelSpec, providers: list[Any]) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        self._session = ort.InferenceSession(network, options, providers=providers)
        self._names = list(spec.outputs)
        wanted = providers[0] if isinstance(providers[0], str) else providers[0][0]
        if wanted not in self._session.get_providers():
            raise RuntimeError(f"ONNX Runtime cannot use {wanted} here")

    def run(self, inputs: Tensors) -> Tensors:
        return dict(zip(self._names, self._session.run(self._names, dict(inputs)), strict=True))


Open = Callable[[], Any]


def networks_of(stored: StoredMap, role: Role) -> dict[Precision, bytes]:
    """Of a map's role by arithmetic; the extractor of XFeat is exported here in those that a map does not have."""
    networks, manifest = dict(stored.networks[role]), stored.landmark_map.manifest
    if role == EXTRACTOR and manifest.features and manifest.features.name == "xfeat":
        from vloc_ros.training.features.xfeat import export_xfeat

        spec = manifest.models[role]
        (height, width, _), key_points = next(iter(spec.inputs.values())).shape, spec.outputs[SCORES].shape[0]
        for precision in PRECISIONS:
            if precision not in networks:
                networks[precision] = export_xfeat(width, height, key_points, precision)[0]
    return networks


def runners(
    plan: Plan, networks: Mapping[Precision, bytes], spec: ModelSpec, role: Role, precision: Precision
) -> Iterator[tuple[str, Open]]:
    """What runs a network in this arithmetic. TensorRT's provider makes 16 bits of a float32 network itself, with a
    cache of its engines and CUDA graphs of its own."""
    if precision in networks:
        options = SessionOptions("tensorrt", precision)
        yield "TensorRT, ours", lambda: open_session(networks, spec, options)
        yield (
            "ONNX Runtime, CUDA",
            lambda: OrtSession(networks[precision], spec, [CPU] if plan.is_dry else [(CUDA, {}), CPU]),
        )
    flags = {"float16": {"trt_fp16_enable": True}, "bfloat16": {"trt_bf16_enable": True}}.get(precision, {})
    provider = TENSORRT, {
        "trt_engine_cache_enable": True, "trt_engine_cache_path": str(plan.cache), "trt_timing_cache_enable": True,
        "trt_cuda_graph_enable": True, "trt_engine_cache_prefix": f"{role}_{precision}", **flags,
    }  # fmt: skip
    yield (
        "ONNX Runtime, TensorRT",
        lambda: OrtSession(networks["float32"], spec, [CPU] if plan.is_dry else [provider, (CUDA, {}), CPU]),
    )


def torch_runner(plan: Plan, directory: Path, stored: StoredMap, precision: Precision) -> tuple[str, Open]:
    """The network that was learned, in torch, of the work directory beside the map."""
    from precision import learned

    from vloc_ros.training.deploy import TorchSession
    from vloc_ros.training.device import choose_device

    spec = stored.landmark_map.manifest.models["network"].grid
    return "torch", lambda: TorchSession(
        learned(directory.with_name(f"{directory.name}.work")).to(choose_device()), spec, choose_device(), precision
    )


def timed(run: Callable[[Tensors], object], inputs: Tensors, runs: int) -> tuple[float, float]:
    """Milliseconds of one image, copies to and from the GPU included: p50 and p99."""
    for _ in range(min(WARM_UP, runs)):
        run(inputs)
    taken = np.empty(runs)
    for index in range(runs):
        started = time.perf_counter()
        run(inputs)
        taken[index] = 1e3 * (time.perf_counter() - started)
    p50, p99 = np.percentile(taken, (50, 99)).tolist()
    return p50, p99


def random_inputs(spec: ModelSpec) -> Tensors:
    rng = np.random.default_rng(0)
    return {
        name: rng.integers(0, 255, (1, *tensor.shape)).astype(tensor.element) for name, tensor in spec.inputs.items()
    }


def opening(open_it: Open) -> tuple[Any, float]:
    started = time.perf_counter()
    session = open_it()
    return session, time.perf_counter() - started


def latency(plan: Plan, add: Callable[..., None]) -> None:
    """Engines are built here, so that the other parts find them. Whatever does not work is a row that says why."""
    for name, directory in plan.maps():
        stored = read_map(directory)
        for role, spec in stored.landmark_map.manifest.models.items():
            networks = networks_of(stored, role)
            for precision in PRECISIONS:
                measured = list(runners(plan, networks, spec, role, precision))
                if role == "network":
                    measured.append(torch_runner(plan, directory, stored, precision))
                for runner, open_it in measured:
                    row: dict[str, Any] = {"map": name, "network": role, "runner": runner, "precision": precision}
                    try:
                        session, row["first_s"] = opening(open_it)
                        row["p50_ms"], row["p99_ms"] = timed(session.run, random_inputs(spec), plan.runs)
                        del session
                        _, row["again_s"] = opening(open_it)
                    except Exception as error:
                        row["note"] = said_by(error)
                    add(**row)


def said_by(error: Exception) -> str:
    """For a table: what does not work here is a result, too."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:150]}"


def accuracy(plan: Plan, add: Callable[..., None]) -> None:
    """Of TensorRT, in each arithmetic that a map has, on its test images."""
    dataset = plan.dataset()
    for name, directory in plan.maps():
        localizer = load_localizer(directory, SessionOptions("onnxruntime", "float32"))
        stored = read_map(directory)
        models = stored.landmark_map.manifest.models
        for precision in PRECISIONS:
            if not models or any(precision not in stored.networks[role] for role in models):
                continue
            options = SessionOptions("tensorrt", precision)
            row: dict[str, Any] = {"map": name, "runner": "TensorRT, ours", "precision": precision}
            try:
                sessions: dict[Role, Session] = {
                    role: open_session(stored.networks[role], spec, options) for role, spec in models.items()
                }
                row |= figures_of(evaluate(replace(localizer, sessions=sessions), dataset).summary())
            except Exception as error:
                row["note"] = said_by(error)
            add(**row)


def training(plan: Plan, add: Callable[..., None]) -> None:
    """Images a second of the maps that learn."""
    for name in ("vsnet", "hscnet"):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "speed.json"
            workdir = plan.bundle / "maps" / f"{name}.work"
            words = ["--workdir", str(workdir), "--json", str(file), "--steps", str(plan.steps)]
            subprocess.run([sys.executable, str(ROOT / "benchmark/training_speed.py"), *words], check=True)
            said = json.loads(file.read_text())
        for row in said["rows"]:
            add(map=name, runner=row["what"], images_per_s=row["images_per_s"], note=said["data"])


PARTS: Mapping[str, Callable[[Plan, Callable[..., None]], None]] = {
    "latency": latency,
    "accuracy": accuracy,
    "training": training,
}


def gpu_name(is_dry: bool) -> str:
    if is_dry:
        return "no GPU: a rehearsal, whose times mean nothing"
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=tuple(PARTS))
    parser.add_argument("--bundle", type=Path, required=True, metavar="DIR")
    parser.add_argument("--dry", action="store_true")
    add_json(parser)
    options = parser.parse_args()
    sizes = (3, 2, 1) if options.dry else (300, 200, 100)
    results = Results(f"Data: {gpu_name(options.dry)}; one image at a time, copies included", COLUMNS)
    if options.json and options.json.exists():
        for row in json.loads(options.json.read_text())["rows"]:
            if row["part"] != options.part:
                results.add(**row)

    def add(**row: Any) -> None:
        results.add(part=options.part, **row)
        results.write(options.json)

    with ExitStack() as scope:
        cache = Path(scope.enter_context(tempfile.TemporaryDirectory()))
        if options.dry:
            sys.path.insert(0, str(ROOT / "test"))
            from support.fake_tensorrt import installed

            scope.enter_context(installed("10"))
        try:
            PARTS[options.part](Plan(options.bundle, options.dry, *sizes, cache), add)
        except KeyboardInterrupt:
            sys.exit(f"{options.part}: interrupted; the rows so far are in {options.json}")


if __name__ == "__main__":
    main()
