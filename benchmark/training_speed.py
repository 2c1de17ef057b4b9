"""How many images a second training gets through on the device that is there, and whether it waits for its data.

python benchmark/training_speed.py --workdir maps/office.work [--preset resnet50] [--batch-size 24] [--compile]

The work directory is one of `vloc map`, with its labelled frames; the method is that map's. `data`: batches are made
and thrown away; `network`: forward, backward and update on one and the same batch, and in float32 where that is not
what training does; `both`: as training does it. Where `both` is near the slower of the two, they overlap; where `data`
is the slower one, the network waits for it.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from inputs import method_of
from results import Results, add_json
from torch import nn

from vloc_ros.mapping.place_regions import load_regions
from vloc_ros.training.batches import Batch, BatchSettings, BatchSource
from vloc_ros.training.device import arithmetic, choose_device
from vloc_ros.training.device_batches import make_source
from vloc_ros.training.feature_buffer import CellSource, open_buffer
from vloc_ros.training.frames import open_frames
from vloc_ros.training.map_options import BASE_BATCH, GPU_BATCH, TrainingOptions
from vloc_ros.training.method_options import load_recipe
from vloc_ros.training.objective import Objective
from vloc_ros.training.recipe import DenseRecipe
from vloc_ros.training.stages.buffer_stage import BUFFER
from vloc_ros.training.trainer import PREPARED_BATCHES, Losses, Trainer
from vloc_ros.training.workers import Workers

WARM_UP = 3  # steps: memory is asked for, convolutions are searched for


class InFloat32(nn.Module):
    """An objective that computes nothing in bfloat16."""

    def __init__(self, objective: Objective):
        super().__init__()
        self.objective = objective

    def forward(self, batch: Batch) -> Losses:
        with torch.autocast(batch.images.device.type, enabled=False):
            losses: Losses = self.objective(batch)
        return losses


def images_per_second(step: Callable[[], object], images: int, steps: int) -> float:
    """Of so many images a step, after a few that do not count."""
    for _ in range(WARM_UP):
        step()
    wait()
    started = time.perf_counter()
    for _ in range(steps):
        step()
    wait()
    return images * steps / (time.perf_counter() - started)


def wait() -> None:
    """Until the device has done what it was asked to."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def endless(source: BatchSource) -> Iterator[Batch]:
    return source.batches(itertools.count(), workers=PREPARED_BATCHES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--preset", help="default: as in the work directory")
    parser.add_argument("--batch-size", type=int, help=f"default: {BASE_BATCH} on a CPU, {GPU_BATCH} on a GPU")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--steps", type=int, help="default: 10 on a CPU, 200 on a GPU")
    add_json(parser)
    options = parser.parse_args()
    device = choose_device()
    gpu = device.type == "cuda"
    batch_size, steps = options.batch_size or (GPU_BATCH if gpu else BASE_BATCH), options.steps or (200 if gpu else 10)
    training = TrainingOptions(epochs=1, batch_size=batch_size, accumulate=1)

    method = method_of(options.workdir)
    if options.preset:
        method = replace(method, preset=options.preset)  # type: ignore[type-var]
    recipe: DenseRecipe = load_recipe(method)
    frames, regions = open_frames(options.workdir / "frames"), load_regions(options.workdir / "regions.npz")
    objective = recipe.objective(regions)
    settings = BatchSettings(recipe.options.stride, batch_size, recipe.augmentation, training.seed)
    source = (
        make_source(frames, settings, device)
        if recipe.encoder() is None
        else CellSource(frames, open_buffer(options.workdir / BUFFER), settings)
    )
    with tempfile.TemporaryDirectory() as directory:
        trainer = Trainer(objective, source, training, Path(directory), Workers())
    objective.train()
    if options.compile and (fault := trainer.compile()) is not None:
        print(f"torch.compile does not work here: {fault}")

    made, used, again = endless(source), endless(source), itertools.repeat(source.batch(0))
    rows: dict[str, Callable[[], object]] = {
        "data": lambda: next(made),
        "network": lambda: trainer.step(objective, again),
        "both": lambda: trainer.step(objective, used),
    }
    if gpu:
        on_cpu = endless(BatchSource(frames, settings))
        rows["data, by the CPU"] = lambda: next(on_cpu)
    if arithmetic(device) is not torch.float32:
        in_float32 = InFloat32(objective)
        rows["network, in float32"] = lambda: trainer.step(in_float32, again)
    name = torch.cuda.get_device_name(device) if gpu else f"CPU, {torch.get_num_threads()} threads"
    height, width = frames.images.shape[1:3]
    what = f"{method.method} {method.preset}, {width}x{height}, {batch_size} images a step"
    columns = {"what": "{what}", "speed": "{images_per_s:.1f} images/s"}
    results = Results(f"Data: {what}, {len(regions.positions)} landmarks; on {name}", columns)
    for row, step in rows.items():
        results.add(what=row, images_per_s=images_per_second(step, batch_size, steps))
        results.write(options.json)
    for batches in (made, used):
        batches.close()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
