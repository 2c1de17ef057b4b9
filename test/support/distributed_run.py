"""Steps of a tiny training, alone or with the other processes that `torchrun` started; for test_distributed.py.

torchrun --nproc-per-node 2 test/support/distributed_run.py WHOLE CONTINUED INTERRUPTED: three directories. Trains
from nothing in the first, goes on with what is in the second, and in the third presses Ctrl-C after HALF of the steps,
in the first process.
"""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from support.training_scenes import landmarks, make_frames
from vloc_ros.training import trainer as trainer_module
from vloc_ros.training.augment import Augmentation
from vloc_ros.training.batches import BatchSettings, BatchSource
from vloc_ros.training.map_options import TrainingOptions
from vloc_ros.training.trainer import Trainer
from vloc_ros.training.vsnet.objective import VSNetObjective
from vloc_ros.training.vsnet.options import LossWeights, SegmentationLoss, VSNetOptions
from vloc_ros.training.workers import Workers

STEPS, HALF = 4, 2
WEIGHTS = LossWeights(segmentation=SegmentationLoss(pixels=256, random_prototypes=3, neighbours=2))  # draws by chance
METHOD = VSNetOptions(embedding=8)
OPTIONS = TrainingOptions(epochs=STEPS, batch_size=2, accumulate=4, warmup_iterations=3)


def make_trainer(directory: Path, workers: Workers) -> Trainer:
    """An epoch is one step of 8 frames in four batches; the checkpoint in the directory is taken up.

    In float64: the first steps of an untrained network make 10,000 of a rounding error, and here it is to stay small.
    """
    torch.manual_seed(0)
    objective = VSNetObjective(METHOD, landmarks(), WEIGHTS).double()
    source = BatchSource(make_frames(8), BatchSettings(METHOD.stride, OPTIONS.batch_size, Augmentation(), OPTIONS.seed))
    trainer = Trainer(objective, source, OPTIONS, directory, workers)
    trainer.resume()
    return trainer


def train(trainer: Trainer, press_ctrl_c: bool = False) -> None:
    """To the end, or until somebody presses Ctrl-C."""

    def report(trainer: Trainer, losses: Mapping[str, float]) -> None:
        if press_ctrl_c and trainer.progress.iteration == HALF:
            os.kill(os.getpid(), signal.SIGINT)

    trainer.train(report, lambda trainer: {}, 0)


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that run in the background do without
    torch.set_num_threads(1)
    trainer_module.LOG_EVERY = 1
    whole, continued, interrupted = (Path(name) for name in sys.argv[1:])
    workers = Workers.join()
    for directory in (whole, continued):
        trainer = make_trainer(directory, workers)
        train(trainer)
        torch.save(trainer.objective.state_dict(), directory / f"process{workers.rank}.pt")
    workers.barrier()
    train(make_trainer(interrupted, workers), press_ctrl_c=True)


if __name__ == "__main__":
    main()
