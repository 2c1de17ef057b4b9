"""Parts of a reconstruction that next to nothing holds together are named, whatever the images are called."""

import numpy as np
import pytest

from vloc_ros.mapping.colmap_model import ColmapModel
from vloc_ros.mapping.sfm.weak_link import describe_weak_link


def model(tracks: list[list[int]], count: int) -> ColmapModel:
    """Of images that are shuffled, so that their numbers say nothing."""
    place = np.random.default_rng(1).permutation(count)
    names = np.empty(count, dtype="<U8")
    names[place] = [f"image{index:03d}" for index in range(count)]
    observed_by = place[np.concatenate([np.array(track) for track in tracks])]
    observed = np.repeat(np.arange(len(tracks)), [len(track) for track in tracks])
    none = np.zeros((0, 2))
    return ColmapModel(
        names, np.full((count, 2), 100), np.tile(np.eye(4), (count, 1, 1)), np.zeros(count, np.int64),
        np.array(["PINHOLE"]), np.zeros((1, 12)), np.zeros((len(tracks), 3)), np.zeros(0, np.int64), np.zeros(0),
        observed_by, observed, none,
    )  # fmt: skip


def walk(first: int, last: int, points: int = 40) -> list[list[int]]:
    """Each image sees points that the next two see too."""
    return [[image, image + 1, image + 2] for image in range(first, last - 2) for _ in range(points)]


def test_two_places_with_one_thing_in_common_are_named() -> None:
    tracks = [*walk(0, 20), *walk(20, 32), *([3, 25],) * 4]
    said = describe_weak_link(model(tracks, 32))
    assert said is not None
    assert said.startswith("warning: 12 of 32 images hang together with the others by 4 points only, 1.0% of theirs: ")
    assert "image02" in said
    assert "image01" not in said


@pytest.mark.parametrize("count", [8, 12, 80])
def test_one_walk_is_one_place(count: int) -> None:
    assert describe_weak_link(model(walk(0, count), count)) is None


def test_a_narrow_passage_is_one_place() -> None:
    assert describe_weak_link(model([*walk(0, 20), *walk(20, 40), *([18, 21],) * 40], 40)) is None
