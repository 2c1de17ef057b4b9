"""Numba, in one place: compiled code is kept between runs where that is possible, and where it is not, nothing is lost
but the seconds that compiling takes.

What a robot compiles at its start is written for the compiler's speed: scalars and loops over arrays that the caller
made. An expression of whole arrays in a kernel costs up to a second of compiling, and is as fast in NumPy.
"""

from collections.abc import Callable
from contextlib import suppress
from types import CodeType
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.registry import CPUDispatcher


class BestEffortCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache, whose faults end nothing: a file that is damaged counts as none, a full disk keeps none.

    Numba takes what was compiled for up to date as long as the function's own file is. Here it also depends on what the
    function uses of other files and has in its code: compiled functions, and constants.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        self._cache_file = IndexDataCacheFile(  # type: ignore[no-untyped-call]
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=(self._impl.locator.get_source_stamp(), _used(function)),
        )

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


def _used(function: Callable[..., Any]) -> tuple[str, ...]:
    """What a function has in its code of what it names: constants by their values, compiled functions by their bytecode
    and by what these use."""
    found = []
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if isinstance(value, CPUDispatcher):
            found.append(f"{name} {_content(value.py_func.__code__)} {_used(value.py_func)}")
        elif isinstance(value, int | float | str | tuple):
            found.append(f"{name} {value!r}")
    return tuple(found)


def _content(code: CodeType) -> tuple[str, ...]:
    """The same for the same source, in every process."""
    constants = (str(_content(each)) if isinstance(each, CodeType) else repr(each) for each in code.co_consts)
    return (code.co_code.hex(), *code.co_names, *constants)
