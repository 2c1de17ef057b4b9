"""How maps of VS-Net are made: how many landmarks, labels of several places, and when networks are too far apart."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.mapping_scenes import CAMERA, VOXEL, WallAndBox, plane, views
from support.training_scenes import SMALL

from vloc_ros.errors import ConfigError
from vloc_ros.geometry.transforms import apply
from vloc_ros.mapping import geometry_kinds, mesh
from vloc_ros.mapping.geometry_kinds import DepthSurface, MeshSurface, surface_kind
from vloc_ros.mapping.place_geometry import Geometry, Place, PlaceGeometry, figures_of
from vloc_ros.progress import Silent
from vloc_ros.training.deploy import TorchSession
from vloc_ros.training.vsnet import recipe as vsnet_recipe
from vloc_ros.training.vsnet.objective import VSNetObjective
from vloc_ros.training.vsnet.options import VSNetOptions
from vloc_ros.training.vsnet.recipe import VSNetRecipe, parity

WALL = plane((-1.501, 2.0, -1.501), (3, 0, 0), (0, 0, 3), (0, -1, 0))
COARSE = VSNetRecipe(VSNetOptions(patch_size=0.8))


def place(name: str) -> Place:
    return Place(name, WallAndBox(views(12)))


def walls(*names: str) -> Geometry:
    """Each place is the wall."""
    return Geometry(tuple(PlaceGeometry(name, WALL, None, figures_of(WALL, 12, 12, None)) for name in names))


def test_landmarks_of_several_places_are_numbered_place_after_place() -> None:
    places = [place("hall"), place("attic")]
    geometry = walls("hall", "attic")
    regions = COARSE.make_regions(places, geometry, Silent())
    assert regions.names == ("hall", "attic")
    counts = [len(each.landmarks) for each in regions]
    np.testing.assert_array_equal(regions.place_of_landmark, np.repeat([0, 1], counts))
    labeller = COARSE.labeller(geometry, regions)
    assert labeller.kind == ("uint16", ())
    frame = places[0].frames.frame(5)
    ray = apply(frame.map_from_camera, CAMERA.resized(80, 60).rays()[40, 30]) - frame.map_from_camera[:3, 3]
    on_wall = frame.map_from_camera[:3, 3] + ray * ((2.0 - frame.map_from_camera[1, 3]) / ray[1])
    for name, before in (("hall", 0), ("attic", counts[0])):
        labels = labeller.label(replace(frame, place=name), 80, 60)
        seen = labels[labels > 0]
        assert len(seen) > 0.5 * labels.size
        assert before < seen.min() <= seen.max() <= before + counts[0]
        shown = labels[40, 30] - 1
        assert np.linalg.norm(regions.positions[shown] - on_wall) < regions.of_landmarks("extents")[shown] + 2 * VOXEL
    made = COARSE.objective(regions)
    np.testing.assert_array_equal(made.positions.numpy(), regions.positions)
    assert len(made.prototypes) == len(regions.positions)


def test_too_few_and_too_many_landmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"patches: [123] landmarks, a map has 4 to 65535"):
        VSNetRecipe(VSNetOptions(patch_size=2.0)).make_regions([place("")], walls(""), Silent())
    monkeypatch.setattr(vsnet_recipe, "MAX_LANDMARKS", 10)
    with pytest.raises(ConfigError, match="landmarks, a map has 4 to 10"):
        COARSE.make_regions([place("")], walls(""), Silent())


def test_about_as_many_landmarks_as_wanted() -> None:
    regions = VSNetRecipe(VSNetOptions(landmarks=40)).make_regions([place("")], walls(""), Silent())
    assert 28 <= len(regions.positions) <= 52


def test_a_surface_is_the_mesh_or_the_depth_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mesh, "surface_from_mesh", lambda path: path)
    monkeypatch.setattr(geometry_kinds, "fuse_depth", lambda dataset, advance: dataset)
    fused, given, frames = surface_kind(None), surface_kind(Path("hall.ply")), WallAndBox(views(3))
    assert (fused, given) == (DepthSurface(), MeshSurface(Path("hall.ply")))
    assert fused.make(Place("", frames), Silent()) is frames  # type: ignore[comparison-overlap]
    assert given.make(Place("", frames), Silent()) == Path("hall.ply")  # type: ignore[comparison-overlap]


def test_parity_sees_wrong_labels_and_turned_votes(objective: VSNetObjective, images: np.ndarray) -> None:
    outputs = TorchSession(objective, SMALL).run({"image": images[:1]})
    same, turned = parity(outputs, outputs, SMALL)
    assert same == 1.0
    assert turned == pytest.approx(0, abs=1e-3)
    outputs = {**outputs, "distances": outputs["distances"] + 10}
    turned = outputs["votes"] @ np.array([[np.cos(0.1), np.sin(0.1)], [-np.sin(0.1), np.cos(0.1)]])
    labels = outputs["labels"].copy()
    labels[:, : SMALL.height // SMALL.stride // 2] += 1
    agreement, degrees = parity(outputs, {**outputs, "labels": labels, "votes": turned}, SMALL)
    assert agreement == pytest.approx(0.5, abs=0.01)
    assert degrees == pytest.approx(np.degrees(0.1), abs=0.01)


def test_parity_is_of_votes_away_from_their_landmark(objective: VSNetObjective, images: np.ndarray) -> None:
    outputs = dict(TorchSession(objective, SMALL).run({"image": images[:1]}))
    beside = np.zeros_like(outputs["distances"])
    assert parity({**outputs, "distances": beside}, {**outputs, "votes": -outputs["votes"]}, SMALL) == (1.0, 0.0)
    far = beside + 100
    lost = {**outputs, "votes": np.full_like(outputs["votes"], np.nan)}
    assert np.isnan(parity({**outputs, "distances": far}, lost, SMALL)[1])


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_how_far_networks_may_be_apart(objective: VSNetObjective, images: np.ndarray, precision: str) -> None:
    recipe, found = VSNetRecipe(VSNetOptions()), TorchSession(objective, SMALL).run({"image": images})
    expected = {**found, "distances": found["distances"] + 100}
    assert recipe.disagreement(expected, found, SMALL, precision) is None  # type: ignore[arg-type]
    labels = np.where(np.arange(found["labels"].size).reshape(found["labels"].shape) % 20 == 0, 99, found["labels"])
    fault = recipe.disagreement(expected, {**found, "labels": labels}, SMALL, precision)  # type: ignore[arg-type]
    assert fault is not None
    assert "95.0 % of the labels agree, votes are 0.00 deg apart" in fault
    lost = {**found, "votes": np.full_like(found["votes"], np.nan)}
    assert "nan deg apart" in str(recipe.disagreement(expected, lost, SMALL, precision))  # type: ignore[arg-type]
