"""For tests: starts programs as forks of one process that has imported what they need, which takes a second for each
program that Python starts anew. What they do from their arguments on, to the end of their interpreter, is the same.

The server reads requests, one line of JSON each, from its input, and answers each with the number of a process. Linux
makes that process a child of whoever made the server, so that its end and its processor time are seen as of any child.
"""

import ctypes
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

PR_SET_CHILD_SUBREAPER = 36  # of Linux's prctl(2)
LOOK_EVERY_S = 0.01


class ForkedProcess:
    """What `subprocess.Popen` offers, of a child that something else has started."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises subprocess.TimeoutExpired."""
        end_s = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if end_s is not None and time.monotonic() > end_s:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(LOOK_EVERY_S)
        return code


class ProgramServer:
    """A context; `start` starts programs in it."""

    def __enter__(self) -> "ProgramServer":
        _adopt_orphans(True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.program_server"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONFAULTHANDLER": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate()
        _adopt_orphans(False)

    def start(self, arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> ForkedProcess:
        """Start one of `vloc_ros.ros.programs` or a Python file, whichever the first argument is, in a process group of
        its own and in the log's folder. `environment` is added to that of this process."""
        request = {"arguments": arguments, "log": str(log), "environment": {**os.environ, **environment}}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return ForkedProcess(int(self._process.stdout.readline()))


def _adopt_orphans(adopt: bool) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, int(adopt), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def _become(request: Mapping[str, object]) -> list[str]:
    """Make this process that of a program, whose arguments are returned."""
    with open(str(request["log"]), "wb") as log, open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.chdir(Path(str(request["log"])).parent)
    environment, arguments = request["environment"], request["arguments"]
    assert isinstance(environment, dict)
    assert isinstance(arguments, list)
    os.environ.clear()
    os.environ.update(environment)
    return arguments


def _fork(request: Mapping[str, object]) -> list[str] | None:
    """The program's arguments in a new process, which is nobody's child, and None in this one."""
    reading, writing = os.pipe()
    between = os.fork()
    if between:
        os.close(writing)
        os.waitpid(between, 0)
        with open(reading) as answer:
            print(answer.read(), flush=True)
        return None
    if pid := os.fork():
        os.setpgid(pid, pid)  # before anybody hears of it
        os.write(writing, str(pid).encode())
        os._exit(0)
    os.close(reading)
    os.close(writing)
    return _become(request)


def _run(name: str, *arguments: str) -> int:
    import vloc_ros.ros.programs

    if name.endswith(".py"):
        sys.argv = [name, *arguments]
        runpy.run_path(name, run_name="__main__")
        return 0
    program = getattr(vloc_ros.ros.programs, name)
    code: int = program([name, *arguments])
    return code


def main() -> int:
    """Serve until the input ends; in a new process, run its program."""
    import vloc_ros.ros.map_server
    import vloc_ros.ros.recorder
    import vloc_ros.ros.relocalizer  # noqa: F401
    from vloc_ros.localizer import preload

    preload()
    for line in sys.stdin:
        arguments = _fork(json.loads(line))
        if arguments is not None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            return _run(*arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
