"""Reads files that may be anything: regular ones only, no more of them than was asked for, and never waiting."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from vloc_ros.errors import MapError, NoFileError, NoMapError, reason_of
from vloc_ros.files import open_regular

DIRECTORY = os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
ABSENT = {
    errno.ENOENT: "there is no such map directory",
    errno.ENOTDIR: "not a directory",
}


@contextmanager
def opened_directory(path: str) -> Iterator[int]:
    """A descriptor of a directory, for `read_file`: that of the same directory, whatever happens to its path. Raises
    MapError, NoMapError where there is none."""
    try:
        descriptor = os.open(path, DIRECTORY)
    except (OSError, ValueError) as error:  # ValueError: a path with a character that no path has
        if absent := ABSENT.get(getattr(error, "errno", None) or 0):
            raise NoMapError(f"{path}: {absent}") from error
        raise MapError(f"{path}: cannot be read: {reason_of(error)}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_file(where: str, directory: int, name: str, max_bytes: int) -> bytes:
    """Content of the regular file `name`, or of one that it is a link to, in an open directory. Raises MapError for
    anything else, and for more than `max_bytes`; NoFileError where there is none. `where` is the directory's path.

    Kind, size and content are those of one open file, which nobody can exchange in between.
    """
    path = f"{where}/{name}"
    try:
        with open_regular(name, directory=directory) as file:
            size = os.fstat(file.fileno()).st_size
            if size > max_bytes:
                raise MapError(f"{path}: {size} bytes, expected at most {max_bytes}")
            return file.read(size)
    except FileNotFoundError as error:
        raise NoFileError(f"{path}: missing") from error
    except OSError as error:
        raise MapError(f"{path}: {reason_of(error)}") from error
