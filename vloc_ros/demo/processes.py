"""The nodes as processes of their own that never outlive the demo."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from vloc_ros.errors import VlocError
from vloc_ros.files import write_errors
from vloc_ros.ros.domains import reserve_domain
from vloc_ros.shipped import shipped

STOP_TIMEOUT_S = 5.0
LOG_LINES_SHOWN = 5
# What the user's shell may say of who finds whom: the first is deprecated, wins over the range below, and makes each
# process warn.
DISCOVERY_VARIABLES = ("ROS_LOCALHOST_ONLY", "ROS_STATIC_PEERS", "ROS_DISCOVERY_SERVER")


class ProgramError(VlocError):
    """A node ended that should not have."""


def isolate() -> None:
    """From now on, this process and its children see only each other: a domain of their own, on this computer."""
    for name in DISCOVERY_VARIABLES:
        os.environ.pop(name, None)
    os.environ["ROS_DOMAIN_ID"] = str(reserve_domain())
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(shipped("config/fastdds.xml"))


class Process(Protocol):
    """What a program needs of `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...


class Program:
    """A program in a process group of its own: the demo, tests and benchmarks start and end nodes with it."""

    def __init__(
        self, name: str, ros_arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """`name`: one of `vloc_ros.ros.programs`, or a Python file that runs one. What it says goes to the file `log`;
        `environment` is added to that of this process. Raises ConfigError when the log cannot be written."""
        self.name, self._log = name, log
        with write_errors(log):
            log.parent.mkdir(parents=True, exist_ok=True)
            log.touch()
            self._process: Process = self._start(
                ["--ros-args", "--disable-external-lib-logs", *ros_arguments], environment or {}
            )

    def _start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> Process:
        program = [self.name] if self.name.endswith(".py") else ["-m", "vloc_ros.ros.programs", self.name]
        with self._log.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, *program, *arguments],
                env={**os.environ, **environment},
                # Where Python is started it looks for modules, and takes a check-out of this name for the package.
                cwd=self._log.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for whoever started it, and then stops its programs in order
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text(errors="replace")

    def check(self) -> None:
        """Raises ProgramError, with the end of its log, if the program has ended."""
        code = self._process.poll()
        if code is not None:
            raise ProgramError(f"{self.name} ended with code {code}, see {self._log}: {self.last_words()}")

    def last_words(self) -> str:
        """The end of the log, as one line."""
        return " | ".join(self.log.splitlines()[-LOG_LINES_SHOWN:]) or "it said nothing"

    def wait(self, timeout_s: float) -> int | None:
        """The exit code; None if it has not ended by then."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_s)
        return None

    def stop(self) -> None:
        """Interrupt the program, and kill all of its group if it does not end in time."""
        try:
            self.send(signal.SIGINT)
            self.wait(STOP_TIMEOUT_S)
        finally:  # whatever interrupts the waiting
            self.kill()

    def kill(self) -> None:
        """End all of its group at once."""
        self.send(signal.SIGKILL)
        self._process.wait()

    def send(self, signal_number: signal.Signals) -> None:
        """Send a signal to all of its group."""
        with suppress(ProcessLookupError):  # it is gone already
            os.killpg(self._process.pid, signal_number)
