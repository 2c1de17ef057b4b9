"""CPU seconds of the test suite, by test file and in all; unlike wall time, a busy machine hardly changes them.

    python benchmark/suite_cpu.py                      # the whole suite
    python benchmark/suite_cpu.py test/test_cli.py     # any of pytest's arguments

User and system time of pytest and of every process that a test started and waited for. What a file is the first to
import, or a fixture of the whole session to make, counts for that file.
"""

import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


def cpu_seconds() -> float:
    """User and system time of this process and of its children that have ended."""
    return sum(os.times()[:4])


class CPUTimes:
    """A plugin of pytest that adds up CPU seconds by test file: `seconds`, and the tests of each in `tests`."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.tests: dict[str, int] = defaultdict(int)

    @contextmanager
    def charged(self, node: pytest.Item | pytest.Collector) -> Iterator[None]:
        before = cpu_seconds()
        yield
        self.seconds[node.nodeid.split("::")[0]] += cpu_seconds() - before

    @pytest.hookimpl(hookwrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Iterator[None]:
        with self.charged(collector):
            yield

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        with self.charged(item):
            yield
        self.tests[item.nodeid.split("::")[0]] += 1


def main(arguments: list[str]) -> int:
    times = CPUTimes()
    code = pytest.main(arguments, plugins=[times])
    print("CPU s  tests  file")
    for file in sorted(times.tests, key=lambda file: -times.seconds[file]):
        print(f"{times.seconds[file]:5.1f}  {times.tests[file]:5d}  {file}")
    print(f"{cpu_seconds():5.1f}  {sum(times.tests.values()):5d}  all, starting pytest included")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
