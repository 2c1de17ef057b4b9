"""What commands say of a building: `vloc inspect`, and those that take one map."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import building_scenes
from support.building_scenes import WALL_CAMERA, WALL_PLACES, seen_map, wall_frame, write_seen_rooms, write_wall_places
from support.map_files import PREVIEW

from vloc_ros.cli import main
from vloc_ros.core.camera_warnings import field_of_view_warnings, lens_model_warnings
from vloc_ros.core.types import LandmarkMap
from vloc_ros.drawing.overlay import write_picture
from vloc_ros.errors import MapError
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.maps import read_map, read_stored, write_map


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    house = tmp_path_factory.mktemp("built") / "house"
    write_wall_places(house)
    return house


@pytest.fixture
def house(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "house"))


def inspected(house: Path, capsys: pytest.CaptureFixture[str], code: int = 0) -> tuple[str, str]:
    assert main(["inspect", str(house)]) == code
    said = capsys.readouterr()
    return said.out, said.err


def test_every_place_has_a_row(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = inspected(house, capsys)
    for name, other in zip(WALL_PLACES, reversed(WALL_PLACES), strict=True):
        stored = read_map(house / "places" / name)
        points = stored.landmark_map.points
        assert points is not None
        (row,) = (line for line in out.splitlines() if line.startswith(f"{name} "))
        assert row.split()[1] == stored.map_id
        assert f" {len(points)} " in row
        assert re.search(rf"{other} 0\.\d\d$|none$", row), "what it looks most like"
    assert "signature        none" in out
    assert out.splitlines()[-1] == "verified: hashes, the maps of 2 places, 1 kinds of networks"


def test_rooms_that_look_alike_are_told(house: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    frames = {name: wall_frame(pose) for name, pose in WALL_PLACES.items()}
    write_seen_rooms(tmp_path / "alike", {**frames, "twin": frames["hall"]})
    out, _ = inspected(tmp_path / "alike", capsys)
    assert re.search(r"^hall .* twin 1\.00$", out, re.MULTILINE)
    assert re.search(r"tell them apart .* visual words, no colours, which a map", out), "as in older maps"


def test_what_is_damaged_is_named_and_the_rest_is_shown(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first place, too, which every other command would stop at."""
    first, second = WALL_PLACES
    points = house / "places" / first / "points.npz"
    points.write_bytes(points.read_bytes()[:-1])
    out, err = inspected(house, capsys, code=1)
    assert re.search(rf"^{first} +damaged", out, re.MULTILINE)
    assert re.search(rf"^{second} +[0-9a-f]{{12}} ", out, re.MULTILINE)
    assert len(err.splitlines()) == 1
    assert f"places/{first}/points.npz" in err
    write_map(house / "places" / second, seen_map(second, wall_frame(WALL_PLACES[first])), {}, PREVIEW)
    _, err = inspected(house, capsys, code=1)
    assert "and 1 more" in err


def test_cells_of_a_damaged_place_are_below_their_titles(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = WALL_PLACES
    (house / "places" / second / "points.npz").unlink()
    out, _ = inspected(house, capsys, code=1)
    (titles,) = (line for line in out.splitlines() if line.startswith("place "))
    rows = {line.split()[0]: line for line in out.splitlines() if line.startswith((f"{first} ", f"{second} "))}
    last = titles.index("most like")
    assert rows[second][:last].split() == [second, "damaged"]
    assert rows[second][last:].startswith(("none", first))


def test_what_tells_places_apart_may_be_damaged(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (index,) = house.glob("recognition-*/words.npy")
    index.unlink()
    out, err = inspected(house, capsys, code=1)
    assert all(name in out for name in WALL_PLACES)
    assert "words.npy" in err


def trained(landmark_map: LandmarkMap, **training: object) -> LandmarkMap:
    return replace(landmark_map, manifest=replace(landmark_map.manifest, training=training))


def test_a_camera_is_warned_of_that_is_unlike_those_of_all_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = WALL_CAMERA.field_of_view_deg
    kinds = iter([{"field_of_view_deg": [own, own], "lens_models": ["pinhole"]},
                  {"field_of_view_deg": [110.0, 112.0], "lens_models": ["fisheye"]}])  # fmt: skip
    monkeypatch.setattr(building_scenes, "seen_map", lambda *seen: trained(seen_map(*seen), **next(kinds)))
    write_wall_places(tmp_path / "house")
    manifest = read_stored(tmp_path / "house").landmark_map.manifest
    assert (manifest.field_of_view_deg, manifest.lens_models) == ((own, 112.0), ("fisheye", "pinhole"))
    assert not lens_model_warnings([WALL_CAMERA], manifest)
    assert not field_of_view_warnings([WALL_CAMERA, WALL_CAMERA.resized(640, 480)], manifest)
    assert field_of_view_warnings([replace(WALL_CAMERA, fx=900.0, fy=900.0)], manifest)
    kinds = iter([{"field_of_view_deg": [own, own], "lens_models": ["pinhole"]}, {}])
    write_wall_places(tmp_path / "older")
    older = read_stored(tmp_path / "older").landmark_map.manifest
    assert (older.field_of_view_deg, older.lens_models) == (None, ())


def test_a_map_in_no_unit_is_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scaled(*seen):  # type: ignore[no-untyped-def]
        made = seen_map(*seen)
        return replace(made, manifest=replace(made.manifest, unknown_scale=True))

    monkeypatch.setattr(building_scenes, "seen_map", scaled)
    with pytest.raises(MapError, match="place hall: "):
        write_wall_places(tmp_path / "house")


@pytest.mark.parametrize("name", [*WALL_PLACES, "nowhere", "darkness"])
def test_an_overlay_shows_what_was_found_in_the_place(
    house: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    frame = wall_frame(WALL_PLACES.get(name, from_quaternion([0.0, 0.0, 1.0, 1.0], [0.0, 4.0, -3.0])))
    rgb = frame.image.rgb if name != "darkness" else np.zeros_like(frame.image.rgb)
    write_picture(tmp_path / "image.png", rgb)
    camera, overlay = WALL_CAMERA, tmp_path / "overlay.png"
    given = ["--camera", f"{camera.fx},{camera.fy},{camera.cx},{camera.cy}", "--overlay", str(overlay)]
    code = main(["localize", str(tmp_path / "image.png"), "--map", str(house), *given])
    assert code == (0 if name in WALL_PLACES else 3)
    assert overlay.stat().st_size > 1000
    assert (f"place       {name}" in capsys.readouterr().out) == (name in WALL_PLACES)


@pytest.mark.parametrize(
    "words",
    [
        ["upgrade"],
        ["inspect", "--report", "r.html"],
        ["align", "--to", "tf", "--bag", "none"],
        ["engine", "build"],
    ],
    ids=lambda words: words[0],
)
def test_commands_that_take_one_map_say_so_in_one_line(
    house: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    command = [*words, str(house)] if words[0] == "engine" else [words[0], str(house), *words[1:]]
    assert main(command) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "building" in line
    with pytest.raises(MapError, match=r"is a building, not a map; the maps of its places are in .*places"):
        read_map(house)
