"""Numba, in one place: compiled code is kept between runs where that is possible, and where it is not, nothing is lost
but the seconds that compiling takes.

What a robot compiles at its start is written for the compiler's speed: scalars and loops over arrays that the caller
made. An expression of whole arrays in a kernel costs up to a second of compiling, and is as fast in NumPy.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache


class BestEffortCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache, whose faults end nothing: a file that is damaged counts as none, a full disk keeps none."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was compiled earlier, or None."""
        try:
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        except Exception:  # of whatever class, for a pickle that is cut short or of other versions
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, if that can be."""
        with suppress(Exception):
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator that compiles a function when it is first called; `options` are those of `numba.njit`.

    The code is kept in $NUMBA_CACHE_DIR, beside the source, or in the user's directory for caches: the first of these
    that can be written to. Without any it is compiled once in every process. It runs without holding Python's lock.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = njit(nogil=True, **options)(function)
        with suppress(RuntimeError, OSError):  # no directory can be written to
            dispatcher._cache = BestEffortCache(function)  # type: ignore[no-untyped-call]
        return dispatcher

    return decorate
