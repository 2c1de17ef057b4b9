"""Only one `vloc map` at a time in a work directory."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from vloc_ros.errors import ConfigError
from vloc_ros.files import write_text

LOCK, HOLDER = "lock", "lock.json"  # the system frees the former when a process ends, however it ends


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Nobody else is in this context of the directory. Raises ConfigError, saying who, where somebody is already."""
    lock = FileLock(directory / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ConfigError(
            f"{directory}: another `vloc map` is at work in it{_holder(directory)}; "
            "wait until it is done, stop it, or use another --workdir"
        ) from None
    try:
        since = datetime.now().astimezone().isoformat(timespec="seconds")
        holder = {"process": os.getpid(), "host": socket.gethostname(), "since": since}
        write_text(directory / HOLDER, json.dumps(holder) + "\n")
        yield
    finally:
        with suppress(OSError):
            (directory / HOLDER).unlink()
        lock.release()


def _holder(directory: Path) -> str:
    try:
        holder = json.loads((directory / HOLDER).read_text())
        return f" (process {holder['process']} on {holder['host']}, since {holder['since']})"
    except (OSError, ValueError, KeyError, TypeError):  # just begun, or just ended
        return ""
