"""`vloc align` of one place of a building: its map and building.json say the same, and nothing else changes."""

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.building_scenes import STEP, WALL_PLACES, wall_frame, write_wall_places
from test_align import TRUE, write_folder

from vloc_ros.cli import main
from vloc_ros.core.places import in_map_frame, map_from_place
from vloc_ros.core.types import PoseEstimate
from vloc_ros.errors import MapError
from vloc_ros.geometry.pose_error import pose_error
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.localizer import load_localizer
from vloc_ros.maps import read_map, read_stored
from vloc_ros.maps.building import enter_place
from vloc_ros.training.building import put_together


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the attic, with poses in the frame that the building is to lie in."""
    rng, root = np.random.default_rng(0), tmp_path_factory.mktemp("images") / "attic"
    poses = [perturb(WALL_PLACES["attic"], 8 * STEP * rng.uniform(-1, 1, 6)) for _ in range(14)]
    write_folder(root, [replace(wall_frame(pose), name=f"{number:02d}") for number, pose in enumerate(poses)])
    return root


@pytest.fixture
def house(tmp_path: Path) -> Path:
    write_wall_places(tmp_path / "house")
    return tmp_path / "house"


def align(house: Path, images: Path, *given: str) -> int:
    return main(["align", str(house), "--dataset", "folder", "--root", str(images), "--to", str(images / "poses.txt"),
                 "--threads", "1", *given])  # fmt: skip


def content_of(house: Path) -> dict[str, bytes]:
    return {str(path.relative_to(house)): path.read_bytes() for path in house.rglob("*") if path.is_file()}


def test_a_place_of_a_building_is_aligned(house: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (house / "building.json.sig").write_bytes(bytes(64))
    before = content_of(house)
    assert align(house, images, "--place", "attic") == 0
    stored = read_stored(house)
    manifest, own = stored.landmark_map.manifest, read_map(house / "places" / "attic").landmark_map.manifest
    found = map_from_place(manifest, "attic")
    assert found is not None
    assert pose_error(found, TRUE).translation_m < 0.03
    assert own.places[0].map_from_place == manifest.place_of("attic").map_from_place
    assert (own.frame_id, manifest.frame_id, manifest.frame_to_publish("attic")) == ("map", "map", "map")
    assert manifest.frame_to_publish("hall") == "map_hall"
    assert f"its id is {stored.map_id} now" in capsys.readouterr().out
    after = content_of(house)
    changed = {name for name in before if before[name] != after.get(name)}
    assert changed == {"building.json", "building.json.sig", "places/attic/map.yaml"}
    assert "building.json.sig" not in after
    frame = wall_frame(perturb(WALL_PLACES["attic"], STEP))
    result = load_localizer(house).localize(frame.image)
    assert isinstance(result, PoseEstimate)
    moved = in_map_frame(result, manifest).map_from_camera
    assert pose_error(moved, TRUE @ frame.map_from_camera).translation_m < 0.05
    put_together(house, list(WALL_PLACES), "map")  # as `vloc map` does: it says the same
    assert read_stored(house).landmark_map.manifest.places == manifest.places


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "is a building, give one of its places as --place: hall, attic"),
        (["--place", "garage"], "give one of its places as --place: hall, attic"),
        (["--place", "attic", "--frame-id", "grid"], "lie in the frame 'map', POSES are of 'grid'"),
    ],
)
def test_what_cannot_be_is_one_line_and_changes_nothing(
    house: Path, images: Path, capsys: pytest.CaptureFixture[str], given: list[str], words: str
) -> None:
    before = content_of(house)
    assert align(house, images, *given) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert content_of(house) == before


def test_what_the_building_cannot_say_its_place_does_not_either(
    house: Path, images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise MapError("no space left")

    before = content_of(house)
    monkeypatch.setattr("vloc_ros.cli.align.enter_place", full)
    assert align(house, images, "--place", "attic") == 1
    assert "no space left" in capsys.readouterr().err
    assert content_of(house) == before


def test_the_map_of_a_place_is_not_aligned_without_its_building(
    house: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content_of(house)
    (tmp_path / "link").symlink_to(house / "places" / "attic")
    for directory in (house / "places" / "attic", tmp_path / "link"):
        assert align(directory, images) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert f"give `vloc align {house} --place attic`" in line
    assert content_of(house) == before


def test_after_a_kill_between_the_two_writes_one_line_says_what_to_do(
    house: Path, images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def killed(building: Path, name: str) -> None:
        raise SystemExit(137)  # which nothing here catches

    with monkeypatch.context() as patch:
        patch.setattr("vloc_ros.cli.align.enter_place", killed)
        with pytest.raises(SystemExit):
            align(house, images, "--place", "attic")
    capsys.readouterr()
    assert align(house, images, "--place", "attic") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "places/attic: was changed after the building was put together, or its `vloc align` was killed; " in line
    assert line.endswith("`vloc map` of the building again enters it as it is")
    put_together(house, list(WALL_PLACES), "map")  # as that does
    assert map_from_place(read_stored(house).landmark_map.manifest, "attic") is not None
    assert align(house, images, "--place", "attic") == 0


def test_an_interruption_does_not_part_a_place_from_its_building(
    house: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(building: Path, name: str) -> None:
        signal.raise_signal(signal.SIGINT)
        enter_place(building, name)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that run in the background do without
    try:
        monkeypatch.setattr("vloc_ros.cli.align.enter_place", interrupted)
        assert align(house, images, "--place", "attic") == 0
    finally:
        signal.signal(signal.SIGINT, before)
    assert map_from_place(read_stored(house).landmark_map.manifest, "attic") is not None
    load_localizer(house)
