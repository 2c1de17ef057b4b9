"""Training with several processes learns what one process learns, and each can go on where the other stopped."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from support import ROOT, SUPPORT
from support.distributed_run import HALF, STEPS, make_trainer, train

from vloc_ros.errors import ConfigError
from vloc_ros.training.map_options import MapOptions, TrainingOptions
from vloc_ros.training.stages.settings import settings_of
from vloc_ros.training.stages.stage_records import Record, Records, load_records
from vloc_ros.training.trainer import Trainer
from vloc_ros.training.vsnet.options import VSNetOptions
from vloc_ros.training.workers import Workers

pytestmark = pytest.mark.usefixtures("report_every_iteration")

State = dict[str, "torch.Tensor"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> State:
    """What one process learns, that nobody interrupts."""
    trainer = make_trainer(tmp_path_factory.mktemp("alone"), Workers())
    train(trainer)
    return trainer.objective.state_dict()


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes leave in three directories: see distributed_run.py."""
    root = tmp_path_factory.mktemp("together")
    directories = [root / name for name in ("whole", "continued", "interrupted")]
    for directory in directories:
        directory.mkdir()
    half = make_trainer(directories[1], Workers())

    def stop(trainer: Trainer, _: object) -> None:
        if trainer.progress.iteration == HALF:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half.train(stop, lambda _: {}, 0)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'test'}", "OMP_NUM_THREADS": "1"}
    environment["CUDA_VISIBLE_DEVICES"] = ""
    run = subprocess.run(
        [*command, str(SUPPORT / "distributed_run.py"), *map(str, directories)],
        env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert all((directory / "checkpoint.pt").exists() for directory in directories), run.stderr
    return root


def assert_same(found: State, expected: State) -> None:
    """But for the order of additions, and for a counter that nothing uses: how many batches this process normalised."""
    for name, value in expected.items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-8, msg=partial("{}: {}".format, name))


def test_two_processes_learn_what_one_learns(alone: State, together: Path) -> None:
    """Parameters, prototypes and running statistics; both processes the same."""
    first, second = (torch.load(together / "whole" / f"process{rank}.pt") for rank in (0, 1))
    assert_same(first, alone)
    for name, value in first.items():
        assert torch.equal(second[name], value), name
    untrained = make_trainer(together, Workers()).objective.state_dict()
    assert max(float((first[name] - value).abs().max()) for name, value in untrained.items()) > 5e-3


def test_two_processes_go_on_where_one_stopped(alone: State, together: Path) -> None:
    assert_same(torch.load(together / "continued" / "process0.pt"), alone)


def test_one_process_goes_on_where_ctrl_c_stopped_two(alone: State, together: Path) -> None:
    trainer = make_trainer(together / "interrupted", Workers())
    assert trainer.progress.iteration == HALF
    train(trainer)
    assert trainer.progress.iteration == STEPS
    assert_same(trainer.objective.state_dict(), alone)


@pytest.fixture
def options(tmp_path: Path) -> MapOptions:
    (tmp_path / "work").mkdir()
    return MapOptions("folder", None, "train", tmp_path / "map", tmp_path / "work", VSNetOptions())


def claimed(options: MapOptions, processes: int, earlier: Records) -> tuple[TrainingOptions, Records]:
    """What a run of so many processes learns with, and what it leaves in its work directory."""
    training = settings_of(options, earlier, novel_views=0.0, gpu=False, processes=processes).training
    Workers(0, processes).share_of(training.options.accumulate)
    return training.options, earlier.with_stage("training", Record(training.inputs(), "of these"))


def test_a_new_run_has_a_batch_a_step_for_each_process(options: MapOptions) -> None:
    assert claimed(options, 4, Records())[0].accumulate == 4
    assert claimed(options, 2, Records())[0].accumulate == 2


def test_another_number_of_processes_goes_on_with_the_same_steps(options: MapOptions) -> None:
    first, left = claimed(options, 4, Records())
    assert all(claimed(options, count, left)[0] == first for count in (1, 2, 4))
    with pytest.raises(ConfigError, match="4 batches a step cannot be shared evenly by 3 processes"):
        claimed(options, 3, left)


@pytest.mark.parametrize("content", ["damaged", "[]", '{"stages": 3}', '{"format": 2, "stages": {"training": {}}}'])
def test_records_that_are_not_whole_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "stages.json").write_text(content)
    with pytest.raises(ConfigError, match=r"stages\.json: damaged .*; --fresh starts anew"):
        load_records(tmp_path)
