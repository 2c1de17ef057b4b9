"""Files and directories that are written as a whole or not at all, and files that are read without waiting."""

import errno
import os
import shutil
import signal
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from vloc_ros.errors import ConfigError, VlocError, reason_of

# Opening a pipe or a terminal must neither wait for it nor take it over.
READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
PARTIAL_SUFFIX, OLD_SUFFIX = ".partial", ".old"


@contextmanager
def open_regular(path: Path | str, *, directory: int | None = None, follow_links: bool = True) -> Iterator[BinaryIO]:
    """A regular file, open for reading; `path` may be relative to the descriptor of a `directory`. Raises OSError for
    whatever else can be opened, above all for a pipe or a terminal, which would be waited for without end."""
    flags = READ_FLAGS if follow_links else READ_FLAGS | os.O_NOFOLLOW
    descriptor = os.open(path, flags, dir_fd=directory)
    try:
        _require_regular(os.fstat(descriptor), path)
        with open(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def _require_regular(status: os.stat_result, path: Path | str) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, f"{os.strerror(errno.EISDIR)}, not a regular file", str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def write_text(path: Path, text: str, kind: type[VlocError] = ConfigError) -> None:
    """`write_bytes` of a text in UTF-8."""
    write_bytes(path, text.encode(), kind)


def write_bytes(path: Path, content: bytes, kind: type[VlocError] = ConfigError) -> None:
    """Write a file as a whole or not at all. Raises an error of `kind` when it cannot be written."""
    with write_errors(path, kind), atomic_file(path) as file:
        file.write(content)


@contextmanager
def write_errors(
    path: Path, kind: type[VlocError] = ConfigError, also: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """An OSError while `path` is being written, such as that of a full disk, becomes an error of `kind`, in one line;
    and so does an error of the types `also`."""
    kinds: tuple[type[Exception], ...] = (OSError, *also)
    try:
        yield
    except kinds as error:
        raise kind(f"{path}: cannot be written: {reason_of(error)}") from error


@contextmanager
def atomic_file(path: Path, mode: int = 0o666, *, follow_links: bool = True) -> Iterator[BinaryIO]:
    """`atomic_path` of a file with the permissions of `mode`, as far as the user's umask allows them, open to write."""
    with (
        atomic_path(path, follow_links=follow_links) as partial,
        open(partial, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file,
    ):
        yield file


@contextmanager
def atomic_path(path: Path, *, follow_links: bool = True) -> Iterator[Path]:
    """Where to make a file or a directory, which is flushed to the disk and takes the place of `path` at the end.

    Whatever goes wrong, `path` stays as it was and nothing else is left. Its folder is made where there is none. A link
    stays, what it points to is replaced; unless links are not followed. Raises OSError.
    """
    target = Path(os.path.realpath(path)) if follow_links else path
    with suppress(FileNotFoundError):
        if not target.is_dir():
            _require_regular(target.stat(), path)
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=PARTIAL_SUFFIX, dir=target.parent))
    try:
        partial = folder / target.name  # for what is named after its directory, as the files of a bag are
        yield partial
        _flush(partial)
        if partial.is_dir() and target.is_dir():
            _exchange(target, partial, folder.with_suffix(OLD_SUFFIX))
        else:
            partial.rename(target)
        _flush_directory(target.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_partial(directory: Path) -> None:
    """Remove what writers that were killed have left in a directory, where nobody writes meanwhile."""
    for folder in directory.glob(f".*{PARTIAL_SUFFIX}"):
        shutil.rmtree(folder, ignore_errors=True)


def is_left_over(name: str) -> bool:
    """Whether a file or directory is called like what writers that were killed leave beside what they wrote."""
    return name.startswith(".") and name.endswith((PARTIAL_SUFFIX, OLD_SUFFIX))


def _exchange(target: Path, new: Path, old: Path) -> None:
    """Put the directory `new` in the place of `target`, whose content is removed when `new` is there."""
    shutil.copymode(target, new)
    target.rename(old)
    try:
        new.rename(target)
    except BaseException:
        old.rename(target)
        raise
    with suppress(OSError):
        old.chmod(0o700)  # else what is in a directory that nobody may write to could not be removed
    shutil.rmtree(old, ignore_errors=True)


def _flush(path: Path) -> None:
    """A file, or a directory with all that is in it."""
    if path.is_dir():
        for entry in path.iterdir():
            _flush(entry)
        _flush_directory(path)
    else:
        _fsync(path)


def _flush_directory(path: Path) -> None:
    with suppress(OSError):  # some network file systems cannot
        _fsync(path)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C does nothing meanwhile: for what takes moments and must not be left half done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
