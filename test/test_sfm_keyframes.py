"""Which images without poses a reconstruction is made of, and which pairs of them are matched."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pycolmap
import pytest
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from support.photo_scenes import picture, poses

from vloc_ros.core.feature_spec import SIFT, SIFT_DIMENSIONS, FeatureSpec
from vloc_ros.features.cache import FeatureCache
from vloc_ros.mapping.sfm import keyframes as module
from vloc_ros.mapping.sfm.keyframes import LEAST, MAX_FLOW, choose_keyframes
from vloc_ros.mapping.sfm.mapper import KEYFRAMES
from vloc_ros.mapping.sfm.options import ReconstructionOptions
from vloc_ros.mapping.sfm.pairs import PairKind, choose_pairs
from vloc_ros.mapping.sfm.scale import ScaleOptions
from vloc_ros.mapping.sfm.similarity import robust_umeyama
from vloc_ros.progress import Silent
from vloc_ros.training.map_options import MapOptions
from vloc_ros.training.photo_sources import reconstructed
from vloc_ros.training.pram.options import PRAMOptions

SIZE = (200, 150)
STEP_PX = MAX_FLOW * max(SIZE)
RNG = np.random.default_rng(0)


def features_of(scenes: Sequence[int], moved_px: Sequence[float]) -> FeatureCache:
    """Of images that each show a scene, moved to the right by so many pixels."""
    count, points = len(scenes), 30
    shape = (points, SIFT_DIMENSIONS)
    described = {scene: _unit(np.random.default_rng(scene).normal(size=shape)) for scene in set(scenes)}
    places = RNG.uniform(0, SIZE, (points, 2))
    pixels = places + np.array([(moved, 0) for moved in moved_px])[:, None]
    return FeatureCache(
        FeatureSpec(SIFT, points, SIFT_DIMENSIONS), tuple(map(str, range(count))), SIZE, pixels.astype(np.float32),
        np.ones((count, points), np.float32), np.stack([described[scene] for scene in scenes]).astype(np.float16),
        np.zeros((count, points), np.float32), np.ones((count, 4)), np.zeros((count, 3), np.float32),
    )  # fmt: skip


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_images_of_a_slow_video_are_thinned_out() -> None:
    moved = np.arange(0, 4 * LEAST * STEP_PX, STEP_PX / 4)
    chosen = choose_keyframes(features_of([0] * len(moved), moved.tolist()))
    assert len(chosen) >= LEAST
    assert (chosen[0], chosen[-1]) == (0, len(moved) - 1)
    steps = np.diff(moved[chosen])
    assert (steps <= STEP_PX + 0.01).all()
    assert np.median(steps) > 0.7 * STEP_PX


def test_where_they_would_be_few_they_are_chosen_nearer_to_each_other() -> None:
    moved = np.arange(10 * LEAST) * STEP_PX / 20
    chosen = choose_keyframes(features_of([0] * len(moved), moved.tolist()))
    assert LEAST <= len(chosen) < 4 * LEAST


@pytest.mark.parametrize("count", [LEAST // 2, 2 * LEAST])
def test_photos_that_have_nothing_in_common_with_the_one_before_are_all_keyframes(count: int) -> None:
    scenes = [number % 2 for number in range(count)]
    assert len(choose_keyframes(features_of(scenes, [0.0] * count))) == count


def test_both_images_beside_a_gap_are_keyframes() -> None:
    scenes = [0] * 3 * LEAST + [1] * 3 * LEAST
    moved = np.arange(len(scenes)) * STEP_PX / 3
    chosen = choose_keyframes(features_of(scenes, moved.tolist()))
    assert {3 * LEAST - 1, 3 * LEAST} <= set(chosen.tolist())


def test_images_of_one_place_without_any_motion_are_all_keyframes() -> None:
    assert len(choose_keyframes(features_of([0] * 2 * LEAST, [0.0] * 2 * LEAST))) == 2 * LEAST


@pytest.mark.parametrize("kind", get_args(PairKind))
def test_each_image_is_matched_with_keyframes_around_it(kind: PairKind) -> None:
    count = 80
    features, keyframes = features_of(list(range(count)), [0.0] * count), np.arange(0, count, 4)
    pairs = choose_pairs(features, keyframes, kind, partners=5)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    assert np.isin(pairs, keyframes).any(axis=1).all()
    links = coo_matrix((np.ones(len(pairs)), pairs.T), (count, count))
    assert connected_components(links, directed=False)[0] == 1
    for row in range(1, 76):
        before, behind = keyframes[keyframes < row].max(), keyframes[keyframes > row].min()
        own = pairs[(pairs == row).any(axis=1)]
        assert {before, behind} <= set(own.ravel().tolist())


def test_pairs_of_all_images_are_all_pairs_where_all_are_keyframes() -> None:
    pairs = choose_pairs(features_of([0] * 12, [0.0] * 12), np.arange(12), "all")
    assert len(pairs) == 12 * 11 // 2


def test_images_between_keyframes_get_poses_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reconstruction of some images, which others are put into."""
    monkeypatch.setattr(module, "LEAST", 8)
    true = np.stack(poses(20))
    (tmp_path / "video").mkdir()
    for row, pose in enumerate(true):
        cv2.imwrite(str(tmp_path / "video" / f"{row:02d}.png"), picture(pose))
    work = tmp_path / "work"
    asked = MapOptions("images", tmp_path / "video", "all", tmp_path / "map", work, PRAMOptions(features="sift"))
    reconstructed(asked, ReconstructionOptions(scale=ScaleOptions(none=True)), Silent())
    assert 8 <= len((work / "sfm" / KEYFRAMES).read_text().splitlines()) < 20
    model = pycolmap.Reconstruction(str(work / "sfm/adjusted"))
    assert model.num_reg_images() == 20
    images = sorted(model.images.values(), key=lambda image: image.name)
    centres = np.stack([image.projection_center() for image in images])
    similarity, _ = robust_umeyama(centres, true[:, :3, 3])
    off = np.linalg.norm(similarity.apply(centres) - true[:, :3, 3], axis=1)
    assert np.median(off) < 0.02
    assert off.max() < 0.06
