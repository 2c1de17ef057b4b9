"""Opens local features by what `vloc map --features` calls them, for finding key points offline and for the map."""

import hashlib

from vloc_ros.core.feature_spec import EXTRACTOR, SIFT, SIFT_DIMENSIONS, XFEAT, FeatureSpec
from vloc_ros.core.model_spec import ModelSpec
from vloc_ros.errors import ConfigError
from vloc_ros.features.extractor import Extractor
from vloc_ros.inference import SessionOptions, open_session

CPU = SessionOptions("onnxruntime")


def open_extractor(
    features: str, image_size: tuple[int, int], key_points: int, options: SessionOptions = CPU
) -> Extractor:
    """The extractor for undistorted images of this width and height, which finds `key_points` in each at most.

    `features`: `xfeat`, `sift`, or the path of an ONNX file that keeps the contract of `extractor_spec`. Raises
    ConfigError for another name, ModelError for a network that cannot be had or used.
    """
    if features == SIFT:
        return Extractor(FeatureSpec(SIFT, key_points, SIFT_DIMENSIONS), image_size)
    if features != XFEAT:
        raise ConfigError(f"features: {features!r} is unknown, known are {XFEAT}, {SIFT} and FILE.onnx")
    from vloc_ros.training.features.xfeat import export_xfeat  # loads PyTorch

    network, spec = export_xfeat(*image_size, key_points)
    return _extractor(XFEAT, network, spec, image_size, options)


def _extractor(
    name: str, network: bytes, spec: ModelSpec, image_size: tuple[int, int], options: SessionOptions
) -> Extractor:
    key_points, dimensions = spec.outputs["descriptors"].shape
    features = FeatureSpec(name, key_points, dimensions, hashlib.sha256(network).hexdigest())
    session = open_session({"float32": network}, spec, options)
    return Extractor(features, image_size, {EXTRACTOR: {"float32": network}}, {EXTRACTOR: session})
