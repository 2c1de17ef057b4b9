"""Local features, ready to run: on images of a map's size, offline and online alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.feature_spec import DESCRIPTORS as DESCRIPTORS
from vloc_ros.core.feature_spec import EXTRACTOR, SIFT, FeatureSpec
from vloc_ros.core.feature_spec import IMAGE as IMAGE
from vloc_ros.core.feature_spec import KEY_POINTS as KEY_POINTS
from vloc_ros.core.feature_spec import SCORES as SCORES
from vloc_ros.core.feature_spec import extractor_spec as extractor_spec
from vloc_ros.core.model_spec import ModelSpec, Precision, Role
from vloc_ros.core.session import Sessions, Tensors, row, stack
from vloc_ros.features.sift import sift
from vloc_ros.features.types import KeyPoints


def extractor_inputs(rgb: NDArray[np.uint8], features: FeatureSpec) -> Tensors:
    """What `extracted` is given of an undistorted image (H, W, 3) of the map's size: the image itself for a network, or
    all that SIFT finds. Called in any thread."""
    return sift(rgb, features.key_points) if features.name == SIFT else {IMAGE: rgb}


def extracted(inputs: Tensors, sessions: Sessions) -> Tensors:
    """The tensors of `extractor_spec` of a batch of `extractor_inputs`, all with a leading batch axis."""
    if KEY_POINTS in inputs:
        return {name: inputs[name] for name in (KEY_POINTS, SCORES, DESCRIPTORS)}
    return sessions[EXTRACTOR].run({IMAGE: inputs[IMAGE]})


def within(tensors: Tensors, size: NDArray[np.integer]) -> Tensors:
    """An extractor's tensors of images, with or without a batch axis, without the key points in what was added on the
    right and below: `size` ([B,] 2) is width and height of what shows the image. The best are first, as before."""
    inside = (tensors[KEY_POINTS] <= size[..., None, :] - 0.5).all(axis=-1)
    if inside.all():
        return tensors
    found = {**tensors, SCORES: np.where(inside, tensors[SCORES], 0)}
    order = np.argsort(~inside, axis=-1, kind="stable")
    axis = order.ndim - 1
    return {
        name: np.take_along_axis(tensor, order.reshape(*order.shape, *[1] * (tensor.ndim - order.ndim)), axis)
        for name, tensor in found.items()
    }


@dataclass(frozen=True, eq=False)
class Extractor:
    """Local features with all that a map is given of them. `networks`: its ONNX files, by role and precision; none of
    SIFT."""

    features: FeatureSpec
    image_size: tuple[int, int]
    networks: Mapping[Role, Mapping[Precision, bytes]] = field(default_factory=dict)
    sessions: Sessions = field(default_factory=dict)

    @property
    def models(self) -> Mapping[Role, ModelSpec]:
        """For `Manifest.models`."""
        return {role: session.spec for role, session in self.sessions.items()}

    def inputs(self, rgb: NDArray[np.uint8]) -> Tensors:
        """As `extractor_inputs`: what can be done in any thread."""
        return extractor_inputs(rgb, self.features)

    def tensors(self, inputs: Tensors) -> Tensors:
        """Those of `extractor_spec`, of one image's `inputs`, without batch axis."""
        return row(extracted(stack([inputs]), self.sessions), 0)

    def key_points(self, rgb: NDArray[np.uint8]) -> KeyPoints:
        """Those of an undistorted image (H, W, 3) of the map's size."""
        return KeyPoints.of(self.tensors(self.inputs(rgb)))
