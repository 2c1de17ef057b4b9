"""The work directory of `vloc map`: runs stages, skips those whose inputs are as they were, keeps what they make."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from vloc_ros.errors import ConfigError
from vloc_ros.files import remove_partial, write_errors
from vloc_ros.progress import Progress
from vloc_ros.training.method_options import STAGES, StageName
from vloc_ros.training.stages.lock import HOLDER, LOCK, locked
from vloc_ros.training.stages.stage import Product, Stage
from vloc_ros.training.stages.stage_records import (
    RECORDS,
    Record,
    Records,
    content_of,
    fingerprint_of,
    load_records,
    plain,
)
from vloc_ros.training.training_files import CHECKPOINT
from vloc_ros.training.workers import Workers

BEFORE_STAGES = "options.json"  # what the directories of earlier versions have
TRAINED_FROM = STAGES[: STAGES.index("training") + 1]


class Stopped(Exception):  # noqa: N818  # nothing is wrong
    """This process has done its part."""


class WorkDirectory:
    """Runs the stages of one map in their order, in each of the processes. `until`: the stage to stop behind."""

    def __init__(self, path: Path, workers: Workers, progress: Progress, until: StageName | None = None) -> None:
        self.path = path
        self.records = load_records(path)  # of earlier runs, and of this one as it goes
        self._workers = workers
        self._progress = progress
        self._until = until
        self._fingerprint = ""  # of the stages that were run

    def run(self, stage: Stage[Product]) -> Product:
        """The product of a stage: of an earlier run, if all that it was made from is as it was, else made now.

        Raises Stopped behind the last stage that this process is wanted for; ConfigError where a training would be lost
        that was made from something else.
        """
        first = self._workers.rank == 0
        unchanged = first and self._begin(stage)
        if stage.run_by == "all":
            before = content_of(self.path / CHECKPOINT)
            product = stage.make(self.path, self._progress)
            unchanged = unchanged and before == content_of(self.path / CHECKPOINT)
        elif first:
            product = stage.load(self.path) if unchanged else self._make(stage)
            self._workers.barrier()
        else:
            self._workers.barrier()
            product = stage.load(self.path)
        self._progress.say(f"{stage.name}: {'unchanged, ' if unchanged else ''}{stage.describe(self.path, product)}")
        done = stage.name == self._until
        if done or stage.last_for_others:
            self._workers.leave()
        if done or (stage.last_for_others and not first):
            raise Stopped
        if stage.last_for_others:
            self._workers = Workers()
        return product

    def _begin(self, stage: Stage[Any]) -> bool:
        """Whether its product is there. If it was made from something else, nothing is known from now on of it, nor of
        what was made from it; of one that goes on with what is there, it is known from now on what that is made from.
        """
        content = {f"content of {name}": content_of(path) for name, path in stage.files().items()}
        inputs = plain({**stage.inputs(), **content})
        record = Record(inputs, fingerprint_of(inputs, self._fingerprint))
        self._fingerprint = record.fingerprint
        found = self.records.stages.get(stage.name)
        self._record = record
        if found is not None and found.fingerprint == record.fingerprint:
            return stage.is_there(self.path)  # made again from the same, it is what those behind it were made from
        if stage.name in TRAINED_FROM and (self.path / CHECKPOINT).exists():
            raise ConfigError(self._refusal(found, inputs))
        self.records = self.records.before(stage.name)
        if stage.run_by == "all":
            self.records = self.records.with_stage(stage.name, record)
        self.records.save(self.path)
        return False

    def _make(self, stage: Stage[Product]) -> Product:
        product = stage.make(self.path, self._progress)
        self.records = self.records.with_stage(stage.name, self._record)
        self.records.save(self.path)
        return product

    def _refusal(self, found: Record | None, inputs: Mapping[str, Any]) -> str:
        """A training is thrown away only by who says so."""
        before = found.inputs if found else inputs  # a stage that is new is no option that has changed
        changed = next((name for name, value in inputs.items() if before.get(name) != value), None)
        what = f"a run with {changed}={before.get(changed)}, now it is {inputs[changed]}" if changed else "another run"
        return f"{self.path}: holds {what}; use its options to continue it, --fresh to start anew, or another --workdir"


@contextmanager
def work_directory(
    path: Path, fresh: bool, workers: Workers, progress: Progress, until: StageName | None
) -> Iterator[WorkDirectory]:
    """The directory, made where there is none, and locked by the first process.

    Raises ConfigError for one where another `vloc map` is at work, for one of an earlier version, and for a directory
    of something else, which --fresh would empty.
    """
    with ExitStack() as stack:
        if workers.rank == 0:
            _require_ours(path)
            with write_errors(path):
                path.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locked(path))
                _prepare(path, fresh)
        workers.barrier()  # until it is there
        directory = WorkDirectory(path, workers, progress, until)
        workers.barrier()  # until all have read it
        yield directory


def _require_ours(path: Path) -> None:
    if not path.is_dir():
        return
    held = {entry.name for entry in path.iterdir()} - {LOCK, HOLDER}
    if held and not held & {RECORDS, BEFORE_STAGES}:
        raise ConfigError(f"{path}: is not empty and holds no {RECORDS}, so it is no work directory")


def _prepare(path: Path, fresh: bool) -> None:
    """Empty it if it is to be fresh. Raises ConfigError for one that cannot be continued."""
    remove_partial(path)
    if fresh:
        Records().save(path)  # first: interrupted, it is one of a run without stages
        for entry in path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name not in (LOCK, HOLDER, RECORDS):
                entry.unlink()
    if (path / RECORDS).exists():
        return
    if (path / BEFORE_STAGES).exists():
        raise ConfigError(
            f"{path}: holds a run of an earlier version, which this one cannot continue; --fresh starts anew"
        )
    Records().save(path)
