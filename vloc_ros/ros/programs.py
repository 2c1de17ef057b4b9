"""The nodes as programs. Everything is imported inside, so that an interruption while that lasts is a clean end."""

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name

from vloc_ros.blas import use_one_thread
from vloc_ros.ros.memory import use_few_heaps

ENDING = signal.SIGINT, signal.SIGTERM
END_S = 5.0  # for threads to come to their end; `ros2 launch` sends SIGTERM after as long


def map_server(arguments: Sequence[str] | None = None) -> int:
    """Run the map server; returns the exit code."""
    return _run("vloc_ros.ros.map_server:MapServer", arguments)


def relocalizer(arguments: Sequence[str] | None = None) -> int:
    """Run the relocalizer; returns the exit code."""
    return _run("vloc_ros.ros.relocalizer:Relocalizer", arguments)


def localization(arguments: Sequence[str] | None = None) -> int:
    """Run map server and relocalizer in one process; returns the exit code."""
    return _run("vloc_ros.ros.composition:make_nodes", arguments)


def recorder(arguments: Sequence[str] | None = None) -> int:
    """Run the recorder; returns the exit code."""
    return _run("vloc_ros.ros.recorder:Recorder", arguments)


def as_arguments(parameters: Mapping[str, object]) -> list[str]:
    """Parameters as words behind `--ros-args`."""
    import yaml

    def text(value: object) -> str:
        plain = str(value) if isinstance(value, Path) else value
        return str(yaml.safe_dump(plain, default_flow_style=True, width=math.inf)).removesuffix("\n...\n").rstrip()

    return [word for name, value in parameters.items() for word in ("-p", f"{name}:={text(value)}")]


def _run(made_by: str, arguments: Sequence[str] | None) -> int:
    """`made_by`: a class of nodes, or a function that makes several."""
    use_one_thread()
    use_few_heaps()
    # No KeyboardInterrupt: rclpy ends the spinning, and in an import it could not be told from an error.
    interruptions: list[int] = []
    for ending in ENDING:
        signal.signal(ending, lambda number, frame: interruptions.append(number))
    make, run = resolve_name(made_by), resolve_name("vloc_ros.ros.node:run")
    try:
        code: int = run(make, arguments, lambda: bool(interruptions))
    finally:
        for ending in ENDING:
            signal.signal(ending, signal.SIG_IGN)  # whoever is impatient must not interrupt the interpreter's end
    end_threads(code)
    return code


def end_threads(code: int) -> None:
    """Wait until no other thread works: Python ends daemons wherever they are, and aborts the whole process if that is
    in a destructor of C++. Ends the process with `code` at once if one still works after `END_S`."""
    others = [thread for thread in threading.enumerate() if thread is not threading.current_thread()]
    deadline_s = time.monotonic() + END_S
    for thread in others:
        thread.join(max(deadline_s - time.monotonic(), 0.0))
    if any(thread.is_alive() for thread in others):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    programs = (map_server, relocalizer, localization, recorder)
    sys.exit({program.__name__: program for program in programs}[sys.argv[1]](sys.argv[1:]))
