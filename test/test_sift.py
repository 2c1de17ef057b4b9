"""SIFT with the tensors of an extractor."""

import numpy as np
import pytest

from vloc_ros.core.feature_spec import DESCRIPTORS, KEY_POINTS, SCORES
from vloc_ros.features.sift import sift
from vloc_ros.features.types import KeyPoints

WIDTH, HEIGHT = 160, 120


def blob(x: float, y: float, sigma: float = 4.0) -> np.ndarray:
    columns, rows = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    grey = 40 + 180 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    return np.repeat(grey.round().astype(np.uint8)[..., None], 3, axis=2)


def texture(seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))


@pytest.mark.parametrize(("x", "y"), [(60.0, 50.0), (80.3, 61.7), (99.5, 40.5)])
@pytest.mark.parametrize("sigma", [2.0, 4.0, 6.0])
def test_a_blob_is_found_where_it_is(x: float, y: float, sigma: float) -> None:
    found = KeyPoints.of(sift(blob(x, y, sigma), 10))
    np.testing.assert_allclose(found.pixels[0], (x, y), atol=0.06)


def test_the_strongest_come_first_and_all_descriptors_have_the_length_1() -> None:
    many, few = sift(texture(), 2000), sift(texture(), 30)
    count = int((many[SCORES] > 0).sum())
    assert 30 < count < 2000
    assert (np.diff(many[SCORES]) <= 0).all()
    np.testing.assert_allclose(np.linalg.norm(many[DESCRIPTORS][:count], axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(few[SCORES], many[SCORES][:30])
    for tensors, k in ((many, 2000), (few, 30)):
        assert {name: tensor.shape for name, tensor in tensors.items()} == {
            KEY_POINTS: (k, 2),
            SCORES: (k,),
            DESCRIPTORS: (k, 128),
        }
        assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.float32)}


def test_descriptors_are_those_of_the_same_texture_when_it_is_moved() -> None:
    image = texture()
    here, there = (KeyPoints.of(sift(np.ascontiguousarray(image[:96, x : x + 128]), 100)) for x in (0, 8))
    similar = here.descriptors @ there.descriptors.T
    best = similar.argmax(axis=1)
    moved = here.pixels - there.pixels[best]
    assert (np.linalg.norm(moved - (8, 0), axis=1) < 0.5).mean() > 0.6


@pytest.mark.parametrize("value", [0, 128, 255])
def test_an_image_that_shows_nothing_has_no_key_points(value: int) -> None:
    tensors = sift(np.full((HEIGHT, WIDTH, 3), value, np.uint8), 50)
    assert not tensors[SCORES].any()
    assert np.isfinite(tensors[DESCRIPTORS]).all()
    assert len(KeyPoints.of(tensors)) == 0
