"""How much of an image has the colours of a place's surface, and places that look alike, told apart by them: in any
light, in grey, by any view of a rig."""

from dataclasses import replace

import numpy as np
import pytest
from support.painted_walls import (
    CAMERA,
    HERE,
    OTHER_POSTER,
    PLAIN,
    POSTER,
    Painting,
    painted_image,
    painted_surface,
    tiles,
)

from vloc_ros.core.query import View
from vloc_ros.core.types import CameraImage
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.methods.surface_comparison import Guess, agreement, told_apart

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


def share(image: CameraImage, painting: Painting = POSTER, pose: np.ndarray = HERE) -> float:
    found = agreement([View(image)], Guess(painted_surface(painting), pose))
    assert found is not None
    return found


@pytest.mark.parametrize("gains", [(1, 1, 1), (0.4, 0.4, 0.4), (1.3, 1.3, 1.3), (1.15, 1, 0.8), (0.5, 0.6, 0.8)])
def test_an_image_agrees_with_the_surface_from_where_it_was_taken(gains: tuple[float, float, float]) -> None:
    assert share(lit(painted_image(POSTER), *gains)) > 0.9
    grey = np.repeat(painted_image(POSTER).rgb.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    assert share(lit(replace(painted_image(POSTER), rgb=grey), gains[0], gains[0], gains[0])) > 0.85


def test_a_lamp_or_a_window_in_a_part_of_the_view_is_allowed_for() -> None:
    whole = painted_image(POSTER)
    for part in (np.s_[:, :160], np.s_[120:], np.s_[:120, 160:]):
        for gains in ((1.3, 1.0, 0.6), (0.6, 0.65, 0.7)):
            image = replace(whole, rgb=whole.rgb.copy())
            image.rgb[part] = np.clip(image.rgb[part] * np.array(gains), 0, 249)
            assert share(image) > 0.85
    image.rgb[:, :160] = np.clip(whole.rgb[:, :160] * np.array([0.1, 1.0, 1.3]), 0, 249)
    assert share(image) < 0.7, "no lamp does that"


def test_behind_a_veil_colours_have_to_be_alike_too() -> None:
    for image, agrees in ((painted_image(POSTER), True), (tiles(), False)):
        veiled = replace(image, rgb=np.rint(0.2 * image.rgb + 170).astype(np.uint8))
        assert (share(veiled) > 0.8) == agrees
        assert share(veiled) == pytest.approx(share(image), abs=0.15)


def test_it_does_not_where_it_shows_something_else() -> None:
    poster = (painted_image(POSTER).rgb != painted_image(PLAIN).rgb).any(axis=2).mean()
    assert share(painted_image(PLAIN)) == pytest.approx(share(painted_image(POSTER)) - poster, abs=0.03)
    moved = HERE.copy()
    moved[:2, 3] = 0.5, 0.3
    assert share(painted_image(POSTER), pose=moved) < 0.85
    assert share(tiles()) < 0.2


def test_what_is_in_the_way_counts_by_how_much_it_hides() -> None:
    whole = painted_image(POSTER)
    for columns in (80, 160):
        image = replace(whole, rgb=whole.rgb.copy())
        image.rgb[:, :columns] = (
            np.random.default_rng(0).integers(0, 240, (24, columns // 10, 3)).repeat(10, 0).repeat(10, 1)
        )
        assert share(image) == pytest.approx(1 - columns / 320, abs=0.07)


def test_clipped_light_says_nothing() -> None:
    image = painted_image(PLAIN)
    image.rgb[:120] = 255
    assert share(image, PLAIN) > 0.9
    image.rgb[:] = 255
    assert agreement([View(image)], Guess(painted_surface(PLAIN), HERE)) is None


def test_what_is_beside_an_undistorted_image_says_nothing() -> None:
    camera = replace(CAMERA, distortion=(0.3, 0.0, 0.0, 0.0))
    image = painted_image(POSTER, camera=camera)
    assert (camera.undistort(np.full_like(image.rgb, 255)) == 0).mean() > 0.05
    assert share(image) > 0.87


def test_all_views_of_a_rig_agree_together() -> None:
    turned = HERE @ from_quaternion(np.array([0, np.sin(-0.4), 0, np.cos(-0.4)]), np.zeros(3))
    away = HERE @ from_quaternion(np.array([0.0, 1.0, 0.0, 0.0]), np.zeros(3))
    right, wrong = View(painted_image(POSTER)), View(painted_image(POSTER), turned)
    guess = Guess(painted_surface(POSTER), HERE)
    one, other, both, more = (
        agreement(views, guess) for views in ([right], [wrong], [right, wrong], [right, View(right.image, away)])
    )
    assert one is not None
    assert other is not None
    assert other < one - 0.1
    assert both == pytest.approx((one + other) / 2, abs=0.01)
    assert more == one, "the view that shows nothing of the surface does not count"
    assert agreement([View(right.image, away)], guess) is None
