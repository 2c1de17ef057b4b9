"""Opens local features by what `vloc map --features` calls them, for finding key points offline and for the map."""

import hashlib
from pathlib import Path

from vloc_ros.core.feature_spec import EXTRACTOR, ONNX, SIFT, SIFT_DIMENSIONS, XFEAT, FeatureSpec
from vloc_ros.core.model_spec import ModelSpec
from vloc_ros.errors import ConfigError, ModelError
from vloc_ros.features.extractor import Extractor
from vloc_ros.inference import SessionOptions, open_session
from vloc_ros.inference.backend import silent
from vloc_ros.inference.engine_cache import Say
from vloc_ros.training.features.kept_xfeat import exported_xfeat

CPU = SessionOptions("onnxruntime")


def open_extractor(
    features: str, image_size: tuple[int, int], key_points: int, options: SessionOptions = CPU, say: Say = silent
) -> Extractor:
    """The extractor for undistorted images of this width and height, which finds `key_points` in each at most.

    `features`: `xfeat`, `sift`, or the path of an ONNX file that keeps the contract of `extractor_spec`. Raises
    ConfigError for another name, and for a file that does not keep it; ModelError where XFeat cannot be had. Of a file,
    it is the file that says how many key points it finds. `say` is told what takes long.
    """
    if features == SIFT:
        return Extractor(FeatureSpec(SIFT, key_points, SIFT_DIMENSIONS), image_size)
    if features == XFEAT:
        network, spec = exported_xfeat(*image_size, key_points, say)
        return _extractor(XFEAT, network, spec, image_size, options)
    if not features.endswith(".onnx"):
        raise ConfigError(f"features: {features!r} is unknown, known are {XFEAT}, {SIFT} and FILE.onnx")
    from vloc_ros.training.features.user_network import image_size_of, read_extractor  # loads onnx

    network, spec = read_extractor(Path(features))
    if (found := image_size_of(spec)) != image_size:
        width, height = image_size
        raise ConfigError(f"{features}: takes images of {found[0]}x{found[1]} pixels, the map's are {width}x{height}")
    try:
        return _extractor(ONNX, network, spec, image_size, options)
    except (ModelError, ConfigError) as error:
        raise ConfigError(f"{features}: {error}") from error


def image_size_for(features: str, image_size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the images that an extractor is opened for: those wanted, or the ones that a user's network
    takes. Raises ConfigError."""
    if not features.endswith(".onnx"):
        return image_size
    from vloc_ros.training.features.user_network import image_size_of, read_extractor

    return image_size_of(read_extractor(Path(features))[1])


def _extractor(
    name: str, network: bytes, spec: ModelSpec, image_size: tuple[int, int], options: SessionOptions
) -> Extractor:
    key_points, dimensions = spec.outputs["descriptors"].shape
    features = FeatureSpec(name, key_points, dimensions, hashlib.sha256(network).hexdigest())
    session = open_session({"float32": network}, spec, options)
    return Extractor(features, image_size, {EXTRACTOR: {"float32": network}}, {EXTRACTOR: session})
