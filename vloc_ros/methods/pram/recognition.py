"""What the recognizer says of the key points of a query: which of the map's landmarks each may belong to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.feature_spec import DESCRIPTORS, KEY_POINTS, SCORES
from vloc_ros.core.model_spec import ModelSpec, TensorSpec
from vloc_ros.core.session import Tensors
from vloc_ros.errors import ModelError

LANDMARKS, CONFIDENCES = "landmarks", "confidences"
TOP = 3  # landmarks that a key point may belong to
SURE_OF_NONE = (
    0.9  # lambda_s of the paper: a key point is left out if it belongs to none with more than this confidence
)

Labels = NDArray[np.int32]
Float32 = NDArray[np.float32]


def recognizer_spec(key_points: int, dimensions: int) -> ModelSpec:
    """The contract of a recognizer: from the K = `key_points` of an extractor, as that gives them, to `landmarks` int32
    (K, TOP): the likeliest first, k is landmark k - 1 of the map and 0 none of them; and how sure that is,
    `confidences` float32 (K, TOP), 0 to 1."""
    return ModelSpec(
        {
            KEY_POINTS: TensorSpec("float32", (key_points, 2)),
            SCORES: TensorSpec("float32", (key_points,)),
            DESCRIPTORS: TensorSpec("float32", (key_points, dimensions)),
        },
        {LANDMARKS: TensorSpec("int32", (key_points, TOP)), CONFIDENCES: TensorSpec("float32", (key_points, TOP))},
    )


@dataclass(frozen=True, eq=False)
class Recognized:
    """Of the K key points of one view: landmarks (K, TOP), rows of the map's, -1 for none and for key points that are
    surely of none; confidences (K, TOP)."""

    landmarks: Labels
    confidences: Float32

    @classmethod
    def of(cls, tensors: Tensors, count: int) -> "Recognized":
        """What a recognizer said, of a map of `count` landmarks. Raises ModelError for landmarks that the map lacks."""
        landmarks, confidences = (tensors[name][tensors[SCORES] > 0] for name in (LANDMARKS, CONFIDENCES))
        low, high = (int(landmarks.min()), int(landmarks.max())) if len(landmarks) else (0, 0)
        if not 0 <= low <= high <= count:
            raise ModelError(f"recognizer: landmarks are {low} to {high}, the map has 1 to {count}")
        outlier = (landmarks[:, 0] == 0) & (confidences[:, 0] > SURE_OF_NONE)
        return cls(np.where(outlier[:, np.newaxis], -1, landmarks - 1).astype(np.int32), confidences)


def landmark_confidences(views: Sequence[Recognized], count: int) -> NDArray[np.float64]:
    """Of each of the map's landmarks (count,), the sum over the key points of the confidence of belonging to it.

    The paper sorts by the mean (section 3.4); over all key points alike, that is the same order.
    """
    landmarks = np.concatenate([view.landmarks.ravel() for view in views])
    confidences = np.concatenate([view.confidences.ravel() for view in views])
    known = landmarks >= 0
    sums = np.bincount(landmarks[known], weights=confidences[known], minlength=count)
    return np.asarray(sums, dtype=np.float64)
