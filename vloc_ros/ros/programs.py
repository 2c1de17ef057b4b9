"""The nodes as programs. Everything is imported inside, so that an interruption while that lasts is no traceback."""

import sys
from collections.abc import Sequence
from importlib import import_module


def map_server(arguments: Sequence[str] | None = None) -> int:
    """Run the map server; returns the exit code."""
    return _run("vloc_ros.ros.map_server", "MapServer", arguments)


def relocalizer(arguments: Sequence[str] | None = None) -> int:
    """Run the relocalizer; returns the exit code."""
    return _run("vloc_ros.ros.relocalizer", "Relocalizer", arguments)


def _run(module: str, node: str, arguments: Sequence[str] | None) -> int:
    try:
        make_node = getattr(import_module(module), node)
        run = import_module("vloc_ros.ros.node").run
    except KeyboardInterrupt:
        return 0
    code: int = run(make_node, arguments)
    return code


if __name__ == "__main__":
    sys.exit({"map_server": map_server, "relocalizer": relocalizer}[sys.argv[1]](sys.argv[1:]))
