"""Signed buildings: the signature covers the map of each place and all that tells them apart."""

import shutil
from pathlib import Path

import pytest
from support.building_scenes import NAMES, place_map, write_place, write_rooms
from test_signature import refusal, write_keys

from vloc_ros.cli import main
from vloc_ros.errors import MapError
from vloc_ros.localizer import load_localizer
from vloc_ros.maps import StoredBuilding, read_stored, require_signature, sign_map
from vloc_ros.training.building import put_together


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_keys(tmp_path_factory.mktemp("keys"), "ours")


@pytest.fixture(scope="module")
def signed_once(keys: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    house = tmp_path_factory.mktemp("signed") / "house"
    write_rooms(house)
    sign_map(house, keys[0])
    return house


@pytest.fixture
def house(signed_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(signed_once, tmp_path / "house"))


def test_a_signed_building_passes_and_another_key_does_not(
    house: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    stored = read_stored(house)
    assert isinstance(stored, StoredBuilding)
    assert require_signature(stored, "house", keys[1])
    assert "building.json.sig is no signature" in refusal(house, write_keys(tmp_path, "theirs")[1])
    (house / "building.json.sig").unlink()
    assert "is not signed, there is no building.json.sig" in refusal(house, keys[1])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


FILES = ("building.json", "recognition-*/*.np?", f"places/{NAMES[0]}/*", f"places/{NAMES[2]}/*")


def accept(house: Path, public: Path) -> None:
    stored = read_stored(house)
    require_signature(stored, "house", public)
    assert isinstance(stored, StoredBuilding)
    for name in stored.places:
        stored.read_place(name)


@pytest.mark.parametrize("name", FILES)
def test_whatever_is_changed_is_refused(house: Path, keys: tuple[Path, Path], name: str) -> None:
    files = sorted(house.glob(name))
    assert files
    for path in files:
        before = path.read_bytes()
        flipped(path)
        with pytest.raises(MapError) as error:
            accept(house, keys[1])
        assert "\n" not in str(error.value)
        path.write_bytes(before)


def test_the_map_of_a_place_that_is_another_one_is_refused(house: Path, keys: tuple[Path, Path]) -> None:
    """Each is whole, but not the one that was signed: of the first place, too, which is read at once."""
    write_place(house, NAMES[0], place_map(NAMES[0], 44))
    with pytest.raises(MapError, match="was changed after the building was put together"):
        load_localizer(house, public_key=keys[1])


def test_a_building_that_is_put_together_anew_has_no_signature_unless_it_is_the_same(house: Path) -> None:
    put_together(house, NAMES, "map")
    assert (house / "building.json.sig").exists()
    put_together(house, NAMES[:2], "map")
    assert not (house / "building.json.sig").exists()


def test_the_commands(house: Path, keys: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sign", str(house), "--key", str(keys[0])]) == 0
    assert "building.json.sig: signature of map" in capsys.readouterr().out
    flipped(house / "places" / NAMES[1] / "points.npz")
    assert main(["sign", str(house), "--key", str(keys[0])]) == 1
    assert "points.npz: damaged" in capsys.readouterr().err
