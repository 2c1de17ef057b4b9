"""Corrupted images: repeatable, of the same size and type, and as bad as they say."""

import numpy as np
import pytest

from vloc_ros.evaluation.corruptions import (
    CORRUPTIONS,
    Corruption,
    Severity,
    blurred,
    exposed,
    mirrored,
    noise_block,
    shuffled,
)

IMAGE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda corruption: corruption.name)
def test_every_hardship_is_repeatable_and_leaves_the_original_alone(corruption: Corruption) -> None:
    before = IMAGE.copy()
    results = [corruption.degrade(IMAGE, np.random.default_rng(1)) for _ in range(2)]
    assert (results[0] == results[1]).all()
    assert results[0].shape == IMAGE.shape
    assert results[0].dtype == np.uint8
    assert (before == IMAGE).all()
    assert (results[0] == IMAGE).all() == (corruption.name == "none")


def test_names_are_unique_and_every_severity_is_there() -> None:
    assert len({corruption.name for corruption in CORRUPTIONS}) == len(CORRUPTIONS)
    assert {corruption.severity for corruption in CORRUPTIONS} == set(Severity)


def test_a_noise_block_covers_its_share() -> None:
    black = np.zeros((100, 200, 3), np.uint8)
    covered = (noise_block(black, np.random.default_rng(0), 0.5) > 0).any(axis=2)
    assert np.any(covered, axis=1).sum() == 50
    assert covered.any(axis=0).sum() == 100


def test_light_and_blur_do_what_they_say() -> None:
    rng = np.random.default_rng(0)
    assert exposed(IMAGE, rng, 0.05).mean() < 0.5 * IMAGE.mean() < IMAGE.mean() < exposed(IMAGE, rng, 4.0).mean()
    assert blurred(IMAGE, rng, 0.02).std() < IMAGE.std()


@pytest.mark.parametrize("seed", range(20))
def test_no_two_tiles_of_a_shuffled_image_move_alike(seed: int) -> None:
    """Together they would show what a camera sees that was turned."""
    numbers = np.arange(16, dtype=np.uint8).reshape(4, 4)
    image = np.repeat(np.repeat(numbers, 6, axis=0), 8, axis=1)[..., None].repeat(3, axis=2)
    mixed = shuffled(image, np.random.default_rng(seed))[::6, ::8, 0]
    assert sorted(mixed.ravel()) == list(range(16))
    moves = {tuple(np.argwhere(mixed == number)[0] - np.argwhere(numbers == number)[0]) for number in range(16)}
    assert len(moves) == 16
    assert (0, 0) not in moves


def test_mirroring_twice_is_nothing_and_shuffling_leaves_no_tile_in_place() -> None:
    rng = np.random.default_rng(0)
    assert (mirrored(mirrored(IMAGE, rng), rng) == IMAGE).all()
    mixed = shuffled(IMAGE, rng)
    for y in range(0, 60, 15):
        for x in range(0, 80, 20):
            assert (mixed[y : y + 15, x : x + 20] != IMAGE[y : y + 15, x : x + 20]).any()
    assert sorted(mixed.ravel()) == sorted(IMAGE.ravel())
