"""Which local features a map's points have been made with, and what a network must give that finds them in an image."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from vloc_ros.core.model_spec import ModelSpec, Role, TensorSpec
from vloc_ros.errors import ConfigError

IMAGE, KEY_POINTS, SCORES, DESCRIPTORS = "image", "key_points", "scores", "descriptors"
EXTRACTOR: Role = "extractor"

XFEAT, SIFT, ONNX = "xfeat", "sift", "onnx"
FEATURES = (XFEAT, SIFT, ONNX)  # ONNX: a network of the user's own
SIFT_DIMENSIONS = 128
MAX_KEY_POINTS, MAX_DIMENSIONS = 2048, 1024
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FeatureSpec:
    """The local features of a map: `name`, one of FEATURES; `key_points`, how many of an image are used at most, and
    `dimensions` of their descriptors. `extractor_sha256`: of the float32 network that described the map's points; None
    for SIFT, which has no network. Raises ConfigError for what cannot be."""

    name: str
    key_points: int
    dimensions: int
    extractor_sha256: str | None = None

    def __post_init__(self) -> None:
        if self.name not in FEATURES:
            raise ConfigError(f"features: name is {self.name!r}, known are {', '.join(FEATURES)}")
        for field, most in (("key_points", MAX_KEY_POINTS), ("dimensions", MAX_DIMENSIONS)):
            if not 1 <= getattr(self, field) <= most:
                raise ConfigError(f"features: {field} is {getattr(self, field)}, must be 1 to {most}")
        if self.name == SIFT and (self.dimensions, self.extractor_sha256) != (SIFT_DIMENSIONS, None):
            raise ConfigError(f"features: sift has {SIFT_DIMENSIONS} dimensions and no network, this is {self}")
        if self.name != SIFT and not SHA256.fullmatch(self.extractor_sha256 or ""):
            raise ConfigError(f"features: extractor_sha256 is {self.extractor_sha256!r}, not 64 lower-case hex digits")

    def model(self, width: int, height: int) -> ModelSpec:
        """What the network takes and gives, for undistorted images of this size."""
        return extractor_spec(width, height, self.key_points, self.dimensions)

    def require_models(self, models: Mapping[Role, ModelSpec], image_size: tuple[int, int]) -> None:
        """Raise ConfigError unless a map's networks are those of these features."""
        found = models.get(EXTRACTOR)
        if (found is None) != (self.name == SIFT):
            fault = (
                "needs a network of the role 'extractor'" if found is None else "has no network, there is an extractor"
            )
            raise ConfigError(f"features: {self.name!r} {fault}")
        if found is not None:
            require_extractor(found, self.model(*image_size))


def extractor_spec(width: int, height: int, key_points: int, dimensions: int) -> ModelSpec:
    """The contract of a network that finds key points, whosesoever it is: from an undistorted RGB image to K =
    `key_points` of its key points.

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


def require_extractor(found: ModelSpec, expected: ModelSpec) -> None:
    """Raise ConfigError, naming the tensor, unless a network keeps the contract of `extractor_spec`."""
    for kind in ("inputs", "outputs"):
        has, wants = dict(getattr(found, kind)), dict(getattr(expected, kind))
        if has.keys() != wants.keys():
            raise ConfigError(f"extractor: its {kind} are {', '.join(has)} instead of {', '.join(wants)}")
        for name, tensor in wants.items():
            if has[name] != tensor:
                raise ConfigError(f"extractor: {name!r} is {has[name]} instead of {tensor}")
