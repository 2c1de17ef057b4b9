"""Which pairs of images without poses are worth matching: those that follow each other, and those that look alike. One
of the two at least is a keyframe."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vloc_ros.mapping.frame_features import FeatureSource
from vloc_ros.progress import Advance, no_advance

Float32 = NDArray[np.float32]
Rows = NDArray[np.intp]
PairKind = Literal["similar", "sequence", "all"]

WORDS = 64  # of the vocabulary
ROUNDS = 8  # of k-means
SAMPLED = 40_000  # descriptors that the vocabulary is made of
FOLLOWING = 3  # images that each is matched with in the order of recording
PARTNERS = 15  # and so many that look like it
BESIDE = 2  # keyframes on each side of an image that is none, with which it is matched


def choose_pairs(
    features: FeatureSource, keyframes: Rows, kind: PairKind, partners: int = PARTNERS, advance: Advance = no_advance
) -> NDArray[np.int32]:
    """Pairs (n, 2) of images i < j. Of keyframes (k,), `similar`: the FOLLOWING ones and `partners` that are most
    alike; `sequence`: the `partners` following ones, and those twice, four times, ... as far away; `all`. Each image
    between them: the BESIDE keyframes before it and behind it, and but for `sequence` as many that are most alike."""
    count = len(features)
    others = np.setdiff1d(np.arange(count), keyframes)
    alike = np.zeros((count, len(keyframes)), np.float32)
    if kind != "sequence" and (len(others) or (kind == "similar" and len(keyframes) > partners)):
        alike = similarities(global_descriptors(features, advance), keyframes)
    found = [keyframes[_among(kind, partners, alike[keyframes])], _beside(others, keyframes)]
    if kind != "sequence":
        found.append(_most_alike(others, keyframes, alike[others], BESIDE))
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0).astype(np.int32)


def _among(kind: PairKind, partners: int, alike: Float32) -> Rows:
    """Pairs (n, 2) of keyframes, by their numbers, which are as much `alike` (k, k)."""
    count = len(alike)
    if kind == "all" or count <= partners:
        return np.argwhere(np.triu(np.ones((count, count), dtype=np.bool_), 1))
    steps = [*range(1, (FOLLOWING if kind == "similar" else partners) + 1)]
    if kind == "sequence":
        steps += [partners * 2**power for power in range(1, 12)]
    rows = np.arange(count)
    found = [np.column_stack([rows[:-step], rows[step:]]) for step in steps if step < count]
    if kind == "similar":
        found.append(_most_alike(rows, rows, alike, partners))
    return np.concatenate(found)


def _beside(others: Rows, keyframes: Rows) -> Rows:
    """Pairs (n, 2) of each image with the BESIDE keyframes before it and behind it, as far as there are so many."""
    behind = np.searchsorted(keyframes, others)
    numbers = behind[:, None] + np.arange(-BESIDE, BESIDE)
    there = (numbers >= 0) & (numbers < len(keyframes))
    return np.column_stack([np.repeat(others, there.sum(axis=1)), keyframes[numbers[there]]])


def _most_alike(rows: Rows, keyframes: Rows, alike: Float32, count: int) -> Rows:
    """Pairs (n, 2) of each of r rows with so many keyframes that are most `alike` (r, k)."""
    best = np.argsort(-alike, axis=1, kind="stable")[:, :count]
    return np.column_stack([np.repeat(rows, best.shape[1]), keyframes[best.ravel()]])


def similarities(descriptors: Float32, keyframes: Rows) -> Float32:
    """(F, k) of images' descriptors (F, D) with those of keyframes (k,), -1 of an image with itself."""
    alike: Float32 = descriptors @ descriptors[keyframes].T
    alike[keyframes, np.arange(len(keyframes))] = -1
    return alike


def global_descriptors(features: FeatureSource, advance: Advance = no_advance) -> Float32:
    """VLAD (F, WORDS D) of each image's key points (Jegou et al., CVPR 2010), normalised by word, then as a whole."""
    words = _vocabulary(features)
    rows = []
    for index in range(len(features)):
        descriptors = features.key_points(index).descriptors
        nearest = (descriptors @ words.T).argmax(axis=1)
        residuals = np.zeros_like(words)
        np.add.at(residuals, nearest, descriptors - words[nearest])
        rows.append(_unit(_unit(residuals).ravel()))
        advance(index + 1, len(features))
    return np.stack(rows)


def _vocabulary(features: FeatureSource) -> Float32:
    """Words (WORDS, D) of length 1, by spherical k-means of some of all descriptors."""
    rng = np.random.default_rng(0)
    each = max(1, SAMPLED // len(features))
    parts = [features.key_points(index).descriptors for index in range(len(features))]
    sample = np.concatenate([part[rng.permutation(len(part))[:each]] for part in parts])
    if not len(sample):
        return np.zeros((WORDS, parts[0].shape[1]), np.float32)
    words = sample[rng.integers(0, len(sample), WORDS)]
    for _ in range(ROUNDS):
        nearest = (sample @ words.T).argmax(axis=1)
        sums = np.zeros_like(words)
        np.add.at(sums, nearest, sample)
        words = np.where(np.bincount(nearest, minlength=WORDS)[:, None] > 0, _unit(sums), words)
    return np.asarray(words, dtype=np.float32)


def _unit(vectors: Float32) -> Float32:
    """Of length 1, or zeros."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12), dtype=np.float32)
