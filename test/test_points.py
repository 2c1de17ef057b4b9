"""Points with descriptors: which can be, points.npz, and that every kind of damage to it is named."""

import io
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
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

from vloc_ros.core.feature_spec import FeatureSpec
from vloc_ros.core.points import Points
from vloc_ros.errors import ConfigError, MapError
from vloc_ros.maps import pack_map, read_map, unpack_map, write_map
from vloc_ros.maps.points_npz import KINDS, OPTIONAL, decode_points, encode_points

COUNT = 20
FEATURES = FeatureSpec("sift", 1024, 128)


def make_points(kind: str = "float16", offset: float = 0.0) -> Points:
    rng = np.random.default_rng(1)
    directions = rng.normal(size=(COUNT, 3))
    descriptors = rng.normal(size=(COUNT, 128))
    return Points(
        positions=rng.normal(size=(COUNT, 3)) + offset,
        descriptors=(descriptors * 40).clip(-127, 127).astype(kind),
        regions=np.arange(COUNT, dtype=np.int32) % 5,
        places=np.zeros(COUNT, np.int32),
        directions=directions / np.linalg.norm(directions, axis=1, keepdims=True),
        distances=np.sort(rng.uniform(0.5, 9.0, (COUNT, 2)), axis=1),
        sigmas=rng.uniform(0.0, 0.2, COUNT),
        colors=rng.integers(0, 256, (COUNT, 3), dtype=np.uint8),
    )


@pytest.fixture
def pointed(tmp_path: Path) -> Path:
    """A map with points."""
    landmark_map = replace(make_map(features=FEATURES), points=make_points())
    write_map(tmp_path / "map", landmark_map, {"network": {"float32": NETWORK}}, PREVIEW)
    return tmp_path / "map"


@pytest.mark.parametrize("kind", ["float16", "int8"])
def test_points_come_back(tmp_path: Path, kind: str) -> None:
    points = make_points(kind)
    for name in ("map", "again"):
        landmark_map = replace(make_map(features=FEATURES), points=points)
        write_map(tmp_path / name, landmark_map, {"network": {"float32": NETWORK}}, PREVIEW)
    stored = read_map(tmp_path / "map")
    for read in (stored, unpack_map(pack_map(stored), "map/data")):
        found = read.landmark_map.points
        assert found is not None
        assert len(found) == COUNT
        for name in ("descriptors", "regions", "places", "colors"):
            np.testing.assert_array_equal(getattr(found, name), getattr(points, name))
            assert getattr(found, name).dtype == getattr(points, name).dtype
        for name in ("positions", "directions", "distances", "sigmas"):
            np.testing.assert_allclose(getattr(found, name), getattr(points, name), atol=1e-4)
            assert getattr(found, name).dtype == np.float64
    assert stored.map_id == read_map(tmp_path / "again").map_id


def test_positions_far_from_the_origin_are_kept_to_a_tenth_of_a_millimetre() -> None:
    points = make_points(offset=5e3)
    assert np.abs(decode_points(encode_points(points)).positions - points.positions).max() < 1e-4


def test_points_of_older_maps_count_as_certain_and_have_no_colors() -> None:
    arrays = {name: array for name, array in arrays_of(make_points()).items() if name not in OPTIONAL}
    read = decode_points(npz(**arrays))
    assert not read.sigmas.any()
    assert not read.colors.any()
    assert read.colors.shape == (COUNT, 3)
    assert "colors" not in arrays_of(read), "they are written as they were"


def test_a_map_need_not_have_points(office: Path) -> None:
    assert not (office / "points.npz").exists()
    assert read_map(office).landmark_map.points is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"positions": np.zeros((COUNT, 2))}, "positions: shape"),
        ({"positions": np.full((COUNT, 3), np.nan)}, "not finite"),
        ({"positions": np.full((COUNT, 3), 1e9)}, "row 0 has the position"),
        ({"descriptors": np.zeros((COUNT, 64), np.float32)}, "expected .P, D. float16 or int8"),
        ({"descriptors": np.zeros((COUNT, 0), np.int8)}, "expected .P, D. float16 or int8"),
        ({"descriptors": np.zeros(COUNT, np.int8)}, "descriptors: shape"),
        ({"descriptors": np.full((COUNT, 8), np.inf, np.float16)}, "not finite"),
        ({"regions": np.zeros(3, np.int32)}, "regions: shape"),
        ({"places": np.zeros(3, np.int32)}, "places: shape"),
        ({"directions": np.zeros((COUNT, 3))}, "row 0 has the direction"),
        ({"distances": np.tile([2.0, 1.0], (COUNT, 1))}, "row 0 has the distances"),
        ({"distances": np.tile([-1.0, 1.0], (COUNT, 1))}, "row 0 has the distances"),
        ({"sigmas": np.zeros(3)}, "sigmas: shape"),
        ({"sigmas": np.full(COUNT, -0.01)}, "row 0 has the sigma"),
        ({"colors": np.zeros((3, 3), np.uint8)}, "colors: shape"),
        ({"colors": np.zeros((COUNT, 3))}, "colors are float64, expected uint8"),
    ],
)
def test_points_that_cannot_be_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=f"points: .*{words}|{words}"):
        replace(make_points(), **change)


@pytest.mark.parametrize("name", ["regions", "places"])
@pytest.mark.parametrize("index", [-1, 5])
def test_points_of_regions_and_places_that_there_are_not(name: str, index: int) -> None:
    change: dict[str, Any] = {name: np.full(COUNT, index, np.int32)}
    points = replace(make_points(), **change)
    with pytest.raises(ConfigError, match=f"points: {name}: indices are {index}"):
        replace(joined_map(), points=points)


def arrays_of(points: Points) -> dict[str, np.ndarray]:
    return dict(np.load(io.BytesIO(encode_points(points))))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("damage", DAMAGED_ARRAYS)
def test_arrays_of_other_shape_or_type(pointed: Path, name: str, damage: Callable[[np.ndarray], np.ndarray]) -> None:
    arrays = arrays_of(make_points())
    if name == "descriptors" and damage(arrays[name]).ndim == 2 and damage(arrays[name]).dtype == np.float16:
        return  # a descriptor may have any length
    replace_file(pointed, "points.npz", npz(**{**arrays, name: damage(arrays[name])}))
    assert "points.npz" in refusal(pointed)


@pytest.mark.parametrize("name", [name for name in KINDS if name not in OPTIONAL])
def test_missing_and_unknown_arrays(pointed: Path, name: str) -> None:
    arrays = arrays_of(make_points())
    replace_file(pointed, "points.npz", npz(**arrays, extra=np.zeros(3)))
    assert "points.npz: array 'extra' is unknown" in refusal(pointed)
    del arrays[name]
    replace_file(pointed, "points.npz", npz(**arrays))
    assert f"points.npz: array {name!r} is missing" in refusal(pointed)


def test_indices_into_the_map_are_checked_when_it_is_read(pointed: Path) -> None:
    arrays = arrays_of(make_points())
    replace_file(pointed, "points.npz", npz(**{**arrays, "regions": np.full(COUNT, 5, np.int32)}))
    assert "points: regions: indices are 5 to 5, the map has 0 to 4" in refusal(pointed)


def test_pickles_and_what_is_no_npz(pointed: Path) -> None:
    bomb = np.array([pickle], dtype=object)
    assert_no_npz_is_named(pointed, "points.npz", npz(**arrays_of(make_points())))
    with pytest.raises(MapError, match="never written"):
        encode_points(replace_array(make_points(), bomb))


def replace_array(points: Points, array: np.ndarray) -> Points:
    object.__setattr__(points, "regions", array)
    return points


def test_damaged_points_raise_nothing_but_map_errors() -> None:
    assert_only_map_errors(decode_points, encode_points(make_points()))


def test_links_and_bits(pointed: Path) -> None:
    assert_other_files_are_named(pointed, "points.npz")
