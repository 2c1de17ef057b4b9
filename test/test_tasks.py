"""Tasks on workers: results, bad input, retries, and engines that cannot be had."""

from pathlib import Path

import distributed
import pytest
from support.some_tasks import always_fails, cores, fails_at_first, halved, new_pages

from vloc_ros import tasks
from vloc_ros.errors import ConfigError
from vloc_ros.tasks import Engine


@pytest.fixture(scope="module")
def opened():  # type: ignore[no-untyped-def]
    with Engine(workers=1).opened() as engine:
        yield engine


def test_every_task_has_its_result_or_what_is_wrong_with_its_input(opened: tasks.Tasks) -> None:
    done = {each.name: each for each in opened.run(halved, {"one": 1, "bad": -1, "two": 2})}
    assert (done["one"].value, done["two"].value) == (0.5, 1.0)
    assert (done["bad"].value, done["bad"].error) == (None, "-1 is negative")
    assert list(opened.run(halved, {})) == []


def test_what_fails_otherwise_is_tried_again(opened: tasks.Tasks, tmp_path: Path) -> None:
    (once,) = opened.run(fails_at_first, {"once": tmp_path / "marker"})
    assert once.value == "done"
    (never,) = opened.run(always_fails, {"never": 1})
    assert (never.value, never.error) == (None, "RuntimeError: never")


def test_a_worker_takes_one_core(opened: tasks.Tasks) -> None:
    (said,) = opened.run(cores, {"one": 1})
    assert said.value == "1"


def test_arrays_of_a_worker_take_memory_that_it_has(opened: tasks.Tasks) -> None:
    (said,) = opened.run(new_pages, {"some": 100})
    assert said.value is not None
    assert said.value < 10 * 256  # pages of 4 kB, of ten of the hundred arrays


def test_workers_of_a_scheduler_do_the_same(opened: tasks.Tasks) -> None:
    address = opened._client.scheduler.address
    with Engine(scheduler=address).opened() as others:
        assert [done.value for done in others.run(halved, {"four": 4})] == [2.0]
    assert opened._client.status == "running"


def test_engines_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="must be 1 or more"):
        Engine(workers=0)
    with pytest.raises(ConfigError, match="has its own"):
        Engine(workers=1, scheduler="tcp://host:1")
    monkeypatch.setattr(tasks, "START_TIMEOUT_S", 0.2)
    for address in ("tcp://127.0.0.1:9", "nonsense://x"):
        with pytest.raises(ConfigError, match=f"--scheduler {address}"), Engine(scheduler=address).opened():
            pass
    assert distributed.__version__


def test_workers_that_do_not_start_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What LocalCluster raises where a worker is killed while it starts."""

    def killed(**_settings: object) -> None:
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr(distributed, "LocalCluster", killed)
    with pytest.raises(ConfigError, match="--workers 2: they could not be started: Nanny failed to start"):
        Engine(workers=2).opened().__enter__()
