"""Engines that were built, kept per user as `verified_files` has it, and built by one program at a time."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import BaseFileLock, FileLock, Timeout

from vloc_ros.errors import ModelError, reason_of
from vloc_ros.files import remove_partial
from vloc_ros.inference.verified_files import (
    MISSING,
    cache_root,
    digest,
    make_private_directory,
    read_header,
    read_verified,
    write_verified,
)

ENGINE_SUFFIX, TIMING_SUFFIX, LOCK_FILE = ".engine", ".timing", "build.lock"
RECIPE = 1  # changes with the way engines are built, so that those built the old way are not used any more
WAIT_S = 600.0  # for another program's engine, which takes minutes; one that is stopped holds nobody longer
LOOK_EVERY_S = 1.0  # whether there is an engine meanwhile

Loaded = TypeVar("Loaded")
Say = Callable[[str], None]


@dataclass(frozen=True)
class EngineKey:
    """Everything that an engine depends on. `input_shape`: of all inputs by name, one after the other:
    height, width, channels of a network that takes an image alone."""

    network_sha256: str
    tensorrt: str
    gpu: str
    compute_capability: str
    input_shape: tuple[int, ...]
    max_batch: int
    precision: str
    recipe: int = RECIPE


@dataclass(frozen=True)
class CacheEntry:
    """A file of the cache. `key`: what engine it is; None for a timing cache and for whatever is never used, because of
    its `fault`."""

    path: Path
    size_bytes: int
    key: EngineKey | None
    fault: str = ""

    @property
    def kind(self) -> str:
        """For people: engine, timing cache, or what is wrong with it."""
        return self.fault or ("engine" if self.key else "timing cache")


def cache_directory() -> Path:
    """Where engines lie."""
    return cache_root() / "engines"


class EngineCache:
    """The engines in a directory, which need not exist. What goes wrong with it is said, never raised."""

    def __init__(self, directory: Path, say: Say) -> None:
        self._directory = directory
        self._say = say

    def obtain(
        self, key: EngineKey, load: Callable[[bytes], Loaded], build: Callable[[], bytes], anew: bool = False
    ) -> Loaded:
        """`load` of the engine in the cache or, where there is none that `load` takes, of the one that `build` makes.

        `load` raises ModelError for an engine that it refuses. Of several programs that want to build one does, the
        others wait, for at most WAIT_S. `anew`: build even where there is one. Raises what `build` raises, and `load`
        of its engine.
        """
        path = self.path_of(key)
        seen = _stamp(path)
        if not anew and (loaded := self._load(key, load)) is not None:
            return loaded
        with self._alone(lambda: _stamp(path) != seen):
            changed = _stamp(path) != seen  # by a program that was faster
            if changed and (loaded := self._load(key, load)) is not None:
                return loaded
            engine = build()
            loaded = load(engine)
            self._keep(key, engine)
            return loaded

    def path_of(self, key: EngineKey) -> Path:
        return self._directory / f"{digest(asdict(key))}{ENGINE_SUFFIX}"

    def read_timing(self, key: EngineKey) -> bytes:
        """TensorRT's measurements of an earlier build for the same version and GPU, or nothing."""
        scope = _timing_scope(key)
        content, fault = read_verified(self._timing_path(scope), scope)
        return content if not fault else b""

    def write_timing(self, key: EngineKey, timing: bytes) -> None:
        scope = _timing_scope(key)
        with suppress(OSError):  # it saves time, no more
            write_verified(self._timing_path(scope), scope, timing)

    def entries(self) -> list[CacheEntry]:
        """Every file of the directory but the lock, by name."""
        paths = sorted(self._directory.glob("*")) if self._directory.is_dir() else []
        return [_entry(path) for path in paths if path.name != LOCK_FILE and not path.is_dir()]

    def clean(self, keep: Callable[[CacheEntry], bool]) -> list[CacheEntry]:
        """Remove the files that are not to be kept, and return them, and what writers that were killed have left; waits
        for a program that is building.

        Raises ModelError for a file that cannot be removed.
        """
        if not self._directory.is_dir():
            return []
        with self._alone():
            remove_partial(self._directory)
            unwanted = [entry for entry in self.entries() if not keep(entry)]
            for entry in unwanted:
                try:
                    entry.path.unlink(missing_ok=True)
                except OSError as error:
                    raise ModelError(f"{entry.path}: cannot be removed: {reason_of(error)}") from error
        return unwanted

    def _timing_path(self, scope: Mapping[str, Any]) -> Path:
        return self._directory / f"{digest(scope)}{TIMING_SUFFIX}"

    def _load(self, key: EngineKey, load: Callable[[bytes], Loaded]) -> Loaded | None:
        path = self.path_of(key)
        engine, fault = read_verified(path, asdict(key))
        if fault == MISSING:
            return None
        if not fault:
            try:
                return load(engine)
            except ModelError as error:
                fault = str(error)
        self._say(f"{path}: not used: {fault}")
        return None

    @contextmanager
    def _alone(self, is_there: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """No other program builds meanwhile; without that assurance where the directory cannot be written to, where the
        other one takes more than WAIT_S, and as soon as what is waited for `is_there`."""
        lock = self._locked(is_there)
        try:
            yield
        finally:
            if lock:
                lock.release()

    def _locked(self, is_there: Callable[[], bool]) -> BaseFileLock | None:
        try:
            make_private_directory(self._directory)
            lock = FileLock(self._directory / LOCK_FILE)
            for waited in self._waiting():
                with suppress(Timeout):
                    lock.acquire(timeout=LOOK_EVERY_S if waited else 0)
                    return lock
                if waited and is_there():
                    break
        except (OSError, NotImplementedError):  # of the directory; of a file system without locks
            pass
        return None

    def _waiting(self) -> Iterator[bool]:
        """False at first, then True for as long as waiting makes sense; says when it begins and when it is given up."""
        yield False
        minutes = f"{WAIT_S / 60:g} minutes"
        self._say(f"another program builds an engine in {self._directory}: waiting for it, for at most {minutes}")
        deadline_s = time.monotonic() + WAIT_S
        while time.monotonic() < deadline_s:
            yield True
        self._say(f"the other program has not built it in {minutes}: going on without it (is it stopped?)")

    def _keep(self, key: EngineKey, engine: bytes) -> None:
        try:
            write_verified(self.path_of(key), asdict(key), engine)
        except OSError as error:
            self._say(f"the engine is used but cannot be kept: {self._directory}: {reason_of(error)}")
        else:
            self._say(f"engine kept as {self.path_of(key)}")


def _stamp(path: Path) -> tuple[int, int] | None:
    """Changes with every new content of a file; None without the file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _entry(path: Path) -> CacheEntry:
    header, _, fault = read_header(path)
    size_bytes = 0 if fault == MISSING else path.lstat().st_size
    if fault or path.suffix == TIMING_SUFFIX:
        return CacheEntry(path, size_bytes, None, fault)
    try:
        fields = header["key"]
        return CacheEntry(path, size_bytes, EngineKey(**{**fields, "input_shape": tuple(fields["input_shape"])}))
    except (TypeError, LookupError):
        return CacheEntry(path, size_bytes, None, "damaged")


def _timing_scope(key: EngineKey) -> dict[str, Any]:
    return {"tensorrt": key.tensorrt, "gpu": key.gpu, "compute_capability": key.compute_capability}
