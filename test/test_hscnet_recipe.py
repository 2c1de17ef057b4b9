"""How maps of HSCNet are made: landmarks are leaves, of one place or several; labels; networks too far apart."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.mapping_scenes import CAMERA, VOXEL, WallAndBox, plane, views

from vloc_ros.core.model_spec import GridSpec, Precision
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.mapping.place_geometry import Geometry, Place, PlaceGeometry, figures_of
from vloc_ros.mapping.place_regions import Regions, load_regions, save_regions
from vloc_ros.mapping.sparse import SparsePoints
from vloc_ros.methods.hscnet.method import HSCNetMethod
from vloc_ros.progress import Silent
from vloc_ros.training.hscnet.options import REACH, HSCNetOptions
from vloc_ros.training.hscnet.recipe import HSCNetRecipe

WALL = plane((-1.501, 2.0, -1.501), (3, 0, 0), (0, 0, 3), (0, -1, 0))
DATASET = WallAndBox(views(12))
DENSE, SPARSE = HSCNetRecipe(HSCNetOptions(branching=(3, 4))), HSCNetRecipe(HSCNetOptions(branching=(3, 4), sparsify=9))
SPEC = GridSpec(160, 112, 8, HSCNetMethod.outputs)
WIDTH, HEIGHT = CAMERA.width // 2, CAMERA.height // 2


def places(*names: str) -> list[Place]:
    return [Place(name, DATASET) for name in names]


ROWS = np.arange(0, len(WALL), 40)
POINTS = SparsePoints(WALL.points[ROWS], dict.fromkeys(DATASET.names, np.arange(len(ROWS), dtype=np.int32)))


def shapes(recipe: HSCNetRecipe, *names: str) -> Geometry:
    """Each place is the wall, or some points of it."""
    shape = POINTS if recipe is SPARSE else WALL
    return Geometry(tuple(PlaceGeometry(name, shape, None, figures_of(shape, 12, 12, None)) for name in names))


def regions_of(recipe: HSCNetRecipe, *names: str) -> Regions:
    return recipe.make_regions(places(*names), shapes(recipe, *names), Silent())


def reread(regions: Regions, directory: Path) -> Regions:
    save_regions(directory / "regions.npz", regions)
    return load_regions(directory / "regions.npz")


@pytest.mark.parametrize("recipe", [DENSE, SPARSE], ids=["dense", "sparse"])
@pytest.mark.parametrize("names", [("",), ("hall", "attic")], ids=["one place", "two places"])
def test_landmarks_are_the_leaves_of_the_networks_hierarchy(
    recipe: HSCNetRecipe, names: tuple[str, ...], tmp_path: Path
) -> None:
    regions = reread(regions_of(recipe, *names), tmp_path)
    objective = recipe.objective(regions)
    hierarchy = objective.hierarchy
    assert hierarchy.branching == (3 * len(names), 4) == objective.network.branching
    np.testing.assert_array_equal(regions.positions, hierarchy.leaf_centers)
    numbers = np.arange(len(regions.positions), dtype=np.int32)
    np.testing.assert_array_equal(regions.place_of_landmark, hierarchy.places(numbers))
    assert regions.names == names


@pytest.mark.parametrize(
    ("branching", "names"),
    [
        ((), ("",)),
        *((branching, names) for branching in ((5,), (3, 4), (2, 3, 4)) for names in (("",), ("hall", "attic"))),
    ],
)
def test_the_hierarchy_comes_back_from_the_file(
    branching: tuple[int, ...], names: tuple[str, ...], tmp_path: Path
) -> None:
    recipe = HSCNetRecipe(HSCNetOptions(branching=branching))
    regions = regions_of(recipe, *names)
    before, after = (recipe.objective(s).hierarchy for s in (regions, reread(regions, tmp_path)))
    assert after.depth == len(branching)
    np.testing.assert_array_equal(after.roots, before.roots)
    for name in ("centers", "first"):
        for a, b in zip(getattr(after, name), getattr(before, name), strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype


@pytest.mark.parametrize("recipe", [DENSE, SPARSE], ids=["dense", "sparse"])
def test_cells_show_coordinates_of_their_place(recipe: HSCNetRecipe, tmp_path: Path) -> None:
    regions = reread(regions_of(recipe, "hall", "attic"), tmp_path)
    labeller = recipe.labeller(shapes(recipe, "hall", "attic"), regions)
    assert labeller.kind == ("float32", (3,))
    frame = replace(DATASET.frame(5), place="attic")
    coordinates = labeller.label(frame, WIDTH, HEIGHT)
    assert coordinates.dtype == np.float32
    known = np.isfinite(coordinates).all(-1)
    assert known.mean() > (0.1 if recipe is SPARSE else 0.5)
    np.testing.assert_allclose(coordinates[known][:, 1], 2.0, atol=VOXEL)
    pixels, _ = CAMERA.resized(WIDTH, HEIGHT).project(apply(invert(frame.map_from_camera), coordinates[known]))
    reach = REACH / 2 + 0.5 if recipe is SPARSE else 0.01
    assert np.abs(pixels - np.argwhere(known)[:, ::-1]).max() <= reach
    with pytest.raises(KeyError):
        labeller.label(replace(frame, place="cellar"), WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (HSCNetOptions(branching=()), "without branching 2 places cannot be told apart"),
        (HSCNetOptions(sparse=Path("model")), "^model: one COLMAP model for 2 places"),
    ],
)
def test_what_is_for_one_place_only(options: HSCNetOptions, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        HSCNetRecipe(options).geometry(None, 2).check([Place("", WallAndBox(()))] * 2)


def test_sparse_points_are_of_no_mesh() -> None:
    with pytest.raises(ConfigError, match=r"room\.ply: a mesh is of no use"):
        SPARSE.geometry(Path("room.ply"), 1)


def test_depth_is_read_unless_a_reconstruction_takes_its_place() -> None:
    assert DENSE.geometry(None, 1).reads_depth
    assert SPARSE.geometry(None, 1).reads_depth
    assert not HSCNetRecipe(HSCNetOptions(sparse=Path("model"))).geometry(None, 1).reads_depth


def outputs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shape = (14, 20)
    return {
        "coordinates": rng.uniform(-2, 2, (*shape, 3)).astype(np.float32),
        "confidences": rng.uniform(0, 1, shape).astype(np.float32),
        "regions": rng.integers(1, 12, shape).astype(np.int32),
    }


@pytest.mark.parametrize(("precision", "regions", "metres"), [("float32", 2, 0.009), ("bfloat16", 10, 0.045)])
def test_networks_that_are_near_enough(precision: Precision, regions: int, metres: float) -> None:
    expected, found = outputs(), outputs()
    assert DENSE.disagreement(expected, found, SPEC, precision) is None
    found["regions"].flat[:regions] += 1
    found["coordinates"].reshape(-1, 3)[:regions] += 100  # of another region, no wonder
    found["coordinates"][..., 0].flat[regions:] += metres
    assert DENSE.disagreement(expected, found, SPEC, precision) is None


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_networks_that_are_too_far_apart(precision: Precision) -> None:
    expected = outputs()
    regions = {**outputs(), "regions": np.where(np.arange(280).reshape(14, 20) % 10 == 0, 99, expected["regions"])}
    fault = DENSE.disagreement(expected, regions, SPEC, precision)
    assert fault is not None
    assert "90.0 % of the regions agree, their coordinates are 0.000 m apart" in fault
    shifted = {**outputs(), "coordinates": expected["coordinates"] + np.float32(0.1)}
    assert "0.173 m apart" in str(DENSE.disagreement(expected, shifted, SPEC, precision))
    lost = {**outputs(), "coordinates": np.full_like(expected["coordinates"], np.nan)}
    assert "nan m apart" in str(DENSE.disagreement(expected, lost, SPEC, precision))
    nowhere = {**outputs(), "regions": np.zeros_like(expected["regions"])}
    assert "0.0 % of the regions" in str(DENSE.disagreement(expected, nowhere, SPEC, precision))


def test_what_a_map_says_of_its_making() -> None:
    assert DENSE.summary() == {"preset": "small", "variant": "full", "branching": "3x4", "supervision": "dense"}
    assert SPARSE.summary()["supervision"] == "sparse points, reach 5"
    assert HSCNetRecipe(HSCNetOptions(branching=())).summary()["branching"] == "none"
