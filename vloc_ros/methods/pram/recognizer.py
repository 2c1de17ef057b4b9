"""The contract of a network that recognises landmarks by key points."""

from vloc_ros.core.feature_spec import DESCRIPTORS, KEY_POINTS, SCORES
from vloc_ros.core.model_spec import ModelSpec, Role, TensorSpec

RECOGNIZER: Role = "recognizer"
LANDMARKS, CONFIDENCES = "landmarks", "confidences"
CANDIDATES = 3  # of each key point


def recognizer_spec(key_points: int, dimensions: int) -> ModelSpec:
    """From the K = `key_points` of an image, as the map's extractor gives them, to the landmarks they may belong to.

    `landmarks` int32 (K, 3), the likeliest first: k is row k - 1 of the map's landmarks, 0 none of them;
    `confidences` float32 (K, 3): their probabilities. A key point whose score is 0 belongs to none, with certainty.
    """
    return ModelSpec(
        {
            KEY_POINTS: TensorSpec("float32", (key_points, 2)),
            SCORES: TensorSpec("float32", (key_points,)),
            DESCRIPTORS: TensorSpec("float32", (key_points, dimensions)),
        },
        {
            LANDMARKS: TensorSpec("int32", (key_points, CANDIDATES)),
            CONFIDENCES: TensorSpec("float32", (key_points, CANDIDATES)),
        },
    )
