"""Files that are there completely or not at all: written beside their place, flushed, renamed; and what is no file."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from vloc_ros.errors import ConfigError, VlocError


def require_regular(path: Path) -> None:
    """Raise OSError for what is no file but can be opened: a pipe or a terminal would be waited for without an end."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of a text in UTF-8."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file at once. Raises ConfigError when it cannot be written."""
    with replacing(path) as file:
        file.write(content)


@contextmanager
def replacing(path: Path, kind: type[VlocError] = ConfigError) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of `path` at the end. Whatever goes wrong, `path` stays as it was and
    nothing else is left; an OSError, such as that of a full disk, becomes one of `kind` that names the file."""
    with telling(path, kind):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            partial = Path(folder) / path.name
            with partial.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)


@contextmanager
def telling(path: Path, kind: type[VlocError] = ConfigError) -> Iterator[None]:
    """An OSError while `path` is being written becomes an error of `kind`, in one line."""
    try:
        yield
    except OSError as error:
        raise kind(f"{path}: cannot be written: {error.strerror or error}") from error
