"""TensorRT itself, 10 or 11: found, or said why not; what it logs is kept; no None or False passes for a result."""

from collections import deque
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

from vloc_ros.errors import ModelError
from vloc_ros.inference.backend import BackendUnavailableError
from vloc_ros.inference.cuda import OUT_OF_MEMORY_HINT

KEPT_MESSAGES = 20


class TensorRt:
    """The module `tensorrt` as `api`, its full version, and its log. Raises BackendUnavailableError without it."""

    def __init__(self) -> None:
        self.api = _import_tensorrt()
        self.version: str = self.api.__version__
        self.log = _log_of(self.api)

    def attempt(self, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Result of a call into TensorRT; whatever it raises becomes a ModelError that says what failed and why."""
        self.log.clear()
        try:
            return function(*arguments)
        except (RuntimeError, TypeError, ValueError) as error:
            raise ModelError(self._failure(what, str(error))) from error

    def require(self, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """The same for a call that says by None or False that it failed."""
        result = self.attempt(what, function, *arguments)
        if result is None or result is False:
            raise ModelError(self._failure(what, "no reason was given"))
        return result

    def create(self, what: str, made: str) -> Any:
        """A Builder or Runtime, the two that first need the driver. Raises BackendUnavailableError."""
        try:
            return self.require(what, getattr(self.api, made), self.log)
        except ModelError as error:
            raise BackendUnavailableError(f"{error}; is the driver new enough for it?") from error

    def _failure(self, what: str, otherwise: str) -> str:
        reason = " ".join("; ".join(self.log.reasons() or [otherwise]).split())
        if "out of memory" in reason.lower() or "outofmemory" in reason.lower():
            reason += f" ({OUT_OF_MEMORY_HINT})"
        return f"TensorRT {self.version}: {what} failed: {reason}"


def _import_tensorrt() -> Any:
    try:
        return import_module("tensorrt")
    except ImportError as error:  # also when one of its libraries is missing or does not fit
        raise BackendUnavailableError(f"the Python package 'tensorrt' cannot be loaded: {error}") from error


@cache
def _log_of(api: Any) -> Any:
    """The one log of the process: TensorRT uses the first that it is given, for everything."""

    class Log(api.ILogger):  # type: ignore[misc]
        """Keeps the last errors and warnings."""

        def __init__(self) -> None:
            api.ILogger.__init__(self)
            self.clear()

        def clear(self) -> None:
            self._errors: deque[str] = deque(maxlen=KEPT_MESSAGES)
            self._warnings: deque[str] = deque(maxlen=KEPT_MESSAGES)

        def log(self, severity: Any, message: str) -> None:
            if severity in (api.ILogger.INTERNAL_ERROR, api.ILogger.ERROR):
                self._errors.append(message)
            elif severity == api.ILogger.WARNING:
                self._warnings.append(message)

        def reasons(self) -> list[str]:
            """The errors, or the warnings where there are no errors; each once, in order."""
            return list(dict.fromkeys(self._errors or self._warnings))

    return Log()
