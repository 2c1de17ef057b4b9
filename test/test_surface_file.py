"""surface.npz: it comes back, a map need not have it, and every kind of damage to it is named."""

import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import SHIPPED_MAP
from support.map_files import (
    DAMAGED_ARRAYS,
    NETWORK,
    PREVIEW,
    assert_no_npz_is_named,
    assert_only_map_errors,
    assert_other_files_are_named,
    joined_map,
    make_map,
    npz,
    refusal,
    replace_file,
)

from vloc_ros.cli import main
from vloc_ros.core.place_surface import MAX_POINTS, PlaceSurface
from vloc_ros.errors import ConfigError
from vloc_ros.maps import pack_map, read_map, unpack_map, upgrade_map, write_map
from vloc_ros.maps.placement import place_map
from vloc_ros.maps.surface_npz import KINDS, decode_surface, encode_surface

COUNT, VOXEL = 5000, 0.05


def make_surface(offset: float = 0.0) -> PlaceSurface:
    """A wall that gets redder to the right."""
    rng = np.random.default_rng(1)
    positions = rng.uniform((offset, 2, 0), (offset + 5, 2, 2.5), (COUNT, 3))
    colors = np.column_stack([40 * (positions[:, 0] - offset), np.full((COUNT, 2), 80)])
    return replace(PlaceSurface.of(positions, colors.astype(np.uint8) // 4 * 4, VOXEL), least_agreement=0.41)


@pytest.fixture
def colored(tmp_path: Path) -> Path:
    """A map with a surface."""
    write_map(tmp_path / "map", replace(make_map(), surface=make_surface()), {"network": {"float32": NETWORK}}, PREVIEW)
    return tmp_path / "map"


@pytest.mark.parametrize("offset", [0.0, -5e4])
def test_surfaces_come_back(tmp_path: Path, offset: float) -> None:
    surface = make_surface(offset)
    for name in ("map", "again"):
        landmark_map = replace(make_map(), surface=surface)
        write_map(tmp_path / name, landmark_map, {"network": {"float32": NETWORK}}, PREVIEW)
    stored = read_map(tmp_path / "map")
    for read in (stored, unpack_map(pack_map(stored), "map/data")):
        found = read.landmark_map.surface
        assert found is not None
        assert (len(found), found.voxel_m, found.least_agreement) == (COUNT, VOXEL, 0.41)
        np.testing.assert_array_equal(found.positions, surface.positions)
        np.testing.assert_array_equal(found.colors, surface.colors)
        assert found.steps.flags.c_contiguous
    assert stored.map_id == read_map(tmp_path / "again").map_id


def test_points_are_known_to_an_eighth_of_a_voxel() -> None:
    rng = np.random.default_rng(0)
    positions = rng.uniform(-3, 3, (COUNT, 3))
    surface = PlaceSurface.of(positions, rng.integers(0, 256, (COUNT, 3)).astype(np.uint8), VOXEL)
    nearest = np.abs(surface.positions[:, None, 0] - positions[None, :, 0]).min(axis=1)
    assert nearest.max() <= VOXEL / 8 + 1e-9
    assert np.ptp(surface.positions, axis=0) == pytest.approx(np.ptp(positions, axis=0), abs=VOXEL / 4)


def test_a_point_takes_three_bytes() -> None:
    assert len(encode_surface(make_surface())) < 3 * COUNT


def test_a_map_need_not_have_one(office: Path) -> None:
    assert not (office / "surface.npz").exists()
    assert read_map(office).landmark_map.surface is None


def test_inspect_tells_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(SHIPPED_MAP, tmp_path / "map")
    stored = read_map(tmp_path / "map")
    write_map(tmp_path / "map", replace(stored.landmark_map, surface=make_surface()), stored.networks, PREVIEW)
    assert main(["inspect", str(tmp_path / "map")]) == 0
    said = capsys.readouterr().out
    assert "surface\n" in said
    assert "5 cm" in said
    assert "5.00 x 0.00 x 2.50 m" in said
    assert "41 % of an image" in said


def test_upgrade_and_placement_keep_it(colored: Path, tmp_path: Path) -> None:
    content = (colored / "surface.npz").read_bytes()
    _, after = upgrade_map(colored, tmp_path / "copy")
    assert after is not None
    assert after.files["surface.npz"] == content
    placed = place_map(colored, None, "world", np.eye(4), {})
    assert placed.files["surface.npz"] == content
    assert placed.landmark_map.of_place(None).surface is not None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": np.zeros((3, 3), np.int32)}, "steps are int32, expected int16"),
        ({"colors": np.zeros((2, 3), np.uint8)}, r"colors: shape \(2, 3\)"),
        ({"steps": np.zeros((0, 3), np.int16), "colors": np.zeros((0, 3), np.uint8)}, f"1 to {MAX_POINTS}"),
        ({"voxel_m": 0.0}, "voxel_m is 0.0, must be positive"),
        ({"voxel_m": float("nan")}, "voxel_m is nan"),
        ({"voxel_m": 1e9}, "reaches"),
        ({"least_agreement": -0.1}, "least_agreement is -0.1, must be in 0 .. 1"),
        ({"least_agreement": 1.1}, "least_agreement is 1.1"),
        ({"least_agreement": float("nan")}, "least_agreement is nan"),
        ({"origin": np.array([0.0, np.inf, 0.0])}, "not finite"),
        ({"origin": np.array([0.0, 1e9, 0.0])}, "reaches"),
    ],
)
def test_surfaces_that_cannot_be(changes: dict[str, np.ndarray], words: str) -> None:
    arrays = {"steps": np.zeros((3, 3), np.int16), "colors": np.zeros((3, 3), np.uint8), "origin": np.zeros(3)}
    with pytest.raises(ConfigError, match=words):
        PlaceSurface(**{**arrays, "voxel_m": VOXEL, **changes})  # type: ignore[arg-type]


def test_a_map_of_several_places_has_none() -> None:
    with pytest.raises(ConfigError, match="surface: it is of one place, the map has 2"):
        replace(joined_map(), surface=make_surface())


def test_points_too_far_apart() -> None:
    with pytest.raises(ConfigError, match="900 m are too much for voxels of"):
        PlaceSurface.of(np.array([[0.0, 0, 0], [900, 0, 0]]), np.zeros((2, 3), np.uint8), VOXEL)


def arrays_of(surface: PlaceSurface) -> dict[str, np.ndarray]:
    return dict(np.load(io.BytesIO(encode_surface(surface))))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("damage", [*DAMAGED_ARRAYS, lambda array: array[:0]])
def test_arrays_of_other_shape_or_type(colored: Path, name: str, damage: Callable[[np.ndarray], np.ndarray]) -> None:
    arrays = arrays_of(make_surface())
    replace_file(colored, "surface.npz", npz(**{**arrays, name: damage(arrays[name])}))
    assert "surface.npz" in refusal(colored)


@pytest.mark.parametrize("name", KINDS)
def test_missing_and_unknown_arrays(colored: Path, name: str) -> None:
    arrays = arrays_of(make_surface())
    replace_file(colored, "surface.npz", npz(**arrays, extra=np.zeros(3)))
    assert "surface.npz: array 'extra' is unknown" in refusal(colored)
    del arrays[name]
    replace_file(colored, "surface.npz", npz(**arrays))
    assert f"surface.npz: array {name!r} is missing" in refusal(colored)


@pytest.mark.parametrize(("value", "words"), [(0.0, "voxel_m is 0.0"), (np.nan, "not finite"), (1e7, "reaches")])
def test_values_that_cannot_be(colored: Path, value: float, words: str) -> None:
    replace_file(colored, "surface.npz", npz(**{**arrays_of(make_surface()), "grid": np.array([0.0, 0.0, 0.0, value])}))
    assert words in refusal(colored)


@pytest.mark.parametrize(("value", "words"), [(1.5, "least_agreement is 1.5"), (np.nan, "not finite")])
def test_parts_that_cannot_be(colored: Path, value: float, words: str) -> None:
    replace_file(colored, "surface.npz", npz(**{**arrays_of(make_surface()), "least_agreement": np.array([value])}))
    assert words in refusal(colored)


def test_what_is_no_npz(colored: Path) -> None:
    assert_no_npz_is_named(colored, "surface.npz", npz(**arrays_of(make_surface())))


def test_damaged_surfaces_raise_nothing_but_map_errors() -> None:
    assert_only_map_errors(decode_surface, encode_surface(make_surface()))


def test_links_and_bits(colored: Path) -> None:
    assert_other_files_are_named(colored, "surface.npz")
