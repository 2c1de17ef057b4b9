"""Exceptions in callbacks: told in one line, once in a while, and never let out."""

import asyncio
import gc
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import rclpy
from std_srvs.srv import Trigger

from vloc_ros.errors import ConfigError
from vloc_ros.ros.faults import Faults, QuietExecutor, refused, spin


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def faults(told: list[str]) -> Faults:
    return Faults(lambda line, origin: told.append(line), lambda line: None)


def fail(*arguments: Any) -> None:
    raise RuntimeError("first line\nsecond line \x1b[31m \udc80")


async def fail_later(*arguments: Any) -> None:
    fail()


def test_a_guarded_callback_gives_what_it_gave_and_lets_nothing_out(faults: Faults, told: list[str]) -> None:
    assert faults.around("sum", lambda a, b: a + b)(1, 2) == 3
    assert faults.around("here", fail)("message") is None
    assert told == ["here: RuntimeError: first line\\nsecond line \\x1b[31m \\udc80"]
    assert (faults.count, faults.last) == (1, told[0])


@pytest.mark.parametrize("callback", [fail, fail_later])
def test_a_service_that_fails_answers_no(faults: Faults, callback: Any) -> None:
    answer = faults.around("here", callback, refused)(Trigger.Request(), Trigger.Response())
    response = asyncio.run(answer) if asyncio.iscoroutine(answer) else answer
    assert not response.success
    assert response.message.startswith("here: RuntimeError: first line")


def test_the_same_is_told_once_and_counted(faults: Faults, told: list[str]) -> None:
    for _ in range(3):
        faults.around("here", fail)()
    faults.around("there", fail)()
    assert [line.split(":")[0] for line in told] == ["here", "there"]
    assert faults.count == 4
    faults.add("here", RuntimeError("again"), is_told=True)
    assert told[-1] == "here: RuntimeError: again"


def test_our_own_errors_speak_for_themselves(faults: Faults, told: list[str]) -> None:
    faults.add("here", ConfigError("parameter map is empty"))
    assert told == ["parameter map is empty"]


def test_spinning_goes_on_after_an_exception(faults: Faults, told: list[str]) -> None:
    """Of what rclpy does around a callback, say of a message that it cannot take."""
    over, turns = threading.Event(), iter(range(5))

    def spin_once(timeout_s: float) -> None:
        if next(turns) == 4:
            over.set()
        fail()

    spin(SimpleNamespace(spin_once=spin_once, context=SimpleNamespace(ok=lambda: True)), faults, over)
    assert faults.count == 5
    assert len(told) == 1


def test_an_executor_of_a_context_that_has_ended_meanwhile_leaves_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    complaints: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    context = rclpy.Context()
    rclpy.init(context=context)
    rclpy.shutdown(context=context)
    with pytest.raises(Exception, match="context"):
        QuietExecutor(context=context)
    gc.collect()
    assert complaints == []
