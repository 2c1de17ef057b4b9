"""The nodes as processes of their own that never outlive the demo."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from vloc_ros.errors import ConfigError, VlocError, reason_of
from vloc_ros.ros.domains import claim_domain
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
    os.environ["ROS_DOMAIN_ID"] = str(claim_domain())
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(shipped("config/fastdds.xml"))


class Program:
    """One of the programs of `vloc_ros.ros.programs`, running in a process group of its own until `stop`."""

    def __init__(self, name: str, ros_arguments: Sequence[str], log: Path) -> None:
        """What the program says goes to the file `log`. Raises ConfigError when that cannot be written."""
        self._name, self._log = name, log
        command = [sys.executable, "-m", "vloc_ros.ros.programs", name]
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("wb") as output:
                self._process = subprocess.Popen(
                    [*command, "--ros-args", "--disable-external-lib-logs", *ros_arguments],
                    # Where Python is started it looks for modules, and takes a check-out of this name for the package.
                    cwd=log.parent,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C is for the demo, which then stops its programs in order
                )
        except OSError as error:
            raise ConfigError(f"{log}: cannot be written: {reason_of(error)}") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Raises ProgramError, with the end of its log, if the program has ended."""
        code = self._process.poll()
        if code is not None:
            raise ProgramError(f"{self._name} ended with code {code}, see {self._log}: {self.last_words()}")

    def last_words(self) -> str:
        """The end of the log, as one line."""
        lines = self._log.read_text(errors="replace").splitlines()
        return " | ".join(lines[-LOG_LINES_SHOWN:]) or "it said nothing"

    def stop(self) -> None:
        """Interrupt the program, and kill all of its group if it does not end in time."""
        try:
            self._send(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT_S)
        finally:  # whatever interrupts the waiting
            self._send(signal.SIGKILL)
            self._process.wait()

    def _send(self, signal_number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # it is gone already
            os.killpg(self._process.pid, signal_number)
