"""Places with surfaces: a pose has to look like its place, and needs less evidence where it does."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.building_scenes import opened_with, place_map, seeing, write_place
from support.painted_walls import POSTER, painted_image, painted_surface
from support.sparse_scenes import POSE, SeenSession, Sight, blank

from vloc_ros.core.place_surface import PlaceSurface
from vloc_ros.core.query import Prior, Query
from vloc_ros.core.types import LandmarkMap, PoseEstimate, Rejection, RejectionReason
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import apply
from vloc_ros.training.building import put_together


@pytest.fixture(scope="module")
def rooms() -> Mapping[str, LandmarkMap]:
    return {name: place_map(name, seed) for name, seed in (("attic", 1), ("kitchen", 3))}


def with_walls(rooms: Mapping[str, LandmarkMap], directory: Path, least: float, **thresholds: float) -> None:
    """The attic and the kitchen, both with the poster; these thresholds of their gates."""
    surface = painted_surface(POSTER)
    surface = PlaceSurface.of(apply(POSE, surface.positions), surface.colors, surface.voxel_m)
    for name in ("attic", "kitchen"):
        manifest = rooms[name].manifest
        gate = replace(manifest.gate, **thresholds)  # type: ignore[arg-type]
        changed = replace(rooms[name], manifest=replace(manifest, gate=gate))
        write_place(directory, name, replace(changed, surface=replace(surface, least_agreement=least)))
    put_together(directory, ["attic", "kitchen"], "map")


def test_a_pose_is_not_believed_from_which_the_place_looks_otherwise(
    rooms: Mapping[str, LandmarkMap], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_walls(rooms, tmp_path, 0.5)
    localizer = seeing(monkeypatch, tmp_path, rooms["attic"])
    image = painted_image(POSTER, camera=blank().camera)
    usual = localizer.localize(image)
    assert isinstance(usual, PoseEstimate)
    columns = np.random.default_rng(0).integers(0, 240, (1, image.rgb.shape[1] // 20 + 1, 3), dtype=np.uint8)
    image.rgb[:] = columns.repeat(20, axis=1)[:, : image.rgb.shape[1]]
    prior = Prior(POSE, np.diag([0.01] * 3 + [0.001] * 3), "attic")
    for query in (Query.of(image), Query.of(image, prior)):
        result = localizer.localize(query)
        assert isinstance(result, Rejection)
        assert (result.reason, result.place) == (RejectionReason.UNLIKE_SURFACE, "attic")
        assert result.refused is not None
        np.testing.assert_allclose(result.refused.map_from_camera, usual.map_from_camera, atol=1e-3)
        assert "% of the image has the colours of the place's surface, below 50 %" in result.detail
    assert isinstance(localizer.gated(min_agreement=0.001).localize(image), PoseEstimate)
    with_walls(rooms, tmp_path / "any", 0.0)
    lax = seeing(monkeypatch, tmp_path / "any", rooms["attic"])
    assert isinstance(lax.localize(image), PoseEstimate)
    assert isinstance(lax.gated(min_agreement=0.5).localize(image), Rejection)
    with pytest.raises(ConfigError, match=r"min_agreement is 1\.5"):
        lax.gated(min_agreement=1.5)


def test_a_pose_is_believed_for_fewer_inliers_where_the_place_looks_like_the_image(
    rooms: Mapping[str, LandmarkMap], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_walls(rooms, tmp_path, 0.5, min_inlier_ratio=1.0)
    blurred = Sight(seed=101, noise_px=3.0).tensors(rooms["attic"], POSE)
    localizer = opened_with(monkeypatch, tmp_path, SeenSession([blurred]))
    alike = painted_image(POSTER, camera=blank().camera)
    assert isinstance(localizer.localize(alike), PoseEstimate)
    for asked, image in ((localizer, blank()), (localizer.gated(min_inlier_ratio=1.0), alike)):
        result = asked.localize(image)
        assert isinstance(result, Rejection)
        assert (result.reason, result.place) == (RejectionReason.LOW_INLIER_RATIO, "attic")


def test_the_first_image_finds_the_surface_ready(
    rooms: Mapping[str, LandmarkMap], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_walls(rooms, tmp_path, 0.5)
    localizer = seeing(monkeypatch, tmp_path, rooms["attic"])
    drawn: list[PlaceSurface] = []
    seen = PlaceSurface.seen

    def noted(surface: PlaceSurface, camera: Camera, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        drawn.append(surface)
        return seen(surface, camera, pose)

    monkeypatch.setattr(PlaceSurface, "seen", noted)
    localizer.warm_up()
    assert drawn, "what draws it is loaded, or compiled, before there is an image"
