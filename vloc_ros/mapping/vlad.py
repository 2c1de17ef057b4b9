"""Global descriptors of images, made of their local ones: which images show the same is asked of them at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

WORDS, LEARNED_FROM = 64, 100_000  # and descriptors that they are learned from, at most


def visual_words(descriptors: Float32, words: int, learned_from: int = LEARNED_FROM, spread: bool = True) -> Float32:
    """(W, D): what many descriptors (N, D) are like, learned from some of them; fewer words where there are fewer.
    `spread`: it begins with descriptors that are unlike each other, the best of three choices. Of hundreds of words
    that takes most of the time, and words that begin anywhere are as near to the descriptors within half a percent."""
    from sklearn.cluster import MiniBatchKMeans  # with it comes SciPy's statistics: some tens of MB

    some = np.random.default_rng(0).permutation(len(descriptors))[:learned_from]
    init, tries = ("k-means++", 3) if spread else ("random", 1)
    found = MiniBatchKMeans(min(words, len(some)), init=init, random_state=0, n_init=tries, batch_size=4096)
    return np.asarray(found.fit(descriptors[some]).cluster_centers_, np.float32)


@dataclass(frozen=True, eq=False)
class Vlad:
    """Residuals of local descriptors from their visual words (W, D), summed by word, each word and all of length 1
    (Jegou et al., "Aggregating local descriptors into a compact image representation", CVPR 2010)."""

    words: Float32

    @staticmethod
    def learned(descriptors: Float32, words: int = WORDS, learned_from: int = LEARNED_FROM) -> "Vlad":
        """From many descriptors (N, D); fewer words where there are fewer of them."""
        return Vlad(visual_words(descriptors, words, learned_from))

    def __call__(self, descriptors: Float32) -> Float32:
        """Of one image's descriptors (N, D): (W * D,)."""
        nearest = (descriptors @ self.words.T - (self.words**2).sum(axis=1) / 2).argmax(axis=1)
        of_word = (nearest == np.arange(len(self.words))[:, np.newaxis]).astype(np.float32)
        sums = of_word @ descriptors - of_word.sum(axis=1, keepdims=True) * self.words
        sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
        return np.asarray(sums.ravel() / max(1e-9, float(np.linalg.norm(sums))), np.float32)
