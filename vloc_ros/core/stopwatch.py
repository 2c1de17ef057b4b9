"""Milliseconds per named stage of the pipeline."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Collects how long each stage took; `timings_ms` holds the stages that have ended, in their order of ending."""

    def __init__(self) -> None:
        self.timings_ms: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the body of a `with` statement under `name`; a repeated name adds up."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings_ms[name] = self.timings_ms.get(name, 0.0) + (time.perf_counter() - start) * 1e3
