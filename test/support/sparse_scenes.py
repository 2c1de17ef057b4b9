"""A room of points with descriptors, and what an extractor would find in an image of it; no network is run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vloc_ros.core.feature_spec import ONNX, FeatureSpec, extractor_spec
from vloc_ros.core.manifest import GateThresholds, Manifest, Place
from vloc_ros.core.model_spec import ModelSpec, Role
from vloc_ros.core.points import Points
from vloc_ros.core.types import CameraImage, LandmarkMap
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import apply, from_quaternion, invert
from vloc_ros.methods.pram.recognition import recognizer_spec

WIDTH, HEIGHT, KEY_POINTS, DIMENSIONS = 640, 480, 400, 32
CAMERA = Camera(WIDTH, HEIGHT, 525.0, 525.0, 319.5, 239.5)
POSE = from_quaternion([0.05, -0.1, 0.02, 1.0], [0.3, -0.2, 0.1])
GATE = GateThresholds(30, 0.0, 8.0, 0.0)
FEATURES = FeatureSpec(ONNX, KEY_POINTS, DIMENSIONS, "0" * 64)
EXTRACTOR: Mapping[Role, ModelSpec] = {"extractor": extractor_spec(WIDTH, HEIGHT, KEY_POINTS, DIMENSIONS)}


def unit(rng: np.random.Generator, count: int, dimensions: int = DIMENSIONS) -> np.ndarray:
    """Random directions (count, dimensions), float32."""
    vectors = rng.standard_normal((count, dimensions))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def room(
    places: int = 1, points: int = 2000, regions: int = 8, models: Mapping[Role, ModelSpec] = EXTRACTOR, seed: int = 0
) -> LandmarkMap:
    """Points on the wall z = 2..4 m in front of the origin, in each place anew, in regions from left to right."""
    rng = np.random.default_rng(seed)
    positions = rng.uniform((-2.5, -2.0, 2.0), (2.5, 2.0, 4.0), (places * points, 3))
    place = np.repeat(np.arange(places, dtype=np.int32), points)
    column = np.clip((positions[:, 0] + 2.5) / 5.0 * regions, 0, regions - 1).astype(np.int32)
    region = place * regions + column
    to_camera = -positions / np.linalg.norm(positions, axis=1, keepdims=True)
    names = tuple(Place(f"place{index}", f"map_place{index}") for index in range(places)) if places > 1 else ()
    created = "2026-01-02T03:04:05Z"
    manifest = Manifest("pram", "map", created, (WIDTH, HEIGHT), models, gate=GATE, places=names, features=FEATURES)
    count = places * regions
    return LandmarkMap(
        ids=np.arange(1, count + 1, dtype=np.int32),
        positions=np.stack([positions[region == index].mean(axis=0) for index in range(count)]),
        normals=np.tile([0.0, 0.0, -1.0], (count, 1)),
        extents=np.ones(count),
        observations=np.full(count, 9, np.int32),
        manifest=manifest,
        places=np.repeat(np.arange(places, dtype=np.int32), regions),
        points=Points(
            positions=positions,
            descriptors=np.rint(127 * unit(rng, len(positions))).astype(np.int8),
            regions=region,
            places=place,
            directions=to_camera,
            distances=np.tile([1.0, 6.0], (len(positions), 1)),
        ),
    )


@dataclass(frozen=True)
class Sight:
    """What an image has of a room: `shown` key points that show points of `place`, off by `noise_px`, and clutter."""

    shown: int = 250
    clutter: int = 100
    noise_px: float = 0.5
    noise: float = 0.02  # of each number of a descriptor
    place: int = 0
    seed: int = 1

    def tensors(
        self, landmark_map: LandmarkMap, map_from_camera: np.ndarray, camera: Camera = CAMERA
    ) -> dict[str, np.ndarray]:
        """As an extractor's, without batch axis."""
        rng = np.random.default_rng(self.seed)
        points = landmark_map.points
        assert points is not None
        pixels, depths = camera.project(apply(invert(map_from_camera), points.positions))
        inside = (pixels > 0).all(axis=1) & (pixels < (camera.width - 1, camera.height - 1)).all(axis=1) & (depths > 0)
        visible = rng.permutation(np.flatnonzero(inside & (points.places == self.place)))[: self.shown]
        scale = np.array([WIDTH / camera.width, HEIGHT / camera.height])
        found = (pixels[visible] + 0.5) * scale - 0.5 + rng.normal(0, self.noise_px, (len(visible), 2))
        found = found.clip(0, (WIDTH - 1, HEIGHT - 1))
        cluttered = rng.uniform((0, 0), (WIDTH - 1, HEIGHT - 1), (self.clutter, 2))
        known = points.unit_descriptors[visible] + rng.normal(0, self.noise, (len(visible), DIMENSIONS))
        known /= np.linalg.norm(known, axis=1, keepdims=True)
        order = rng.permutation(len(visible) + self.clutter)
        count = len(order)
        tensors = {
            "key_points": np.zeros((KEY_POINTS, 2), np.float32),
            "scores": np.zeros(KEY_POINTS, np.float32),
            "descriptors": np.zeros((KEY_POINTS, DIMENSIONS), np.float32),
        }
        tensors["key_points"][:count] = np.concatenate([found, cluttered])[order]
        tensors["scores"][:count] = np.linspace(1, 0.1, count)
        tensors["descriptors"][:count] = np.concatenate([known, unit(rng, self.clutter)])[order]
        return tensors


@dataclass(frozen=True, eq=False)
class SeenSession:
    """An extractor that finds in the images, one after the other, what it was given."""

    seen: Sequence[Mapping[str, np.ndarray]]
    spec: ModelSpec = EXTRACTOR["extractor"]
    max_batch: int = 8

    backend = "seen"

    def run(self, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        assert inputs["image"].shape == (len(self.seen), HEIGHT, WIDTH, 3)
        return {name: np.stack([each[name] for each in self.seen]) for name in self.spec.outputs}


@dataclass(frozen=True, eq=False)
class KnowingRecognizer:
    """A recognizer that knows the room's points by their descriptors: it is right about a share of the key points, and
    sure that clutter is none."""

    landmark_map: LandmarkMap
    right: float = 1.0
    max_batch: int = 8

    backend = "known"
    spec = recognizer_spec(KEY_POINTS, DIMENSIONS)

    def run(self, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        assert set(inputs) == set(self.spec.inputs)
        points = self.landmark_map.points
        assert points is not None
        similarities = inputs["descriptors"] @ points.unit_descriptors.T
        known = similarities.max(axis=2) > 0.9
        rng = np.random.default_rng(3)
        landmarks = rng.integers(1, len(self.landmark_map) + 1, (*known.shape, 3)).astype(np.int32)
        right = known & (rng.uniform(size=known.shape) < self.right)
        landmarks[..., 0] = np.where(right, points.regions[similarities.argmax(axis=2)] + 1, landmarks[..., 0])
        landmarks[~known, 0] = 0
        confidences = np.tile(np.array([0.7, 0.2, 0.05], np.float32), (*known.shape, 1))
        confidences[~known, 0] = 0.95
        return {"landmarks": landmarks, "confidences": confidences}


def blank(camera: Camera = CAMERA) -> CameraImage:
    """An image whose pixels do not matter."""
    return CameraImage(np.zeros((camera.height, camera.width, 3), np.uint8), camera)
