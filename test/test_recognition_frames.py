"""Labels of key points: the landmark of the point that each observes, or that projects next to it; none otherwise."""

import numpy as np
import pytest
from support.points_on_a_wall import CAMERA, WallFeatures, wall

from vloc_ros.features.types import KeyPoints
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.mapping.point_regions import PointRegions, divide_points
from vloc_ros.training.pram.recognition_frames import (
    PointLabeller,
    PosedImages,
    labelled_images,
    recognition_frames,
)

FRAME = 4


@pytest.fixture(scope="module")
def regions() -> PointRegions:
    return divide_points(wall(points=400, frames=8, share=0.7), 6)


@pytest.fixture(scope="module")
def features(regions: PointRegions) -> WallFeatures:
    return WallFeatures(regions.reconstruction)


@pytest.fixture(scope="module")
def labeller(regions: PointRegions, features: WallFeatures) -> PointLabeller:
    return PointLabeller(regions, features)


def test_a_key_point_has_the_landmark_of_the_point_that_it_observes(
    regions: PointRegions, features: WallFeatures, labeller: PointLabeller
) -> None:
    labels = labeller.of_mapping_frame(FRAME, features.key_points(FRAME))
    points = regions.reconstruction
    observed = points.points[points.frames == FRAME]
    assert np.array_equal(labels[: len(observed)], regions.regions[observed] + 1)
    assert not labels[len(observed) :].any()


def test_key_points_of_any_image_are_labelled_by_projection(
    regions: PointRegions, features: WallFeatures, labeller: PointLabeller
) -> None:
    pose = regions.reconstruction.map_from_camera[FRAME].copy()
    pose[:3, 3] += [0.2, 0.1, -0.1]
    pixels, _ = CAMERA.project(apply(invert(pose), regions.reconstruction.positions))
    inside = ((pixels >= 0) & (pixels <= [639, 479])).all(axis=1)
    descriptors = features.of_points()[inside]
    ones = np.ones(len(descriptors), np.float32)
    for away, expected in ((1.0, regions.regions[inside] + 1), (30.0, None)):
        moved = KeyPoints(pixels[inside] + [away, 0], ones, descriptors)
        labels = labeller.of_image(moved, pose, CAMERA)
        assert not labels.any() if expected is None else np.array_equal(labels, expected)
    unlike = KeyPoints(pixels[inside], ones, descriptors[::-1].copy())
    assert (labeller.of_image(unlike, pose, CAMERA) > 0).mean() < 0.05


def test_an_image_of_elsewhere_shows_nothing(labeller: PointLabeller, features: WallFeatures) -> None:
    away = np.eye(4)
    away[:3, 3] = [500.0, 0, 0]
    assert not labeller.of_image(features.key_points(0), away, CAMERA).any()


def test_other_images_of_the_places_have_the_same_landmarks(regions: PointRegions, features: WallFeatures) -> None:
    poses = regions.reconstruction.map_from_camera
    nothing = PosedImages(features, poses[:0])
    learned = recognition_frames([(regions, features), (regions, features)], 300)
    unseen = labelled_images([(regions, features, nothing), (regions, features, PosedImages(features, poses))], 300)
    assert (len(unseen), unseen.landmarks, unseen.size) == (len(features), learned.landmarks, learned.size)
    assert unseen.places.tolist() == [1] * len(features)
    of_second = learned.labels[len(features) :]
    assert (unseen.labels == of_second)[of_second > 0].mean() > 0.95


def test_places_have_landmarks_of_their_own(regions: PointRegions, features: WallFeatures) -> None:
    one = recognition_frames([(regions, features)], 300)
    two = recognition_frames([(regions, features), (regions, features)], 300)
    count, frames = len(regions.landmarks), len(features)
    assert (len(one), one.landmarks, one.size) == (frames, count, (640, 480))
    assert (len(two), two.landmarks) == (2 * frames, 2 * count)
    assert two.place_of_landmark.tolist() == [0] * count + [1] * count
    assert two.places.tolist() == [0] * frames + [1] * frames
    assert np.array_equal(two.labels[:frames], one.labels)
    assert np.array_equal(two.labels[frames:], np.where(one.labels > 0, one.labels + count, 0))
    assert np.allclose(np.linalg.norm(one.descriptors[one.scores > 0].astype(float), axis=1), 1, atol=1e-2)
