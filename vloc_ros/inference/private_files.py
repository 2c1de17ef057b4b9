"""Files that only this user, or root, can have written, and their reading without waiting for anybody."""

import errno
import os
import stat
from pathlib import Path

from vloc_ros.files import open_regular

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
FOREIGN_WRITERS = stat.S_IWGRP | stat.S_IWOTH


class NotPrivateError(PermissionError):
    """Somebody else may have written a file: `filename` is what they could write to, `strerror` why."""


def require_private(directory: Path) -> None:
    """Raise NotPrivateError where others own a directory or can write to it, and OSError where it cannot be opened."""
    os.close(_opened(directory))


def read_private(path: Path) -> bytes:
    """The content of a regular file. Raises NotPrivateError where others own it or its directory, or can write to one
    of them, and OSError where it cannot be read."""
    directory = _opened(path.parent)
    try:
        with open_regular(path.name, directory=directory, follow_links=False) as file:
            _require_private(os.fstat(file.fileno()), path)
            return file.read()
    finally:
        os.close(directory)


def _opened(directory: Path) -> int:
    """A descriptor of a directory that is private: what is then opened below it is in no other one."""
    descriptor = os.open(directory, DIRECTORY)
    try:
        _require_private(os.fstat(descriptor), directory)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _require_private(status: os.stat_result, path: Path) -> None:
    if status.st_uid not in (os.geteuid(), 0):
        fault = f"the user with the number {status.st_uid} owns it, not the one that runs this"
    elif status.st_mode & FOREIGN_WRITERS:
        fault = f"others can write to it (mode {stat.S_IMODE(status.st_mode):o}; chmod go-w helps)"
    else:
        return
    raise NotPrivateError(errno.EPERM, fault, str(path))
