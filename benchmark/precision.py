"""Accuracy in 16 bits: the same frames through a map's networks of every precision.

python benchmark/precision.py --map MAP --workdir MAP.work --dataset seven_scenes --root DIR --poses FILE --split test

ONNX Runtime's CPU computes float16 files in float32 and has no bfloat16 convolutions. So what a GPU would do is done in
torch, from the checkpoint in the work directory: sums in float32, every result rounded to 16 bits.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from inputs import data_of, method_of, parser_of
from results import Results, figures_of

from vloc_ros.core.model_spec import NETWORK
from vloc_ros.core.session import Session
from vloc_ros.datasets import open_dataset
from vloc_ros.evaluation.evaluate import evaluate
from vloc_ros.inference import SessionOptions, open_session
from vloc_ros.localizer import load_localizer
from vloc_ros.mapping.place_regions import load_regions
from vloc_ros.maps import read_map
from vloc_ros.training.deploy import TorchSession
from vloc_ros.training.method_options import load_recipe
from vloc_ros.training.objective import Objective
from vloc_ros.training.recipe import DenseRecipe


def learned(workdir: Path) -> Objective:
    """What a run of `vloc map` has learned."""
    recipe: DenseRecipe = load_recipe(method_of(workdir))
    objective = recipe.objective(load_regions(workdir / "regions.npz"))
    state = torch.load(workdir / "checkpoint.pt", map_location="cpu", weights_only=True)["objective"]
    objective.load_state_dict(state)
    return objective


def sessions(map_dir: Path, workdir: Path) -> Iterator[tuple[str, Session]]:
    """By what they are called in the table."""
    stored, objective = read_map(map_dir), learned(workdir)
    spec = stored.landmark_map.manifest.models[NETWORK].grid
    networks = stored.networks[NETWORK]
    for precision in networks:
        if precision != "bfloat16":
            options = SessionOptions("onnxruntime", precision)
            yield f"{precision}, ONNX Runtime", open_session(networks, spec.model, options)
        yield f"{precision}, torch", TorchSession(objective, spec, torch.device("cpu"), precision)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--workdir", type=Path, required=True)
    options = parser.parse_args()
    dataset = open_dataset(options.dataset, options.root, options.split, options.poses)
    localizer = load_localizer(options.map)
    columns = {
        "arithmetic": "{arithmetic}",
        "median": "{median_cm:.3f} cm, {median_deg:.3f} deg",
        "mean": "{mean_cm:.3f} cm",
        "within 2 cm and 1 deg": "{recall_2cm_1deg_percent:.1f} %",
        "within 5 cm and 5 deg": "{recall_5cm_5deg_percent:.1f} %",
        "rejected; wrong accepted": "{rejected}; {wrong_accepted}",
    }
    results = Results(data_of(options, len(dataset)), columns)
    for name, session in sessions(options.map, options.workdir):
        evaluation = evaluate(replace(localizer, sessions={NETWORK: session}), dataset)
        errors = [100 * record.error.translation_m for record in evaluation.records if record.error]
        mean = float(np.mean(errors)) if errors else None
        results.add(arithmetic=name, mean_cm=mean, **figures_of(evaluation.summary()))
    results.write(options.json)


if __name__ == "__main__":
    main()
