"""The contract of a network that finds key points: whose, is all the same to whoever uses it."""

from vloc_ros.core.model_spec import ModelSpec, TensorSpec

IMAGE, KEY_POINTS, SCORES, DESCRIPTORS = "image", "key_points", "scores", "descriptors"


def extractor_spec(width: int, height: int, key_points: int, dimensions: int) -> ModelSpec:
    """From an undistorted RGB image to K = `key_points` of its key points.

    `key_points` float32 (K, 2): x and y in pixels, the centre of the first one (0, 0); `scores` float32 (K,): best
    first, 0 where there are fewer than K; `descriptors` float32 (K, D) of length 1, compared by their scalar product.
    """
    return ModelSpec(
        {IMAGE: TensorSpec("uint8", (height, width, 3))},
        {
            KEY_POINTS: TensorSpec("float32", (key_points, 2)),
            SCORES: TensorSpec("float32", (key_points,)),
            DESCRIPTORS: TensorSpec("float32", (key_points, dimensions)),
        },
    )
