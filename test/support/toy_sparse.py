"""A sparse method as small as one can be: dots in an image are key points, their colours are the descriptors.

Its map has two networks: the extractor finds the brightest pixels and says their colours, the recognizer says which
of the map's regions these colours may belong to. It proposes region by region, and refines with all points near the
pose. Nothing of the package knows of it but for the line that registers it.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from support.brightest_pixels import brightest_pixels
from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.feature_spec import FeatureSpec, extractor_spec
from vloc_ros.core.manifest import Manifest
from vloc_ros.core.method import Observation
from vloc_ros.core.model_spec import ModelSpec, Role, TensorSpec
from vloc_ros.core.points import Points
from vloc_ros.core.session import Sessions, Tensors
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.types import CameraImage, LandmarkMap, PoseEstimate
from vloc_ros.core.visualization import Visualization
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.pnp import FEW_PRECISE, PnpSettings
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.methods.network_input import image_pixels, network_input

WIDTH, HEIGHT = 320, 240
KEY_POINTS, REGIONS, DIMENSIONS = 10, 3, 3
SAME = 0.02  # squared distance of descriptors
NEAR_PX = 6.0  # of guided matching
MODELS: Mapping[Role, ModelSpec] = {
    "extractor": extractor_spec(WIDTH, HEIGHT, KEY_POINTS, DIMENSIONS),
    "recognizer": ModelSpec(
        {"descriptors": TensorSpec("float32", (KEY_POINTS, DIMENSIONS))},
        {"likelihoods": TensorSpec("float32", (REGIONS,))},
    ),
}


@dataclass(frozen=True)
class ToySparseMethod:
    """Satisfies `vloc_ros.core.method.Method`."""

    pnp: PnpSettings = FEW_PRECISE
    scales: ClassVar[Sequence[float]] = (1.0,)

    def preload(self) -> None:
        """Nothing of it is compiled."""

    def check(self, landmark_map: LandmarkMap) -> None:
        models = landmark_map.manifest.models
        if dict(models) != dict(MODELS):
            raise ConfigError(f"needs an extractor and a recognizer of its own, the map has {', '.join(models)}")

    def prepare(self, image: CameraImage, manifest: Manifest, scale: float) -> Tensors:
        return {"image": network_input(image, manifest.image_size)}

    def observe(self, inputs: Tensors, sessions: Sessions) -> Tensors:
        found = sessions["extractor"].run(inputs)
        return {**found, **sessions["recognizer"].run({"descriptors": found["descriptors"]})}

    def propose(
        self, observation: Observation, landmark_map: LandmarkMap, stopwatch: Stopwatch
    ) -> Iterator[Correspondences]:
        """Region by region, the likeliest first."""
        likelihoods = sum(tensors["likelihoods"] for tensors in observation.tensors)
        for region in np.argsort(-np.asarray(likelihoods), kind="stable"):
            with stopwatch.stage("matching"):
                found = self._matched(observation, landmark_map, points_of(landmark_map).regions == region)
            yield found

    def refine(
        self, estimate: PoseEstimate, observation: Observation, landmark_map: LandmarkMap, stopwatch: Stopwatch
    ) -> Correspondences | None:
        """All points that the pose puts near a key point of the same descriptor."""
        with stopwatch.stage("guided_matching"):
            everywhere = np.ones(len(points_of(landmark_map)), dtype=np.bool_)
            return self._matched(observation, landmark_map, everywhere, estimate.map_from_camera)

    def visualize(self, tensors: Tensors, image: CameraImage, landmark_map: LandmarkMap) -> Visualization:
        pixels, _ = image_pixels(tensors["key_points"], image, landmark_map.manifest.image_size)
        return Visualization(key_points=pixels)

    def _matched(
        self,
        observation: Observation,
        landmark_map: LandmarkMap,
        wanted: NDArray[np.bool_],
        map_from_rig: NDArray[np.float64] | None = None,
    ) -> Correspondences:
        """The wanted points with the key point of the most similar descriptor, near where a pose projects them."""
        points, parts = points_of(landmark_map), []
        rows = np.flatnonzero(wanted)
        for index, (view, tensors) in enumerate(zip(observation.query.views, observation.tensors, strict=True)):
            pixels, scale = image_pixels(tensors["key_points"], view.image, landmark_map.manifest.image_size)
            unlike = points.descriptors[rows, None].astype(np.float64) - tensors["descriptors"][None]
            costs = np.square(unlike).sum(axis=2)
            if map_from_rig is not None:
                pose = view.rig_camera.map_from_camera(map_from_rig)
                expected, _ = view.rig_camera.camera.project(apply(invert(pose), points.positions[rows]))
                away = np.linalg.norm(expected[:, None] - pixels[None], axis=2)
                costs[~(away <= NEAR_PX * scale)] = np.inf
            best = costs.argmin(axis=1)
            same = costs[np.arange(len(rows)), best] < SAME
            parts.append(
                Correspondences(
                    pixels=pixels[best[same]],
                    points=points.positions[rows[same]],
                    sigmas=np.full(int(same.sum()), 0.5 * scale),
                    landmark_ids=landmark_map.ids[points.regions[rows[same]]],
                    views=np.full(int(same.sum()), index, dtype=np.int32),
                    places=points.places[rows[same]],
                )
            )
        return Correspondences.joined(parts)


def points_of(landmark_map: LandmarkMap) -> Points:
    assert landmark_map.points is not None
    return landmark_map.points


def extractor() -> bytes:
    """The KEY_POINTS brightest pixels, x and y, their brightness, and their colours."""
    nodes, constants = brightest_pixels(WIDTH, HEIGHT, KEY_POINTS)
    nodes.append(helper.make_node("Div", ["colors", "scale"], ["descriptors"]))
    return _model("extractor", nodes, {**constants, "scale": np.array(255, np.float32)})


def features() -> FeatureSpec:
    return FeatureSpec("onnx", KEY_POINTS, DIMENSIONS, hashlib.sha256(extractor()).hexdigest())


def recognizer(weights: NDArray[np.float32]) -> bytes:
    """Likelihoods of the regions: the mean descriptor times weights (DIMENSIONS, REGIONS)."""
    nodes = [
        helper.make_node("ReduceMean", ["descriptors"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["likelihoods"]),
    ]
    return _model("recognizer", nodes, {"weights": weights})


def _model(role: Role, nodes: list[NodeProto], constants: Mapping[str, NDArray[np.generic]]) -> bytes:
    types = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}
    inputs, outputs = (
        [
            helper.make_tensor_value_info(name, types[tensor.element], ("batch", *tensor.shape))
            for name, tensor in tensors.items()
        ]
        for tensors in (MODELS[role].inputs, MODELS[role].outputs)
    )
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, role, inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())
