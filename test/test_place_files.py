"""Geometry and regions of places come back from their files as they were; what is not whole is refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.mapping_scenes import WallAndBox, plane, views

from vloc_ros.errors import DatasetError
from vloc_ros.mapping.depth_calibration import DepthCorrection
from vloc_ros.mapping.landmarks import Landmarks, build_landmarks
from vloc_ros.mapping.place_geometry import (
    Figures,
    Geometry,
    PlaceGeometry,
    figures_of,
    load_geometry,
    save_geometry,
)
from vloc_ros.mapping.place_regions import PlaceRegions, Regions, load_regions, save_regions
from vloc_ros.mapping.sparse import SparsePoints
from vloc_ros.mapping.supervoxels import segment
from vloc_ros.mapping.top_view import PATH, draw_top_view, save_top_view

WALL = plane((-1.501, 2.0, -1.501), (3, 0, 0), (0, 0, 3), (0, -1, 0))
HALL = build_landmarks(WALL, segment(WALL, 0.6), WallAndBox(views(12)), min_observations=3)
ATTIC = Landmarks(
    positions=np.arange(6.0).reshape(2, 3),
    normals=np.tile((0.0, 0.0, 1.0), (2, 1)),
    extents=np.array([0.5, 0.6]),
    observations=np.array([3, 4], dtype=np.int32),
    point_labels=np.array([1, 2, 0], dtype=np.int32),
)
POINTS = SparsePoints(
    np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]),
    {"a": np.array([0, 2], dtype=np.int32), "b": np.array([1], dtype=np.int32)},
)
FIGURES = Figures(10, (3.0, 0.1, 3.0), 9.0, 12, 12, 0.75)
UNREAD = Figures(3, (1.0, 2.0, 3.0), None, 2, 2, None)
SHAPES = {
    "one place": Geometry((PlaceGeometry("", WALL, DepthCorrection(0.99, 0.01), FIGURES),)),
    "two places": Geometry((PlaceGeometry("hall", WALL, None, UNREAD), PlaceGeometry("attic", POINTS, None, UNREAD))),
}
REGIONS = {
    "one place": Regions((PlaceRegions("", HALL),)),
    "two places": Regions((PlaceRegions("hall", HALL), PlaceRegions("attic", ATTIC))),
    "with extras": Regions((PlaceRegions("", ATTIC),), {"roots": np.eye(3), "first0": np.arange(4, dtype=np.int32)}),
}


def assert_same(found: Any, expected: Any) -> None:
    """The same class with the same fields."""
    assert type(found) is type(expected)
    for name, value in vars(expected).items():
        if isinstance(value, Mapping):
            assert getattr(found, name).keys() == value.keys()
            assert all(np.array_equal(getattr(found, name)[key], each) for key, each in value.items())
            continue
        np.testing.assert_array_equal(getattr(found, name), value)
        assert type(getattr(found, name)) is type(value)


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_come_back_as_they_were(name: str, tmp_path: Path) -> None:
    geometry = SHAPES[name]
    save_geometry(tmp_path, geometry)
    depth = {"depth.json"} if name == "one place" else set()
    assert {path.name for path in tmp_path.iterdir()} == {"geometry.npz", "geometry.json", *depth}
    found = load_geometry(tmp_path)
    assert [place.name for place in found] == [place.name for place in geometry]
    for place, expected in zip(found, geometry, strict=True):
        assert_same(place.shape, expected.shape)
        assert (place.depth, place.figures) == (expected.depth, expected.figures)


@pytest.mark.parametrize("name", REGIONS)
def test_regions_come_back_as_they_were(name: str, tmp_path: Path) -> None:
    regions = REGIONS[name]
    save_regions(tmp_path / "regions.npz", regions)
    assert [path.name for path in tmp_path.iterdir()] == ["regions.npz"]
    found = load_regions(tmp_path / "regions.npz")
    assert found.names == regions.names
    for place, expected in zip(found, regions, strict=True):
        assert_same(place.landmarks, expected.landmarks)
    assert found.extras.keys() == regions.extras.keys()
    for key, value in regions.extras.items():
        np.testing.assert_array_equal(found.extras[key], value)
        assert found.extras[key].dtype == value.dtype


def test_landmarks_of_all_places_one_after_the_other() -> None:
    regions = REGIONS["two places"]
    np.testing.assert_array_equal(regions.positions, np.concatenate([HALL.positions, ATTIC.positions]))
    np.testing.assert_array_equal(regions.of_landmarks("extents")[len(HALL) :], ATTIC.extents)
    np.testing.assert_array_equal(regions.place_of_landmark, [0] * len(HALL) + [1, 1])
    assert regions.place_of_landmark.dtype == np.int32


def damage(path: Path, fault: str) -> None:
    content = path.read_bytes()
    if fault == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif fault == "garbage":
        path.write_bytes(b"not arrays")
    elif fault == "foreign":
        np.savez(path, names=np.array(["hall"]), positions=np.zeros(3))
    else:
        path.unlink()


@pytest.mark.parametrize("fault", ["truncated", "garbage", "foreign", "missing"])
def test_a_file_that_is_not_whole(fault: str, tmp_path: Path) -> None:
    save_regions(tmp_path / "regions.npz", REGIONS["two places"])
    damage(tmp_path / "regions.npz", fault)
    with pytest.raises(DatasetError, match=r"regions.npz: not a complete set of regions .*--fresh"):
        load_regions(tmp_path / "regions.npz")
    save_geometry(tmp_path, SHAPES["two places"])
    damage(tmp_path / "geometry.npz", fault)
    with pytest.raises(DatasetError, match=r"geometry.npz: not a complete geometry .*--fresh"):
        load_geometry(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"hall": {"count": 3}}'])
def test_figures_that_are_not_whole(content: str, tmp_path: Path) -> None:
    save_geometry(tmp_path, SHAPES["two places"])
    (tmp_path / "geometry.json").write_text(content)
    with pytest.raises(DatasetError, match=r"geometry\.(json|npz): not a complete geometry .*--fresh"):
        load_geometry(tmp_path)


def test_the_picture_from_above_shows_points_cameras_and_figures(tmp_path: Path) -> None:
    poses = np.stack(views(12))
    for place in (*SHAPES["one place"], *SHAPES["two places"]):
        picture = draw_top_view(place, poses)
        assert picture.shape[1:] == (900, 3)
        assert (picture == PATH).all(-1).sum() > 100
        assert ((picture < 255).any(-1) & ~(picture == PATH).all(-1)).sum() > 1000
    save_top_view(tmp_path / "geometry.png", next(iter(SHAPES["one place"])), poses)
    written = cv2.imread(str(tmp_path / "geometry.png"))
    assert written is not None
    assert written.shape[1] == 900


def test_figures_of_a_wall_and_of_points() -> None:
    figures = figures_of(WALL, 12, 14, 0.5)
    assert figures.area_m2 == pytest.approx(9.0, rel=0.05)
    np.testing.assert_allclose(figures.extent_m, (3.0, 0.0, 3.0), atol=0.1)
    assert figures.describe().endswith("from 12 of 14 frames, depth of 50% of the pixels")
    assert figures_of(POINTS, 2, 14, None).describe() == "3 points, 2.0 x 0.0 x 0.0 m, from 2 of 14 frames"
