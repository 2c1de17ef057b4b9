"""How well landmarks are recognised: precision as in PRAM's table 2, on frames that the recognizer has not learned.

python benchmark/recognition.py --workdirs DIR ... [--landmarks 64 128 256] [--key-points 512 1024]
                                [--minutes 0.5 2 | --epochs 10 40] [--presets small paper]

DIR is a work directory of `vloc map --method pram`: key points and points are read from it, no image is. Every tenth
block of ten mapping frames is left out of the training. Several directories make one map of several places; one row
for each combination of the other options. The budget is minutes of the wall clock or, with --epochs, does not depend
on other load; processor time is shown in any case.
"""

import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from inputs import add_counts, plain_parser
from numpy.typing import NDArray
from results import Results

from vloc_ros.features.cache import FeatureCache, open_features
from vloc_ros.inference import SessionOptions, open_session
from vloc_ros.mapping.place_geometry import load_geometry
from vloc_ros.mapping.point_regions import divide_points
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.progress import Silent
from vloc_ros.training.map_options import TrainingOptions
from vloc_ros.training.pram.deploy import export_recognizer, network_inputs
from vloc_ros.training.pram.network import Preset
from vloc_ros.training.pram.recognition import recognition_precision, recognizer_of, train_recognizer
from vloc_ros.training.pram.recognition_frames import RecognitionFrames, recognition_frames
from vloc_ros.training.workers import Workers

BLOCK, EVERY = 10, 10  # frames of a block that is held out, and of so many blocks one
RUNS = 20  # of the network, for its time

COLUMNS = {
    "places": "{places}",
    "landmarks": "{landmarks}",
    "key points": "{key_points}",
    "with a landmark": "{labelled_percent:.0f} %",
    "preset": "{preset}",
    "parameters": "{parameters_m:.2f} M",
    "file": "{size_kb:.0f} kB",
    "training": "{epochs:.0f} epochs, {cpu_minutes:.1f} min of a core",
    "precision, best 1 / 2 / 3": "{top_1_percent:.1f} / {top_2_percent:.1f} / {top_3_percent:.1f} %",
    "of all key points": "{all_percent:.1f} %",
    "right place": "{place_percent:.1f} %",
    "one thread": "{ms:.1f} ms",
}


def main() -> None:
    parser = plain_parser(__doc__)
    parser.add_argument("--workdirs", nargs="+", type=Path, required=True)
    add_counts(parser, "--landmarks", [128])
    add_counts(parser, "--key-points", [1024])
    parser.add_argument("--minutes", nargs="+", type=float, default=[2.0])
    parser.add_argument("--epochs", nargs="+", type=int, help="instead of minutes")
    parser.add_argument("--presets", nargs="+", default=["small"])
    options = parser.parse_args()
    places = [place for workdir in options.workdirs for place in places_of(workdir)]
    names = ", ".join(path.name for path in options.workdirs)
    budgets = [TrainingOptions(minutes=minutes) for minutes in options.minutes]
    if options.epochs:
        budgets = [TrainingOptions(epochs=epochs) for epochs in options.epochs]
    results = Results(f"Data: mapping frames of {names}, every tenth block of ten held out", COLUMNS)
    for landmarks, key_points in itertools.product(options.landmarks, options.key_points):
        regions = [(divide_points(shape, landmarks), features) for shape, features in places]
        frames = recognition_frames(regions, key_points)
        for preset, budget in itertools.product(options.presets, budgets):
            results.add(places=len(places), key_points=key_points, **measured(frames, preset, budget))
    results.write(options.json)


def places_of(workdir: Path) -> Iterator[tuple[Reconstruction, FeatureCache]]:
    """The reconstruction and the key points of each place of a work directory."""
    for place in load_geometry(workdir):
        assert isinstance(place.shape, Reconstruction)
        yield place.shape, open_features(workdir / (f"features_{place.name}" if place.name else "features"))


def measured(frames: RecognitionFrames, preset: Preset, budget: TrainingOptions) -> dict[str, object]:
    """Train on some of the frames, and measure on the others."""
    learned, held_out = split(len(frames))
    since = time.process_time()
    with tempfile.TemporaryDirectory() as directory:
        trainer = train_recognizer(frames[learned], preset, budget, Path(directory), Workers(), Silent())
    cpu_minutes = (time.process_time() - since) / 60
    network, unseen = recognizer_of(trainer), frames[held_out]
    found = recognition_precision(network, unseen)
    count = frames.scores.shape[1]
    content, spec = export_recognizer(network, count, recognized=count)
    session = open_session({"float32": content}, spec, SessionOptions("onnxruntime", "float32", threads=1))
    given, times = network_inputs(unseen[np.zeros(1, dtype=np.intp)], spec), []
    for _ in range(RUNS):
        since = time.perf_counter()
        session.run(given)
        times.append(time.perf_counter() - since)
    tops = {f"top_{k}_percent": 100 * share for k, share in enumerate(found.top, start=1)}
    return {
        "landmarks": frames.landmarks,
        "labelled_percent": 100 * float((frames.labels > 0).sum() / (frames.scores > 0).sum()),
        "preset": preset,
        "parameters_m": sum(parameter.numel() for parameter in network.parameters()) / 1e6,
        "size_kb": len(content) / 1e3,
        "cpu_minutes": cpu_minutes,
        "epochs": trainer.progress.iteration * trainer.options.batch_size / len(learned),
        **tops,
        "all_percent": 100 * found.all_key_points,
        "place_percent": 100 * found.place,
        "ms": 1e3 * min(times),
    }


def split(frames: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows that are learned from, and those of the blocks that are held out."""
    held_out = np.arange(frames) // BLOCK % EVERY == EVERY // 2
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


if __name__ == "__main__":
    main()
