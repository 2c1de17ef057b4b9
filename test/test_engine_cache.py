"""The cache of engines: what is not exactly right is built anew, two build once, a bad disk costs time and no more."""

import errno
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from support.tensorrt_scenes import Said

from vloc_ros.errors import ModelError
from vloc_ros.inference import engine_cache
from vloc_ros.inference.engine_cache import LOCK_FILE, CacheEntry, EngineCache, EngineKey, cache_directory

KEY = EngineKey("a" * 64, "10.3.0", "Some GPU", "8.7", (480, 640, 3), 1, "float16")
ENGINE = bytes(range(256)) * 20


def load(engine: bytes) -> bytes:
    return engine


def never() -> bytes:
    raise AssertionError("built although there is an engine")


def test_an_engine_is_built_once(tmp_path: Path) -> None:
    said = Said()
    cache = EngineCache(tmp_path / "not" / "yet", said.append)
    assert cache.obtain(KEY, load, lambda: ENGINE) == ENGINE
    assert "engine kept as" in said.text
    assert EngineCache(tmp_path / "not" / "yet", said.append).obtain(KEY, load, never) == ENGINE
    assert len(said) == 1
    assert cache.path_of(KEY).stat().st_mode & 0o077 == 0
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize(
    "change",
    [
        {"network_sha256": "b" * 64},
        {"tensorrt": "10.3.1"},
        {"gpu": "Other GPU"},
        {"compute_capability": "9.0"},
        {"input_shape": (240, 320, 3)},
        {"max_batch": 2},
        {"precision": "float32"},
        {"recipe": 0},
    ],
)
def test_everything_in_the_key_counts(tmp_path: Path, change: dict[str, object]) -> None:
    said = Said()
    cache = EngineCache(tmp_path, said.append)
    other = replace(KEY, **change)  # type: ignore[arg-type]
    cache.obtain(KEY, load, lambda: ENGINE)
    assert cache.obtain(other, load, lambda: b"other") == b"other"
    cache.path_of(other).write_bytes(cache.path_of(KEY).read_bytes())  # somebody moves it to another's place
    assert cache.obtain(other, load, lambda: b"anew") == b"anew"
    assert "made for something else" in said.text


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "half written": lambda content: content[: len(content) // 2],
    "half a header": lambda content: content[:30],
    "one bit": lambda content: content[:-100] + bytes([content[-100] ^ 1]) + content[-99:],
    "longer": lambda content: content + b"x",
    "not ours": lambda content: os.urandom(1000),
    "another JSON": lambda content: b"[1, 2]\n" + content,
    "no hash": lambda content: json.dumps({"key": json.loads(content.split(b"\n")[0])["key"]}).encode() + b"\n",
}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_a_damaged_engine_is_built_anew_and_never_loaded(tmp_path: Path, damage: str) -> None:
    said = Said()
    cache = EngineCache(tmp_path, said.append)
    cache.obtain(KEY, load, lambda: ENGINE)
    path = cache.path_of(KEY)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    loaded: list[bytes] = []
    cache.obtain(KEY, lambda engine: loaded.append(engine) or engine, lambda: b"anew")  # type: ignore[func-returns-value]
    assert loaded == [b"anew"]
    assert f"{path}: not used: " in said.text
    assert cache.obtain(KEY, load, never) == b"anew"


def test_an_engine_that_is_refused_is_built_anew(tmp_path: Path) -> None:
    def refusing(engine: bytes) -> bytes:
        if engine == ENGINE:
            raise ModelError("contains host code")
        return engine

    said = Said()
    cache = EngineCache(tmp_path, said.append)
    cache.obtain(KEY, load, lambda: ENGINE)
    assert cache.obtain(KEY, refusing, lambda: b"anew") == b"anew"
    assert "not used: contains host code" in said.text
    with pytest.raises(ModelError, match="host code"):
        cache.obtain(replace(KEY, precision="float32"), refusing, lambda: ENGINE)
    assert len(cache.entries()) == 1  # what is refused is not kept either


def test_building_anew_on_request(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path, Said().append)
    cache.obtain(KEY, load, lambda: ENGINE)
    assert cache.obtain(KEY, load, lambda: b"anew", anew=True) == b"anew"
    assert cache.obtain(KEY, load, never) == b"anew"


def test_two_that_start_at_once_build_once(tmp_path: Path) -> None:
    building, go_on, said = threading.Event(), threading.Event(), Said()
    results = []

    def build() -> bytes:
        building.set()
        assert go_on.wait(60)
        return ENGINE

    def say(line: str) -> None:
        said.append(line)
        go_on.set()  # the second is waiting now

    first = threading.Thread(
        target=lambda: results.append(EngineCache(tmp_path, Said().append).obtain(KEY, load, build))
    )
    first.start()
    assert building.wait(60)
    results.append(EngineCache(tmp_path, say).obtain(KEY, load, never))
    first.join()
    assert results == [ENGINE, ENGINE]
    assert said == [f"another program builds an engine in {tmp_path}: waiting for it, for at most 10 minutes"]


@pytest.fixture
def stopped_builder(tmp_path: Path) -> Iterator[None]:
    """Somebody holds the lock and never builds anything."""
    with FileLock(tmp_path / LOCK_FILE):
        yield


@pytest.mark.usefixtures("stopped_builder")
def test_a_builder_that_is_stopped_holds_nobody_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_cache, "WAIT_S", 0.3)
    monkeypatch.setattr(engine_cache, "LOOK_EVERY_S", 0.05)
    said = Said()
    assert EngineCache(tmp_path, said.append).obtain(KEY, load, lambda: ENGINE) == ENGINE
    assert "going on without it" in said[1]
    assert EngineCache(tmp_path, said.append).obtain(KEY, load, never) == ENGINE  # the next start need not wait again
    assert len(said) == 3


@pytest.mark.usefixtures("stopped_builder")
def test_an_engine_that_a_third_program_built_ends_the_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_cache, "LOOK_EVERY_S", 0.05)
    made = EngineCache(tmp_path / "elsewhere", Said().append)
    made.obtain(KEY, load, lambda: ENGINE)
    cache = EngineCache(tmp_path, lambda line: os.rename(made.path_of(KEY), cache.path_of(KEY)))
    assert cache.obtain(KEY, load, never) == ENGINE


def give_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it somebody else's: really where this user may, else by being somebody else."""
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:
        monkeypatch.setattr("os.geteuid", lambda: 12345)


@pytest.mark.parametrize("whose", ["directory", "file"])
@pytest.mark.parametrize("fault", ["belongs to somebody else", "others can write"])
def test_what_others_may_have_written_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whose: str, fault: str
) -> None:
    said = Said()
    cache = EngineCache(tmp_path, said.append)
    cache.obtain(KEY, load, lambda: ENGINE)
    cache.write_timing(KEY, b"measured")
    for path in [tmp_path] if whose == "directory" else list(tmp_path.glob("*.*")):
        if fault == "others can write":
            path.chmod(0o770 if whose == "directory" else 0o660)
        else:
            give_away(path, monkeypatch)
    before = {path: path.stat() for path in tmp_path.iterdir()}
    assert cache.obtain(KEY, load, lambda: b"mine") == b"mine"
    assert cache.read_timing(KEY) == b""
    assert f"{cache.path_of(KEY)}: not used: not trusted: " in said.text
    assert ("chmod go-w" if fault == "others can write" else "owns it") in said.text
    if whose == "directory":
        assert f"cannot be kept: {tmp_path}: " in said[-1]
        assert {path: path.stat() for path in tmp_path.iterdir()} == before
        assert all(entry.kind.startswith("not trusted") for entry in cache.entries())
    else:
        assert cache.obtain(KEY, load, never) == b"mine"  # it stands in the place of the other's


@pytest.mark.parametrize("kind", ["fifo", "link", "directory"])
def test_what_is_no_file_is_neither_waited_for_nor_followed(tmp_path: Path, kind: str) -> None:
    said = Said()
    cache = EngineCache(tmp_path / "engines", said.append)
    cache.obtain(KEY, load, lambda: ENGINE)
    path = cache.path_of(KEY)
    path.rename(tmp_path / "elsewhere")
    if kind == "fifo":
        os.mkfifo(path, 0o600)
    elif kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.mkdir(0o700)
    assert cache.obtain(KEY, load, lambda: b"mine") == b"mine"
    assert f"{path}: not used: cannot be read: " in said.text
    assert all(entry.fault for entry in cache.entries() if entry.key != KEY)
    assert (tmp_path / "elsewhere").read_bytes().endswith(ENGINE)


def test_a_build_that_fails_leaves_nothing_and_frees_the_lock(tmp_path: Path) -> None:
    def failing() -> bytes:
        raise ModelError("no")

    cache = EngineCache(tmp_path, Said().append)
    for error in (ModelError, ModelError):
        with pytest.raises(error):
            cache.obtain(KEY, load, failing)
    assert cache.entries() == []
    assert cache.obtain(KEY, load, lambda: ENGINE) == ENGINE


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = Said()
    assert EngineCache(tmp_path / "file" / "engines", said.append).obtain(KEY, load, lambda: ENGINE) == ENGINE
    assert len(said) == 1
    assert "is used but cannot be kept" in said.text
    assert "Not a directory" in said.text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_is_read_only(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    said = Said()
    assert EngineCache(tmp_path, said.append).obtain(KEY, load, lambda: ENGINE) == ENGINE
    assert "Permission denied" in said.text


@pytest.mark.parametrize(
    ("call", "number"), [("vloc_ros.inference.engine_cache.FileLock.acquire", errno.EROFS), ("os.fsync", errno.ENOSPC)]
)
def test_a_disk_that_is_read_only_or_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.fsync", failing)
    monkeypatch.setattr(call, failing)
    said = Said()
    cache = EngineCache(tmp_path, said.append)
    assert cache.obtain(KEY, load, lambda: ENGINE) == ENGINE
    assert len(said) == 1
    assert os.strerror(number if call == "os.fsync" else errno.EROFS) in said.text
    assert cache.entries() == []


def test_what_is_listed_and_what_is_cleaned(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path, Said().append)
    assert cache.entries() == cache.clean(lambda entry: False) == []
    other = replace(KEY, gpu="Other GPU")
    for key in (KEY, other):
        cache.obtain(key, load, lambda: ENGINE)
    cache.write_timing(KEY, b"measured")
    (tmp_path / "old.partial").write_bytes(b"half")
    kinds = {entry.path.suffix: entry.kind for entry in cache.entries()}
    assert kinds == {".engine": "engine", ".timing": "timing cache", ".partial": "damaged"}

    def usable(entry: CacheEntry) -> bool:
        return entry.kind == "timing cache" or entry.key == KEY

    assert {entry.key for entry in cache.clean(usable)} == {None, other}
    assert cache.obtain(KEY, load, never) == ENGINE
    assert cache.read_timing(KEY) == b"measured"
    assert len(cache.clean(lambda entry: False)) == 2


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VLOC_CACHE_DIR", str(tmp_path))
    assert cache_directory() == tmp_path / "engines"
    monkeypatch.delenv("VLOC_CACHE_DIR")
    assert cache_directory().parts[-2:] == ("vloc_ros", "engines")
