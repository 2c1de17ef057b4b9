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
from gpu_runners import ORT_TENSORRT, OURS, Network, Open, load_libraries, networks_of, runners
from results import ROOT, Results, add_json, figures_of

from vloc_ros.core.model_spec import ModelSpec, Precision
from vloc_ros.core.session import Tensors
from vloc_ros.datasets import Dataset, open_dataset
from vloc_ros.datasets.subset import Subset
from vloc_ros.evaluation.evaluate import evaluate
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import load_localizer

COMMAND = "bash benchmark/gpu.sh BUNDLE"
MAPS = ("pram", "vsnet", "hscnet")  # what is asked most comes first
BY_VALUE: tuple[Precision, ...] = ("float16", "float32", "bfloat16")  # what a GPU takes by default comes first
WARM_UP = 30
COLUMNS = {
    "part": "{part}",
    "map": "{map}",
    "network": "{network}",
    "runs on": "{runner}",
    "arithmetic": "{precision}",
    "from opening to the first output; again": "{first_s:.1f} s; {again_s:.1f} s",
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

    @property
    def cache(self) -> Path | None:
        """Where ONNX Runtime keeps its engines between the parts."""
        return None if self.is_dry else self.bundle / "cache/onnxruntime"

    def networks(self) -> Iterator[Network]:
        """Of all maps."""
        for name in MAPS:
            yield from networks_of(name, self.bundle / "maps" / name)

    def dataset(self) -> Dataset:
        """The test images, or the first of them."""
        said = json.loads((self.bundle / "dataset.json").read_text())
        root = self.bundle / said["root"] if said["root"] else None
        poses = str(root / said["poses"]) if root and said["poses"] else None
        whole = open_dataset(said["dataset"], root, said["split"], poses)
        return Subset(whole, range(min(self.images, len(whole))))


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


def opening(open_it: Open, inputs: Tensors) -> tuple[Any, float]:
    """A session that has run once, which some build their engines for, and how long that took."""
    started = time.perf_counter()
    session = open_it()
    session.run(inputs)
    return session, time.perf_counter() - started


def latency(plan: Plan, add: Callable[..., None]) -> None:
    """Engines are built here, so that the other parts find them. Whatever does not work is a row that says why."""
    of_all = list(plan.networks())
    for precision in BY_VALUE:
        jobs = [(network, *each) for network in of_all for each in runners(network, precision, plan.cache)]
        jobs.sort(key=lambda job: job[1] in ORT_TENSORRT.values())  # a second engine of each network comes last
        for network, runner, open_it in jobs:
            inputs = random_inputs(network.spec)
            row: dict[str, Any] = {"map": network.map, "network": network.role, "runner": runner}
            try:
                session, row["first_s"] = opening(open_it, inputs)
                row["p50_ms"], row["p99_ms"] = timed(session.run, inputs, plan.runs)
                del session
                _, row["again_s"] = opening(open_it, inputs)
            except Exception as error:
                row["note"] = said_by(error)
            add(precision=precision, **row)


def said_by(error: Exception) -> str:
    """For a table: what does not work here is a result, too."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:150]}"


def accuracy(plan: Plan, add: Callable[..., None]) -> None:
    """Of TensorRT, ours and ONNX Runtime's, in each arithmetic that a map has, on its test images."""
    dataset, of_all = plan.dataset(), list(plan.networks())
    for precision in BY_VALUE:
        for name in MAPS:
            own = [network for network in of_all if network.map == name]
            if any(precision not in network.files for network in own):
                continue
            localizer = load_localizer(plan.bundle / "maps" / name, SessionOptions("onnxruntime", "float32"))
            by_role = {network.role: dict(runners(network, precision, plan.cache)) for network in own}
            for runner in (OURS, *ORT_TENSORRT.values()):
                row: dict[str, Any] = {"map": name, "runner": runner}
                try:
                    sessions = {role: by_runner[runner]() for role, by_runner in by_role.items()}
                    row |= figures_of(evaluate(replace(localizer, sessions=sessions), dataset).summary())
                except Exception as error:
                    row["note"] = said_by(error)
                add(precision=precision, **row)


def training(plan: Plan, add: Callable[..., None]) -> None:
    """Images a second of the maps that learn; what was measured until an interruption is kept."""
    for name in ("vsnet", "hscnet"):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "speed.json"
            workdir = plan.bundle / "maps" / f"{name}.work"
            words = ["--workdir", str(workdir), "--json", str(file), "--steps", str(plan.steps)]
            try:
                done = subprocess.run([sys.executable, str(ROOT / "benchmark/training_speed.py"), *words])
            finally:
                said = json.loads(file.read_text()) if file.exists() else {"rows": []}
                for row in said["rows"]:
                    add(map=name, runner=row["what"], images_per_s=row["images_per_s"], note=said["data"])
        if done.returncode:
            add(map=name, note=f"training_speed.py ended with code {done.returncode}")


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
    results = Results(f"Data: {gpu_name(options.dry)}; one image at a time, copies included", COLUMNS, COMMAND)
    if options.json and options.json.exists():
        for row in json.loads(options.json.read_text())["rows"]:
            if row["part"] != options.part:
                results.add(**row)

    def add(**row: Any) -> None:
        results.add(part=options.part, **row)
        results.write(options.json)

    with ExitStack() as scope:
        if options.dry:
            sys.path.insert(0, str(ROOT / "test"))
            from support.fake_tensorrt import installed

            scope.enter_context(installed("10"))
        else:
            load_libraries()
        try:
            PARTS[options.part](Plan(options.bundle, options.dry, *sizes), add)
        except KeyboardInterrupt:
            sys.exit(f"{options.part}: interrupted; the rows so far are in {options.json}")


if __name__ == "__main__":
    main()
