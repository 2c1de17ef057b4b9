"""An image that gives no pose is looked at again in a smaller scale, as it is when it was taken from near by."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from support.building_scenes import opened_with, write_rooms
from support.sparse_scenes import EXTRACTOR, POSE, Sight, blank, room

from vloc_ros.core.model_spec import ModelSpec
from vloc_ros.core.query import Prior, Query, View
from vloc_ros.core.types import CameraImage, LandmarkMap, PoseEstimate, Rejection
from vloc_ros.features.extractor import within
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.pose_error import RIGHT_POSE, pose_error
from vloc_ros.map_localizer import Localizer
from vloc_ros.methods.network_input import image_pixels, padded_input, scaled_size
from vloc_ros.methods.pram.method import SMALLER, PRAMMethod
from vloc_ros.training.cached_frames import CachedPRAM

CLUTTER = Sight(shown=0, clutter=200)


@dataclass(frozen=True)
class House:
    directory: Path
    maps: Mapping[str, LandmarkMap]


def smaller(tensors: Mapping[str, np.ndarray], scale: float = SMALLER) -> dict[str, np.ndarray]:
    """What an extractor finds of the same view in this scale."""
    pixels = (tensors["key_points"] + 0.5) * scale - 0.5
    return {**tensors, "key_points": pixels.astype(np.float32)}


@dataclass
class ScaleSession:
    """An extractor that tells by the strip of a `marked` image in which scale it is shown, and finds `seen` of it."""

    seen: Mapping[float, Mapping[str, np.ndarray]]
    spec: ModelSpec = EXTRACTOR["extractor"]
    max_batch: int = 8
    backend = "scales"
    asked: list[float] = field(default_factory=list)

    def run(self, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        rows = [self.seen[self._scale(image)] for image in inputs["image"]]
        return {name: np.stack([row[name] for row in rows]) for name in self.spec.outputs}

    def _scale(self, image: np.ndarray) -> float:
        dark = np.flatnonzero((image[:, 0] < 128).any(axis=1))[0]
        scale = min(self.seen, key=lambda each: abs(each * len(image) - 1.1 * dark))
        self.asked.append(scale)
        return scale


def marked() -> CameraImage:
    """White, with a dark strip from a tenth of its height above its lower end."""
    image = blank()
    rgb = np.full_like(image.rgb, 255)
    rgb[round(len(rgb) / 1.1) :] = 0
    return replace(image, rgb=rgb)


@pytest.fixture(scope="module")
def landmark_map() -> LandmarkMap:
    return room()


def session_of(landmark_map: LandmarkMap, first: Sight, second: Sight) -> ScaleSession:
    return ScaleSession({
        1.0: first.tensors(landmark_map, POSE), SMALLER: smaller(second.tensors(landmark_map, POSE))
    })  # fmt: skip


def test_an_image_without_pose_is_looked_at_again_smaller(landmark_map: LandmarkMap) -> None:
    session = session_of(landmark_map, CLUTTER, Sight())
    result = Localizer(landmark_map, PRAMMethod(), {"extractor": session}).localize(marked())
    assert session.asked == [1.0, SMALLER]
    assert isinstance(result, PoseEstimate)
    assert pose_error(result.map_from_camera, POSE).within(RIGHT_POSE)
    shown = result.correspondences.pixels[result.inliers]  # of the image as it is
    seen, _ = blank().camera.project(
        (result.correspondences.points[result.inliers] - POSE[:3, 3]) @ POSE[:3, :3]
    )  # fmt: skip
    assert np.abs(shown - seen).max() < 4


def test_key_points_of_a_smaller_image_are_as_much_less_accurate(landmark_map: LandmarkMap) -> None:
    sigmas = []
    for first in (Sight(), CLUTTER):
        session = session_of(landmark_map, first, Sight())
        result = Localizer(landmark_map, PRAMMethod(), {"extractor": session}).localize(marked())
        assert isinstance(result, PoseEstimate)
        sigmas.append(np.median(result.correspondences.sigmas[result.inliers]))
    assert sigmas[1] / sigmas[0] == pytest.approx(1 / SMALLER, rel=0.05)


def test_an_image_with_a_pose_is_looked_at_once(landmark_map: LandmarkMap) -> None:
    session = session_of(landmark_map, Sight(), CLUTTER)
    result = Localizer(landmark_map, PRAMMethod(), {"extractor": session}).localize(marked())
    assert isinstance(result, PoseEstimate)
    assert session.asked == [1.0]


def test_of_two_looks_without_pose_the_one_with_more_inliers_is_told(landmark_map: LandmarkMap) -> None:
    few = Sight(shown=12, clutter=300)
    for first, second in ((few, CLUTTER), (CLUTTER, few)):
        session = session_of(landmark_map, first, second)
        result = Localizer(landmark_map, PRAMMethod(), {"extractor": session}).localize(marked())
        assert session.asked == [1.0, SMALLER]
        assert isinstance(result, Rejection)
        assert result.refused is not None
        assert result.refused.inlier_count > 8


def test_many_at_once_are_looked_at_again_as_one_is(landmark_map: LandmarkMap) -> None:
    session = session_of(landmark_map, CLUTTER, Sight())
    localizer = Localizer(landmark_map, PRAMMethod(), {"extractor": session})
    one = localizer.localize(marked())
    assert isinstance(one, PoseEstimate)
    for found in localizer.localize_all([marked()] * 3):
        assert isinstance(found, PoseEstimate)
        assert np.array_equal(found.map_from_camera, one.map_from_camera)
    assert sorted(session.asked) == [SMALLER] * 4 + [1.0] * 4


def test_what_is_read_from_a_cache_is_looked_at_once() -> None:
    assert list(CachedPRAM().scales) == [1.0]


def test_what_was_added_beside_an_image_has_no_key_points() -> None:
    tensors = {
        "key_points": np.array([[5.0, 5.0], [80.0, 5.0], [5.0, 70.0], [69.6, 9.0]], dtype=np.float32),
        "scores": np.array([0.9, 0.8, 0.7, 0.6], dtype=np.float32),
        "descriptors": np.arange(8, dtype=np.float32).reshape(4, 2),
    }
    found = within(tensors, np.array([70, 60]))
    assert np.allclose(found["scores"], [0.9, 0, 0, 0])
    assert found["key_points"][0].tolist() == [5, 5]
    batch = within({name: np.stack([each, each]) for name, each in tensors.items()}, np.array([[70, 60], [100, 100]]))
    assert np.array_equal(batch["scores"][0], found["scores"])
    assert np.array_equal(batch["descriptors"][1], tensors["descriptors"])


@pytest.mark.parametrize("size", [(640, 480), (640, 360), (480, 640)])
def test_a_pixel_of_a_smaller_input_is_that_of_the_image(size: tuple[int, int]) -> None:
    camera = Camera(*size, 500.0, 500.0, size[0] / 2, size[1] / 2)
    rgb = np.zeros((size[1], size[0], 3), np.uint8)
    rgb[size[1] // 2 : size[1] // 2 + 20, size[0] // 4 : size[0] // 4 + 20] = 255
    image = CameraImage(rgb, camera)
    small = padded_input(image, (320, 240), 0.5)
    assert small.shape == (240, 320, 3)
    rows, columns = np.nonzero(small[..., 0] > 128)
    pixels, factor = image_pixels(np.array([[columns.mean(), rows.mean()]]), image, (320, 240), 0.5)
    assert pixels[0] == pytest.approx([size[0] // 4 + 9.5, size[1] // 2 + 9.5], abs=1.5)
    assert factor == pytest.approx(size[0] / scaled_size(*size, (320, 240), 0.5)[0], rel=0.01)


def test_a_query_keeps_its_views_in_the_scale_that_they_have() -> None:
    query = Query.of(blank())
    assert query.scaled(1.0) is query
    assert [view.scale for view in query.scaled(0.5).views] == [0.5]
    wide = View(blank(), scale=0.5).in_pinhole_views()
    assert [view.scale for view in wide] == [0.5]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    directory = tmp_path_factory.mktemp("looks") / "house"
    return House(directory, write_rooms(directory, ("hall", "attic")))


def test_a_building_looks_again_at_what_it_does_not_recognise(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    session = session_of(house.maps["attic"], CLUTTER, Sight(seed=101))
    result = opened_with(monkeypatch, house.directory, session).localize(marked())
    assert isinstance(result, PoseEstimate)
    assert (result.place, session.asked) == ("attic", [1.0, SMALLER])
    assert pose_error(result.map_from_camera, POSE).within(RIGHT_POSE)


@pytest.mark.parametrize("place", ["hall", ""])
def test_a_building_looks_once_where_a_pose_explains_enough_or_is_in_the_place_of_the_prior(
    house: House, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    session = session_of(house.maps["hall"], Sight(seed=101), CLUTTER)
    prior = Prior(POSE, 0.01 * np.eye(6), place) if place else None
    result = opened_with(monkeypatch, house.directory, session).localize(Query.of(marked(), prior))
    assert isinstance(result, PoseEstimate)
    assert (result.place, session.asked) == ("hall", [1.0])


def test_the_look_that_explains_more_names_the_place_of_a_rejected_image(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {name: Sight(shown=20, clutter=150, seed=101) for name in house.maps}
    seen = {name: sight.tensors(house.maps[name], POSE) for name, sight in few.items()}
    for names in (("hall", "attic"), ("attic", "hall")):
        session = ScaleSession({1.0: CLUTTER.tensors(house.maps["hall"], POSE), SMALLER: smaller(seen[names[1]])})
        result = opened_with(monkeypatch, house.directory, session).localize(marked())
        assert isinstance(result, Rejection)
        assert (result.place, session.asked) == (names[1], [1.0, SMALLER])
