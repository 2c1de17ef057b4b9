"""`vloc map --workers`: places are mapped one by one, what fails is told when all others are done, and resumed."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support import ROOT
from support.building_scenes import place_map, write_place
from support.map_scenes import Told

from vloc_ros.cli import main
from vloc_ros.errors import ConfigError, DatasetError, MapError, VlocError
from vloc_ros.maps import read_map
from vloc_ros.maps.building import read_building
from vloc_ros.maps.names import PLACES
from vloc_ros.tasks import Done, Engine
from vloc_ros.training import building
from vloc_ros.training.building import MappedPlace, map_building
from vloc_ros.training.map_options import MapOptions
from vloc_ros.training.pram.options import PRAMOptions
from vloc_ros.training.stages.stage_records import content_of


class Here(Engine):
    """Runs tasks in this process."""

    @contextmanager
    def opened(self) -> Iterator[Any]:
        yield self

    def run(self, function: Callable[[Any], Any], items: Mapping[str, Any]) -> Iterator[Done[Any]]:
        for name, item in items.items():
            try:
                yield Done(name, function(item))
            except VlocError as error:
                yield Done(name, None, str(error))


@pytest.fixture
def house(tmp_path: Path) -> Path:
    listed = tmp_path / "house.yaml"
    listed.write_text("- {name: hall, dataset: folder, root: hall}\n- {name: attic, dataset: tum, root: attic}\n")
    return listed


def options_of(root: Path, **changes: Any) -> MapOptions:
    values = {"dataset": "joined", "root": root, "split": "train", "method": PRAMOptions(), **changes}
    return MapOptions(out=root.parent / "house", workdir=root.parent / "work", **values)


def mapping(monkeypatch: pytest.MonkeyPatch, broken: str = "") -> list[MapOptions]:
    """Map places without looking at images; what they were told."""
    told: list[MapOptions] = []

    def mapped(options: MapOptions) -> MappedPlace:
        told.append(options)
        name = options.out.name
        if name == broken:
            raise DatasetError(f"{name}: no images")
        write_place(options.out.parents[1], name, place_map(name, seed=len(name)))
        return MappedPlace(3.0, True)

    monkeypatch.setattr(building, "map_place", mapped)
    return told


def test_a_map_that_was_changed_or_is_of_another_run_stays(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told, said = mapping(monkeypatch), Told()
    map_building(options_of(house), Here(), said)
    assert [each.out.name for each in told] == ["hall", "attic"]
    map_building(options_of(house), Here(), said)  # as if each had been aligned: no work directory knows them
    assert [each.out.name for each in told] == ["hall", "attic"]
    assert any(
        "attic: its map was not made by this run, or was changed since, and stays" in line for line in said.lines
    )
    with pytest.raises(ConfigError, match="--fresh: place hall has a map already; --overwrite replaces it"):
        map_building(options_of(house, fresh=True), Here())
    map_building(options_of(house), Here(), overwrite=True)
    assert [each.out.name for each in told] == ["hall", "attic", "hall", "attic"]
    maps = house.parent / "house" / PLACES
    monkeypatch.setattr(building, "written_map", lambda workdir: content_of(maps / workdir.name / "map.yaml"))
    map_building(options_of(house), Here())  # their own run looks after them
    assert len(told) == 6


def test_every_place_is_mapped_as_if_it_were_alone(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told, said = mapping(monkeypatch), Told()
    map_building(options_of(house, frame_id="world"), Here(), said)
    assert [(each.dataset, each.root, each.frame_id) for each in told] == [
        ("folder", house.parent / "hall", "world_hall"),
        ("tum", house.parent / "attic", "world_attic"),
    ]
    assert [each.workdir for each in told] == [house.parent / "work" / name for name in ("hall", "attic")]
    assert read_building(house.parent / "house").landmark_map.manifest.place_names == ("hall", "attic")
    assert any("hall: mapped in 3 s of a core" in line for line in said.lines)


def test_what_fails_is_told_once_the_others_are_mapped(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mapping(monkeypatch, broken="hall")
    with pytest.raises(ConfigError, match="place hall of 2 could not be mapped: hall: no images"):
        map_building(options_of(house), Here())
    assert (house.parent / "house" / PLACES / "attic" / "map.yaml").exists()
    mapping(monkeypatch)
    map_building(options_of(house), Here())
    assert len(read_building(house.parent / "house").places) == 2


def test_a_place_that_fails_leaves_a_building_that_can_be_used(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although the maps of others are new."""
    out = house.parent / "house"
    mapping(monkeypatch)
    map_building(options_of(house), Here())
    before = read_building(out)

    def mapped_anew(options: MapOptions) -> MappedPlace:
        if options.out.name == "hall":
            raise DatasetError("hall: no images")
        write_place(out, "attic", place_map("attic", seed=77))
        return MappedPlace(3.0, True)

    monkeypatch.setattr(building, "map_place", mapped_anew)
    with pytest.raises(ConfigError, match="place hall of 2 could not be mapped: hall: no images"):
        map_building(options_of(house), Here(), overwrite=True)
    after = read_building(out)
    assert list(after.places) == ["hall", "attic"]
    assert [after.places[name] == before.places[name] for name in after.places] == [True, False]
    for name in after.places:
        after.read_place(name)
    shutil.rmtree(out / PLACES / "hall")
    monkeypatch.setattr(building, "write_building", lambda *_: pytest.fail("nothing has changed"))
    mapping(monkeypatch, broken="hall")
    with pytest.raises(ConfigError, match="place hall of 1 could not be mapped: hall: no images"):
        map_building(options_of(house), Here())
    monkeypatch.undo()
    mapping(monkeypatch, broken="hall")
    with pytest.raises(ConfigError, match="place hall of 2 could not be mapped: hall: no images"):
        map_building(options_of(house), Here(), overwrite=True)
    assert list(read_building(out).places) == ["attic"]


def test_a_run_that_is_interrupted_leaves_a_building_that_can_be_used(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the maps of some places are new."""
    out = house.parent / "house"
    mapping(monkeypatch)
    map_building(options_of(house), Here())

    def interrupted(options: MapOptions) -> MappedPlace:
        if options.out.name == "attic":
            raise KeyboardInterrupt
        write_place(out, "hall", place_map("hall", seed=77))
        return MappedPlace(3.0, True)

    monkeypatch.setattr(building, "map_place", interrupted)
    with pytest.raises(KeyboardInterrupt):
        map_building(options_of(house), Here(), overwrite=True)
    after = read_building(out)
    assert [after.read_place(name).map_id for name in after.places] == [
        read_map(out / PLACES / name).map_id for name in ("hall", "attic")
    ]


def cut_short(folder: Path) -> None:
    array = folder / "words.npy"
    array.write_bytes(array.read_bytes()[:-1])


def lost(folder: Path) -> None:
    (folder / "overview.npz").unlink()


def of_another_kind(folder: Path) -> None:
    (folder / "starts.npy").unlink()
    (folder / "starts.npy").mkdir()


def a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.touch()


def without_building_json(folder: Path) -> None:
    """As after a kill, or on a disk that is full, between the one and the other."""
    (folder.parent / "building.json").unlink()
    for name in (f".{folder.name}.abc.partial", f".{folder.name}.abc.old", ".building.json.xyz.partial"):
        (folder.parent / name).mkdir()


@pytest.mark.parametrize("spoil", [cut_short, lost, of_another_kind, a_file, shutil.rmtree, without_building_json])
def test_the_same_command_mends_what_tells_places_apart(
    house: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], None]
) -> None:
    out = house.parent / "house"
    mapping(monkeypatch)
    map_building(options_of(house), Here())
    before = read_building(out)
    (folder,) = out.glob("recognition-*")
    spoil(folder)
    with pytest.raises(MapError):
        read_building(out)
    map_building(options_of(house), Here())
    assert read_building(out).map_id == before.map_id


def test_a_worker_without_a_package_says_which_in_one_line() -> None:
    program = """
import sys
sys.modules["scipy"] = None
from vloc_ros.training.building import map_place
from vloc_ros.errors import ConfigError
try:
    map_place(None)
except ConfigError as error:
    print(error)
"""
    said = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT
    ).stdout
    assert said.startswith("making maps needs the Python package 'scipy")


def test_a_directory_of_something_else_stays_as_it_is(house: Path) -> None:
    (house.parent / "house").mkdir()
    (house.parent / "house" / "letters").touch()
    with pytest.raises(ConfigError, match="is no building"):
        map_building(options_of(house), Here())
    shutil.rmtree(house.parent / "house")
    (house.parent / "house").touch()
    with pytest.raises(MapError, match="house: Not a directory"):
        map_building(options_of(house), Here())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dataset", "folder"], "tasks are the places of the data set joined"),
        (["--dataset", "joined", "--method", "vsnet"], "maps of pram have"),
        (["--dataset", "joined", "--until", "geometry"], "--until geometry: has no effect"),
        (["--dataset", "joined", "--scheduler", "tcp://a:1"], "has its own"),
    ],
)
def test_options_that_make_no_building(
    house: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    out = str(house.parent / "out")
    assert main(["map", *arguments, "--root", str(house), "--out", out, "--workers", "1"]) == 1
    assert words in capsys.readouterr().err
