"""Exceptions that nobody expected: each becomes one line in the log and a count, and the node lives on."""

import inspect
import threading
import traceback
from collections.abc import Callable
from functools import wraps
from typing import Any

from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor

from vloc_ros.errors import VlocError, printable
from vloc_ros.ros.throttle import Throttle

SAME_AGAIN_S = 10.0  # so long, the same fault at the same place is counted, not told
# On a signal rclpy wakes the executor first and shuts the context down then: one that has gone back to sleep in between
# would not be woken again.
WAKE_S = 1.0

Callback = Callable[..., Any]


class QuietExecutor(SingleThreadedExecutor):
    """One that leaves no traceback in the log if an interruption ends the context while it is being made."""

    _sigint_gc: Any = None  # rclpy's `__del__` asks for it, whether or not `__init__` has come that far


class Faults:
    """How many there were, and what the last one was.

    `log` gets a line and, for who debugs, where it came from; `report` gets the line.
    """

    def __init__(self, log: Callable[[str, str], None], report: Callable[[str], None]) -> None:
        self._log, self._report = log, report
        self._lock = threading.Lock()  # of the two below
        self._told = Throttle(SAME_AGAIN_S)
        self.count = 0
        self.last = ""

    def add(self, where: str, error: Exception, is_told: bool = False) -> str:
        """Count a fault and tell it, unless the same has just been told or `is_told` says always; returns the line."""
        line = described(where, error)
        with self._lock:
            self.count, self.last = self.count + 1, line
        if self._told.is_due((where, type(error))) or is_told:
            self._log(line, "".join(traceback.format_exception(error)))
            self._report(line)
        return line

    def around(
        self, where: str, callback: Callback, failed: Callable[[str, tuple[Any, ...]], Any] | None = None
    ) -> Callback:
        """`callback`, from which no exception comes any more; instead of one, it returns what `failed` makes of the
        line about it and of the arguments, or else None."""

        def fault(error: Exception, arguments: tuple[Any, ...]) -> Any:
            line = self.add(where, error)
            return failed(line, arguments) if failed else None

        @wraps(callback)
        def guarded(*arguments: Any) -> Any:
            try:
                return callback(*arguments)
            except Exception as error:
                return fault(error, arguments)

        @wraps(callback)
        async def guarded_coroutine(*arguments: Any) -> Any:
            try:
                return await callback(*arguments)
            except Exception as error:
                return fault(error, arguments)

        return guarded_coroutine if inspect.iscoroutinefunction(callback) else guarded


def described(where: str, error: Exception) -> str:
    """One line about an exception: our own ones speak for themselves."""
    if isinstance(error, VlocError):
        return str(error)
    return printable(f"{where}: {type(error).__name__}: {error}")


def refused(line: str, arguments: tuple[Any, ...]) -> Any:
    """The answer of a service whose callback failed, of whatever type it is."""
    response = arguments[1]
    for name, value in (("success", False), ("message", line)):
        if hasattr(response, name):
            setattr(response, name, value)
    return response


def spin(executor: Executor, faults: Faults, until: threading.Event | None = None) -> None:
    """Spin until the context is shut down or `until` is set, whatever the callbacks raise."""
    while executor.context.ok() and not (until and until.is_set()):
        try:
            executor.spin_once(WAKE_S)
        except ExternalShutdownException:
            return
        except Exception as error:
            if executor.context.ok():  # otherwise, what was just being made or published could not be any more
                faults.add("executor", error)
