"""The nodes as programs. Everything is imported inside, so that an interruption while that lasts is no traceback."""

import math
import signal
import sys
import time
from collections.abc import Sequence
from importlib import import_module

IMPATIENCE_S = 1.0


class Interruption:
    """Handler of SIGINT that raises KeyboardInterrupt, but not again within IMPATIENCE_S.

    Whoever presses Ctrl-C twice must not interrupt what the first one has set off. It is no handler that works just
    once, for Python loses a KeyboardInterrupt that is raised in some callbacks of its own.
    """

    def __init__(self) -> None:
        self._last_s = -math.inf

    def __call__(self, signal_number: int, frame: object) -> None:
        now_s = time.monotonic()
        if now_s - self._last_s > IMPATIENCE_S:
            self._last_s = now_s
            raise KeyboardInterrupt


def map_server(arguments: Sequence[str] | None = None) -> int:
    """Run the map server; returns the exit code."""
    return _run("vloc_ros.ros.map_server", "MapServer", arguments)


def relocalizer(arguments: Sequence[str] | None = None) -> int:
    """Run the relocalizer; returns the exit code."""
    return _run("vloc_ros.ros.relocalizer", "Relocalizer", arguments)


def _run(module: str, node: str, arguments: Sequence[str] | None) -> int:
    signal.signal(signal.SIGINT, Interruption())
    try:
        make_node = getattr(import_module(module), node)
        run = import_module("vloc_ros.ros.node").run
        code: int = run(make_node, arguments)
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # nor while the interpreter ends
    return code


if __name__ == "__main__":
    sys.exit({"map_server": map_server, "relocalizer": relocalizer}[sys.argv[1]](sys.argv[1:]))
