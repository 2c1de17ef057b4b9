"""Places that look alike, told apart by the colours of their surfaces: in any light, in grey, by any view of a rig."""

from dataclasses import replace

import numpy as np
import pytest
from support.painted_walls import CAMERA, HERE, OTHER_POSTER, PLAIN, POSTER, Painting, painted_image, painted_surface

from vloc_ros.core.query import View
from vloc_ros.core.types import CameraImage
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.methods.surface_comparison import Guess, told_apart

TOLD = 0.5


def guesses(*paintings: Painting) -> list[Guess | None]:
    return [Guess(painted_surface(each), HERE) for each in paintings]


def lit(image: CameraImage, *gains: float) -> CameraImage:
    return replace(image, rgb=np.clip(image.rgb * np.array(gains), 0, 255).astype(np.uint8))


def test_a_poster_tells() -> None:
    for paintings in ((POSTER, PLAIN), (POSTER, OTHER_POSTER), (PLAIN, POSTER)):
        scores = told_apart([View(painted_image(paintings[0]))], guesses(*paintings))
        assert scores[0, 1] > 10
        assert scores[1, 0] == -scores[0, 1]
        assert np.isnan(np.diag(scores)).all()


@pytest.mark.parametrize("gains", [(0.4, 0.4, 0.4), (1.3, 1.3, 1.3), (1.15, 1, 0.8), (0.5, 0.6, 0.8)])
def test_exposure_and_white_balance_change_nothing(gains: tuple[float, float, float]) -> None:
    for shown in (POSTER, PLAIN):
        image = painted_image(shown)
        usual, other = (told_apart([View(each)], guesses(POSTER, PLAIN))[0, 1] for each in (image, lit(image, *gains)))
        assert other == pytest.approx(usual, rel=0.2)


def test_the_edge_of_a_poster_is_enough() -> None:
    turned = HERE @ from_quaternion(np.array([0, np.sin(-0.32), 0, np.cos(-0.32)]), np.zeros(3))
    image = painted_image(POSTER, turned)
    assert 20 < (image.rgb != painted_image(PLAIN, turned).rgb).any(axis=2).sum() < 3000
    both: list[Guess | None] = [Guess(painted_surface(each), turned) for each in (PLAIN, POSTER)]
    assert told_apart([View(image)], both)[1, 0] > TOLD
    assert told_apart([View(painted_image(PLAIN, turned))], both)[0, 1] > TOLD


def test_where_nothing_that_differs_is_in_view_nothing_is_told() -> None:
    away = HERE @ from_quaternion(np.array([0, np.sin(-0.5), 0, np.cos(-0.5)]), np.zeros(3))
    both: list[Guess | None] = [Guess(painted_surface(each), away) for each in (PLAIN, POSTER)]
    assert abs(told_apart([View(painted_image(POSTER, away))], both)[0, 1]) < TOLD


def test_a_place_that_was_mapped_in_another_light_is_recognised() -> None:
    dark = [replace(each, light=(0.4, 0.45, 0.6)) for each in (POSTER, PLAIN)]
    for right, wrong in ((dark[0], PLAIN), (POSTER, dark[1]), (dark[1], POSTER), (PLAIN, dark[0])):
        image = painted_image(replace(right, light=(1.0, 1.0, 1.0)))
        assert told_apart([View(image)], guesses(right, wrong))[0, 1] > 5


def test_a_grey_image_is_compared_in_grey() -> None:
    grey = np.repeat(painted_image(POSTER).rgb.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    assert told_apart([View(replace(painted_image(POSTER), rgb=grey))], guesses(POSTER, PLAIN))[0, 1] > 5


def test_what_neither_place_has_speaks_for_none() -> None:
    image = painted_image(PLAIN)
    image.rgb[60:180, 120:200] = (20, 220, 30)  # somebody before the poster, or where it would be
    scores = told_apart([View(image)], guesses(POSTER, PLAIN))
    assert scores[1, 0] > TOLD, "what is beside them still tells"
    everything = replace(image, rgb=np.full_like(image.rgb, 90))
    everything.rgb[::2] = 110
    assert abs(told_apart([View(everything)], guesses(POSTER, OTHER_POSTER))[0, 1]) < 60


def test_any_view_of_a_rig_may_tell() -> None:
    half_turn = from_quaternion(np.array([0.0, 1.0, 0.0, 0.0]), np.zeros(3))
    front, back = View(painted_image(POSTER)), View(painted_image(PLAIN), half_turn)
    both = guesses(POSTER, PLAIN)
    alone = told_apart([front], both)[0, 1]
    assert told_apart([front, back], both)[0, 1] == told_apart([back, front], both)[0, 1] == alone
    assert np.isnan(told_apart([back], both)).all(), "no cell shows a surface"


def test_what_is_not_known_is_not_told() -> None:
    view = View(painted_image(POSTER))
    assert np.isnan(told_apart([view], [None, None])).all()
    some, other = guesses(POSTER, PLAIN)
    scores = told_apart([view], [some, None, other])
    assert np.isnan(scores[1]).all()
    assert scores[0, 2] > 10
    assert told_apart([view], []).shape == (0, 0)


def test_distorted_images_and_other_sizes() -> None:
    for camera in (CAMERA.resized(640, 480), replace(CAMERA, distortion=(-0.2, 0.05, 0.0, 0.0))):
        image = painted_image(POSTER, camera=camera)
        assert told_apart([View(image)], guesses(POSTER, PLAIN))[0, 1] > 10
