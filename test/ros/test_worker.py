"""The worker thread: newest wins, nothing queues, nothing kills it."""

import threading
import time
import weakref
from collections.abc import Iterator
from functools import partialmethod

import pytest

from vloc_ros.ros.worker import Aside, NewestWins

WAIT_S = 10.0


class Gate:
    """A handler that reports what it got and waits until it may go on."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.entered, self.go_on = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, item: int) -> None:
        self.seen.append(item)
        self.entered.release()
        assert self.go_on.acquire(timeout=WAIT_S)
        if item < 0:
            raise ValueError(f"no {item}")


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def errors() -> list[Exception]:
    return []


@pytest.fixture
def worker(gate: Gate, errors: list[Exception]) -> Iterator[NewestWins[int]]:
    made = NewestWins("test", gate, errors.append)
    yield made
    for _ in range(10):
        gate.go_on.release()
    made.close()


def test_while_it_works_only_the_newest_item_waits(worker: NewestWins[int], gate: Gate) -> None:
    worker.put(0)
    assert gate.entered.acquire(timeout=WAIT_S)
    for item in range(1, 6):
        worker.put(item)
    assert worker.dropped == 4
    gate.go_on.release()
    assert gate.entered.acquire(timeout=WAIT_S)
    assert gate.seen == [0, 5]


def test_what_was_worked_on_is_let_go() -> None:
    class Large:
        pass

    handled = threading.Event()
    worker: NewestWins[Large] = NewestWins("test", lambda item: handled.set(), print)
    large = Large()
    of_large = weakref.ref(large)
    worker.put(large)
    del large
    assert handled.wait(WAIT_S)
    deadline_s = time.monotonic() + WAIT_S
    while of_large() is not None and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert of_large() is None
    worker.close()


def test_an_exception_is_reported_and_the_next_item_is_worked_on(
    worker: NewestWins[int], gate: Gate, errors: list[Exception]
) -> None:
    for item in (-1, 1):
        worker.put(item)
        assert gate.entered.acquire(timeout=WAIT_S)
        gate.go_on.release()
    worker.close()
    assert gate.seen == [-1, 1]
    assert [str(error) for error in errors] == ["no -1"]


def test_closing_forgets_what_waits_and_lets_what_runs_end(worker: NewestWins[int], gate: Gate) -> None:
    worker.put(0)
    assert gate.entered.acquire(timeout=WAIT_S)
    worker.put(1)
    closing = threading.Thread(target=worker.close)
    closing.start()
    gate.go_on.release()
    closing.join(WAIT_S)
    assert not closing.is_alive()
    assert gate.seen == [0]


def test_an_item_put_after_closing_is_never_worked_on(worker: NewestWins[int], gate: Gate) -> None:
    worker.close()
    worker.put(1)
    assert not worker._thread.is_alive()
    assert gate.seen == []


def test_what_is_done_aside_answers_or_raises() -> None:
    aside = Aside[int]("test")
    for expected, do in ((7, lambda: 7), (8, lambda: 8)):
        answer = aside.start(do)
        assert answer is not None
        assert answer.result(WAIT_S) == expected
    answer = aside.start(lambda: [][7])
    assert answer is not None
    with pytest.raises(IndexError):
        answer.result(WAIT_S)
    aside.close(answer)
    assert aside.start(lambda: 7) is None


def test_nobody_waits_for_what_hangs_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NewestWins, "close", partialmethod(NewestWins.close, timeout_s=0.01))
    aside, begun, go_on = Aside[int]("test"), threading.Event(), threading.Event()

    def hang() -> int:
        begun.set()
        return int(go_on.wait(WAIT_S))

    hung = aside.start(hang)
    assert begun.wait(WAIT_S)
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "test"), "nor at Python's end"
    waits = aside.start(hang)
    aside.close(waits)
    assert hung is not None
    assert waits is not None
    assert waits.cancelled()
    assert not hung.done()
    go_on.set()
    assert hung.result(WAIT_S) == 1
