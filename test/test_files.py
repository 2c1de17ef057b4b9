"""Files and directories that are written as a whole or not at all; files that are read without waiting."""

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from vloc_ros.errors import ConfigError, ModelError, VlocError, reason_of
from vloc_ros.files import atomic_file, atomic_path, open_regular, remove_partial, write_errors, write_text

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def raising(error: BaseException) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def make_file(path: Path, content: str, fault: Callable[[], object] = lambda: None) -> None:
    with write_errors(path), atomic_file(path) as file:
        file.write(content.encode())
        fault()


def make_directory(path: Path, content: str, fault: Callable[[], object] = lambda: None) -> None:
    with write_errors(path), atomic_path(path) as partial:
        partial.mkdir()
        (partial / "one").write_text(content)
        (partial / "below").mkdir()
        (partial / "below" / f"only in {content}").write_text(content)
        fault()


def state(path: Path) -> dict[str, str | None]:
    """All that there is below a directory."""
    return {str(p.relative_to(path)): p.read_text() if p.is_file() else None for p in path.rglob("*")}


MAKERS = pytest.mark.parametrize("make", [make_file, make_directory])
FAULTS = [ZeroDivisionError(), KeyboardInterrupt(), SystemExit(), FULL]


@MAKERS
def test_what_is_there_is_replaced_as_a_whole(tmp_path: Path, make: Callable[..., None]) -> None:
    path = tmp_path / "deep" / "thing.x"
    make(path, "first")
    before = state(tmp_path)
    make(path, "second")
    assert {str(name).replace("first", "second"): text and "second" for name, text in before.items()} == state(tmp_path)


@MAKERS
@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("existing", [True, False])
def test_a_fault_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, make: Callable[..., None], error: BaseException, existing: bool
) -> None:
    path = tmp_path / "thing.x"
    if existing:
        make(path, "first")
    before = state(tmp_path)
    with pytest.raises((ConfigError, type(error))):
        make(path, "second", raising(error))
    assert state(tmp_path) == before


@MAKERS
@pytest.mark.parametrize("function", ["fsync", "rename", "mkdir"])
@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()], ids=["full", "interrupted"])
def test_a_fault_of_any_call_to_the_system_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[..., None], function: str, error: BaseException
) -> None:
    path, real = tmp_path / "thing.x", getattr(os, function)
    make(path, "second")
    new = state(tmp_path)
    for faulty in range(6):
        make(path, "first")
        old, calls = state(tmp_path), count()

        def call(*arguments: object, calls: "count[int]" = calls, faulty: int = faulty, **more: object) -> object:
            if next(calls) == faulty:
                raise error
            return real(*arguments, **more)

        with monkeypatch.context() as patch:
            patch.setattr(os, function, call)
            done = True
            try:
                make(path, "second")
            except (ConfigError, KeyboardInterrupt):
                done = False
        assert state(tmp_path) == new if done else state(tmp_path) in (old, new)


@pytest.mark.parametrize("kind", [ConfigError, ModelError])
def test_an_error_of_the_system_is_one_line_of_the_kind_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[VlocError]
) -> None:
    path = tmp_path / "deep" / "scene.npz"
    write_text(path, "first")
    monkeypatch.setattr("vloc_ros.files.os.fsync", raising(FULL))
    with (
        pytest.raises(kind, match=r"scene\.npz: cannot be written: No space left on device$"),
        write_errors(path, kind),
        atomic_file(path),
    ):
        pass
    assert state(path.parent) == {"scene.npz": "first"}


def test_errors_of_libraries_are_told_when_they_are_named(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"bag: cannot be written: disk full$"),
        write_errors(tmp_path / "bag", also=(LookupError,)),
    ):
        raise LookupError("disk full\nand much more")
    with pytest.raises(LookupError), write_errors(tmp_path / "bag"):
        raise LookupError("a fault of ours")


def test_modes_are_the_usual_or_the_one_asked_for(tmp_path: Path) -> None:
    (tmp_path / "usual").write_text("")
    (tmp_path / "usual_directory").mkdir()
    write_text(tmp_path / "ours", "")
    make_directory(tmp_path / "our_directory", "x")
    with atomic_file(tmp_path / "private", 0o600):
        pass
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode
    assert (tmp_path / "our_directory").stat().st_mode == (tmp_path / "usual_directory").stat().st_mode
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600


@MAKERS
def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path, make: Callable[..., None]) -> None:
    make(tmp_path / "real", "first")
    (tmp_path / "link").symlink_to("real")
    make(tmp_path / "link", "second")
    assert (tmp_path / "link").is_symlink()
    assert "second" in state(tmp_path / "real").values() or (tmp_path / "real").read_text() == "second"


def test_a_link_is_replaced_where_links_are_not_followed(tmp_path: Path) -> None:
    make_file(tmp_path / "real", "first")
    (tmp_path / "link").symlink_to("real")
    with atomic_file(tmp_path / "link", follow_links=False) as file:
        file.write(b"second")
    assert not (tmp_path / "link").is_symlink()
    assert state(tmp_path) == {"link": "second", "real": "first"}


def test_only_like_replaces_like(tmp_path: Path) -> None:
    make_directory(tmp_path / "directory", "first")
    make_file(tmp_path / "file", "first")
    os.mkfifo(tmp_path / "pipe")  # or a terminal, or /dev/null, which a file must not take the place of
    before = sorted(state(tmp_path))
    for make, name, why in (
        (make_file, "directory", "Is a directory"),
        (make_directory, "file", "Not a directory"),
        (make_file, "pipe", "not a regular file"),
        (make_directory, "pipe", "not a regular file"),
        (make_file, "file/below", "Not a directory|File exists"),
    ):
        with pytest.raises(ConfigError, match=f"{name}: cannot be written: ({why})$"):
            make(tmp_path / name, "second")
    assert sorted(state(tmp_path)) == before
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_directory_that_nobody_may_write_to_is_replaced_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    target = tmp_path / "map"
    make_directory(target, "old")
    (target / "below").chmod(0o755)
    target.chmod(0o555)
    make_directory(target, "new")
    assert list(tmp_path.iterdir()) == [target]
    assert (target / "one").read_text() == "new"
    assert not (target / "below" / "only in old").exists()
    assert stat.S_IMODE(target.stat().st_mode) == 0o555
    target.chmod(0o755)


def test_what_killed_writers_leave_can_be_removed(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from vloc_ros.files import atomic_file\n"
        "with atomic_file(Path(sys.argv[1])) as file: file.write(b'half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    write_text(tmp_path / "file", "first")
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "file")], check=False)
    assert len(list(tmp_path.iterdir())) == 2
    remove_partial(tmp_path)
    assert state(tmp_path) == {"file": "first"}


def test_only_regular_files_are_read_and_nothing_is_waited_for(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "content")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    with open_regular(tmp_path / "link") as file:
        assert file.read() == b"content"
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with open_regular("file", directory=descriptor) as file:
        assert file.read() == b"content"
    os.close(descriptor)
    for name, follow, why in (
        ("pipe", True, "not a regular file"),
        ("", True, "Is a directory"),
        ("absent", True, "No such file"),
        ("link", False, "symbolic link"),
    ):
        with pytest.raises(OSError, match=why), open_regular(tmp_path / name, follow_links=follow):
            pass
    with pytest.raises(OSError, match="not a regular file"), open_regular("/dev/null"):
        pass


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FULL, "No space left on device"),
        (OSError("of a library"), "of a library"),
        (ValueError("first\nsecond"), "first"),
        (ValueError(""), "ValueError"),
        (KeyError("name"), "'name'"),
    ],
)
def test_the_reason_of_an_error_is_one_line(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason
