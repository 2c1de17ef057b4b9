"""How fast a map's network is on this CPU, by itself: precisions, threads, settings and batches, all in one run.

python benchmark/cpu_inference.py --map MAP --dataset seven_scenes --root DIR --poses FILE --split test

Every round runs everything once, each time in another order. CPU time is that of all threads, and is what can be
compared while other programs run. The 8-bit network is made here, from frames of the split `--calibrate`; its accuracy
is measured on `--split`.
"""

import random
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime as ort
from inputs import data_of, parser_of
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from results import Results

from vloc_ros.core.model_spec import NETWORK, GridSpec
from vloc_ros.datasets import Dataset, open_dataset
from vloc_ros.evaluation.evaluate import evaluate
from vloc_ros.inference.backend import SessionSettings
from vloc_ros.inference.onnxruntime import OnnxSession
from vloc_ros.localizer import load_localizer
from vloc_ros.maps import read_map
from vloc_ros.methods.network_input import network_input

CALIBRATION_IMAGES, TIMED_IMAGES = 32, 8
BATCHES = (1, 2, 4, 8)
LEVELS = {"none": "ORT_DISABLE_ALL", "basic": "ORT_ENABLE_BASIC", "extended": "ORT_ENABLE_EXTENDED"}
QUANTIZED = ["Conv", "Add", "Concat", "Resize", "DepthToSpace", "GlobalAveragePool"]


@dataclass(frozen=True)
class Settings:
    """What is measured: `precision` of the file, `threads` 0 for ONNX Runtime's choice, `level` of optimisation."""

    precision: str = "float32"
    threads: int = 0
    spins: bool = False
    level: str = "all"

    def open(self, networks: Mapping[str, bytes]) -> ort.InferenceSession:
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(self.spins)))
        if self.level in LEVELS:
            options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, LEVELS[self.level])
        return ort.InferenceSession(networks[self.precision], options, providers=["CPUExecutionProvider"])

    def __str__(self) -> str:
        threads = {0: "all threads", 1: "1 thread"}.get(self.threads, f"{self.threads} threads")
        return f"{self.precision}, {threads}, spinning {'on' if self.spins else 'off'}, optimised {self.level}"


class Images(CalibrationDataReader):  # type: ignore[misc]
    """Network inputs one by one, as the quantisation wants them."""

    def __init__(self, inputs: np.ndarray, name: str):
        self._rest = iter([{name: image[None]} for image in inputs])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._rest, None)


def quantized(network: bytes, inputs: np.ndarray, spec: GridSpec) -> bytes:
    """Weights and activations of 8 bits, for each channel, in the convolutions and what lies between them."""
    with tempfile.TemporaryDirectory() as directory:
        plain, result = Path(directory) / "plain.onnx", Path(directory) / "int8.onnx"
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC  # unpacks the weights
        options.optimized_model_filepath = str(plain)
        ort.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        quantize_static(
            plain,
            result,
            Images(inputs, spec.input_name),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTIZED,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
        )
        return result.read_bytes()


def measure(runs: Mapping[str, Callable[[int], object]], rounds: int) -> Mapping[str, np.ndarray]:
    """Milliseconds (rounds, 2) of each: by the clock, and of CPU time."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    order = list(runs)
    for number in range(-2, rounds):
        random.Random(number).shuffle(order)
        for name in order:
            time.sleep(0.02)  # the threads of the one before may still be spinning
            clock, cpu = time.perf_counter(), time.process_time()
            runs[name](max(number, 0))
            if number >= 0:
                taken[name].append((1e3 * (time.perf_counter() - clock), 1e3 * (time.process_time() - cpu)))
    return {name: np.array(values) for name, values in taken.items()}


def run(session: ort.InferenceSession, inputs: np.ndarray, batch: int, number: int) -> object:
    first = batch * number % len(inputs)
    return session.run(None, {session.get_inputs()[0].name: inputs[first : first + batch]})


def measure_settings(networks: Mapping[str, bytes], inputs: np.ndarray, rounds: int, results: Results) -> None:
    """Everything at batch 1."""
    reference = Settings(spins=True)  # ONNX Runtime as it comes
    wanted = [reference, *(Settings(precision, threads) for precision in networks for threads in (0, 1))]
    wanted += [
        Settings("int8", spins=True),
        Settings(threads=1, spins=True),
        *(Settings(threads=1, level=level) for level in LEVELS),
    ]
    runs: dict[str, Callable[[int], object]] = {}
    for settings in wanted:
        try:
            runs[str(settings)] = partial(run, settings.open(networks), inputs, 1)
        except Exception as error:
            print(f"{settings}: {str(error).splitlines()[0]}")
    taken = measure(runs, rounds)
    for name, values in taken.items():
        p50, cpu = np.median(values, axis=0).tolist()
        p10 = float(np.percentile(values[:, 0], 10))
        speed = float(np.median(taken[str(reference)][:, 0] / values[:, 0]))
        results.add(network=name, p50_ms=p50, p10_ms=p10, cpu_p50_ms=cpu, speed=speed)


def measure_batches(networks: Mapping[str, bytes], inputs: np.ndarray, rounds: int, results: Results) -> None:
    """Several images at once."""
    session = Settings().open(networks)
    taken = measure({str(batch): partial(run, session, inputs, batch) for batch in BATCHES}, rounds)
    for name, values in taken.items():
        each = values / int(name)
        p50, cpu = np.median(each, axis=0).tolist()
        results.add(batch=int(name), p50_ms=p50, p10_ms=float(np.percentile(each[:, 0], 10)), cpu_p50_ms=cpu)


def measure_accuracy(map_dir: Path, networks: Mapping[str, bytes], dataset: Dataset) -> None:
    localizer = load_localizer(map_dir)
    spec = localizer.landmark_map.manifest.models[NETWORK].grid
    pixels = np.stack([network_input(dataset.frame(index).image, spec.image_size) for index in range(TIMED_IMAGES)])
    expected = Settings().open(networks).run(["labels"], {spec.input_name: pixels})[0]
    for precision in ("float32", "int8"):
        session = OnnxSession(networks[precision], spec.model, SessionSettings(max_batch=TIMED_IMAGES))
        labels = 100 * (session.run({spec.input_name: pixels})["labels"] == expected).mean()
        summary = evaluate(replace(localizer, sessions={NETWORK: session}), dataset).summary()
        centimetres, degrees = 100 * (summary["median_translation_m"] or np.inf), summary["median_rotation_deg"]
        accuracy = f"{centimetres:.2f} cm, {degrees or np.inf:.2f} deg, {100 * summary['recall_5cm_5deg']:.1f} %"
        size = len(networks[precision]) / 1e6
        print(f"{precision}: {size:.1f} MB, {labels:.2f} % of the labels, {accuracy} within 5 cm and 5 deg")


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--calibrate", default="train", metavar="NAME_OR_FILE")
    options = parser.parse_args()
    stored = read_map(options.map)
    spec = stored.landmark_map.manifest.models[NETWORK].grid
    training = open_dataset(options.dataset, options.root, options.calibrate, options.poses)
    chosen = np.linspace(0, len(training) - 1, CALIBRATION_IMAGES).astype(int)
    inputs = np.stack([network_input(training.frame(int(index)).image, spec.image_size) for index in chosen])
    networks = {
        **{str(name): network for name, network in stored.networks[NETWORK].items()},
        "int8": quantized(stored.networks[NETWORK]["float32"], inputs, spec),
    }
    times = {"p50": "{p50_ms:.1f} ms", "p10": "{p10_ms:.1f} ms", "CPU time, p50": "{cpu_p50_ms:.1f} ms"}
    speed = {"speed over ONNX Runtime's defaults": "{speed:.2f}"}
    data = data_of(options, TIMED_IMAGES)
    settings = Results(data, {"network": "{network}", **times, **speed})
    measure_settings(networks, inputs[:TIMED_IMAGES], options.rounds, settings)
    settings.write(options.json)
    batches = Results(data, {"images at once": "{batch}", **times})
    measure_batches(networks, inputs[:TIMED_IMAGES], options.rounds // 4, batches)
    batches.write(options.json and options.json.with_name("network_batches.json"))
    dataset = open_dataset(options.dataset, options.root, options.split, options.poses)
    measure_accuracy(options.map, networks, dataset)


if __name__ == "__main__":
    main()
