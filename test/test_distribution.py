"""What is released: the sdist and the wheel that is built of it, without network and from this check-out."""

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path, PurePosixPath

import pytest
from support import ROOT
from support.documented_tables import code_in, table_below

MUST_BE_BELOW_BYTES = 10_000_000
SHARED = ("launch", "config", "maps", "ros_overlay")
NOT_PART_OF_IT = {"out", "build", "dist", "install", "log", "docs", "findings"}  # what tools leave behind, and pages
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"


@dataclass(frozen=True)
class Built:
    """The two files, and the names of what is in them, below the sdist's own folder."""

    sdist: Path
    wheel: Path
    in_sdist: frozenset[str]
    in_wheel: frozenset[str]

    def text(self, name: str) -> str:
        """Of a file of the wheel's metadata."""
        with zipfile.ZipFile(self.wheel) as wheel:
            (found,) = (member for member in wheel.namelist() if member.endswith(f".dist-info/{name}"))
            return wheel.read(found).decode()

    @property
    def metadata(self) -> Message:
        return Parser().parsestr(self.text("METADATA"))


def ignored(folder: str, names: list[str]) -> set[str]:
    """Which files of a folder are not copied."""
    left = {name for name in names if name.startswith(".") or name.endswith(".egg-info") or name == "__pycache__"}
    return left | (NOT_PART_OF_IT & set(names) if Path(folder) == ROOT else set())


def run(tree: Path, hook: str, into: Path) -> Path:
    """A file that setuptools makes of a source tree, which is not the check-out."""
    done = subprocess.run([sys.executable, "-c", BUILD, hook, str(into)], cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return into / done.stdout.splitlines()[-1]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The wheel comes from the unpacked sdist, so that the sdist has all that is needed for it."""
    folder = tmp_path_factory.mktemp("release")
    tree = shutil.copytree(ROOT, folder / "tree", ignore=ignored)
    sdist = run(tree, "build_sdist", folder)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
        in_sdist = frozenset(member.name.partition("/")[2] for member in archive if member.isfile())
    wheel = run(folder / sdist.name.removesuffix(".tar.gz"), "build_wheel", folder)
    with zipfile.ZipFile(wheel) as archive_of_wheel:
        return Built(sdist, wheel, in_sdist, frozenset(archive_of_wheel.namelist()))


@pytest.fixture(scope="session")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that pip has put the wheel into, without what it depends on."""
    target = tmp_path_factory.mktemp("installed")
    options = ["--no-index", "--no-deps", "--no-compile", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(built.wheel)], check=True
    )
    return target


def tracked(folder: str) -> Iterator[str]:
    """Files of the check-out below a folder, but for what Python leaves there."""
    for path in sorted((ROOT / folder).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(ROOT).as_posix()


def test_the_wheel_has_the_whole_package_and_nothing_else_that_can_be_imported(built: Built) -> None:
    modules = {name for name in built.in_wheel if name.startswith("vloc_ros/")}
    assert modules == set(tracked("vloc_ros"))
    others = {PurePosixPath(name).parts[0] for name in built.in_wheel - modules}
    assert all(re.fullmatch(r"vloc_ros-[^/]+\.(data|dist-info)", other) for other in others)


@pytest.mark.parametrize("folder", SHARED)
def test_maps_configuration_and_overlay_are_in_both(built: Built, folder: str) -> None:
    files = set(tracked(folder))
    share = f"{built.wheel.name.removesuffix('-py3-none-any.whl')}.data/data/share/vloc_ros/"
    assert {f"{share}{name}" for name in files} <= built.in_wheel
    assert files <= built.in_sdist


def test_the_sdist_has_what_a_release_needs_and_no_tests(built: Built) -> None:
    needed = {
        "LICENSE",
        "README.md",
        "CHANGELOG.rst",
        "package.xml",
        "setup.py",
        "setup.cfg",
        "pyproject.toml",
        "resource/vloc_ros",
    }
    assert needed <= built.in_sdist
    folders = {name.partition("/")[0] for name in built.in_sdist if "/" in name}
    assert folders <= {"vloc_ros", "vloc_ros.egg-info", "resource", "requirements", *SHARED}


def test_neither_is_large(built: Built) -> None:
    assert built.wheel.stat().st_size < MUST_BE_BELOW_BYTES
    assert built.sdist.stat().st_size < MUST_BE_BELOW_BYTES


def test_programs_are_those_that_ros2_run_knows(built: Built) -> None:
    programs = re.findall(r"^(\w+) = ", built.text("entry_points.txt"), re.MULTILINE)
    assert sorted(programs) == ["localization", "map_server", "recorder", "relocalizer", "vloc"]


def test_extras_and_licence_are_in_the_metadata(built: Built) -> None:
    metadata = built.metadata
    documented = table_below("Install it", ROOT / "docs/howto/install.md")
    assert set(metadata.get_all("Provides-Extra", [])) == {code_in(row["extra"])[0] for row in documented}
    assert metadata["Requires-Python"] == ">=3.10"
    assert any(re.search(r"\.dist-info/.*\bLICENSE$", name) for name in built.in_wheel)
    assert "Apache-2.0" in (metadata["License"] or metadata["License-Expression"])
    plain = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert not any(re.match(r"(ros-|torch|rosbags|scipy)", line) for line in plain)  # a robot does without


def test_the_extra_ros_is_the_pinned_set(built: Built) -> None:
    pins = set(re.findall(r"^[\w-]+==[\w.]+", (ROOT / "requirements/ros.txt").read_text(), re.MULTILINE))
    lines = [line for line in built.metadata.get_all("Requires-Dist", []) if re.search(r"extra == .ros\b", line)]
    assert {line.partition(";")[0].strip().replace("_", "-") for line in lines} == {
        pin.replace("_", "-") for pin in pins
    }
    assert all("x86_64" in line for line in lines)


def test_the_installed_wheel_finds_its_maps_and_runs(installed: Path) -> None:
    say = (
        "from vloc_ros import cli; from vloc_ros.maps import read_map; from vloc_ros.shipped import shipped; "
        "print(cli.__file__); print(shipped('maps/demo_room')); print(read_map(shipped('maps/demo_floors')).map_id)"
    )
    done = subprocess.run(
        [sys.executable, "-c", say], env={"PYTHONPATH": str(installed)}, cwd=installed, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    module, room, map_id = done.stdout.splitlines()
    assert Path(module).is_relative_to(installed)
    assert Path(room) == installed / "share/vloc_ros/maps/demo_room"
    assert len(map_id) == 12
