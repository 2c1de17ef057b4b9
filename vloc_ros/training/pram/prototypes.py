"""What a recognizer begins with: descriptors that are typical of each landmark."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vloc_ros.training.pram.recognition_frames import RecognitionFrames

MOST = 1000  # descriptors of a landmark that are looked at
ROUNDS = 4

Float32 = NDArray[np.float32]


def landmark_prototypes(frames: RecognitionFrames, count: int, seed: int = 0) -> Float32:
    """`count` directions for each landmark (landmarks * count, D), landmark after landmark: the means of clusters
    (spherical k-means) of the descriptors of its key points; zeros for a landmark that no key point shows."""
    random = np.random.default_rng(seed)
    found = np.zeros((frames.landmarks, count, frames.descriptors.shape[2]), dtype=np.float32)
    rows, columns = np.nonzero((frames.scores > 0) & (frames.labels > 0))
    labels = frames.labels[rows, columns]
    order = np.argsort(labels, kind="stable")
    ends = np.searchsorted(labels[order], np.arange(1, frames.landmarks + 2))
    for landmark, (start, end) in enumerate(pairwise(ends)):
        if start < end:
            some = random.permutation(order[start:end])[:MOST]
            found[landmark] = _means(frames.descriptors[rows[some], columns[some]].astype(np.float32), count)
    return found.reshape(-1, found.shape[2])


def _means(descriptors: Float32, count: int) -> Float32:
    """Directions (count, D) of clusters of descriptors (N, D) in random order; some twice where there are too few."""
    means = descriptors[np.arange(count) % len(descriptors)]
    for _ in range(ROUNDS):
        nearest = (descriptors @ means.T).argmax(axis=1)
        sums = np.zeros_like(means)
        np.add.at(sums, nearest, descriptors)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        means = np.where(lengths > 0, sums / np.where(lengths > 0, lengths, 1), means)
    return means
