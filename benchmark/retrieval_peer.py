"""The peer of maps of points: local features of all mapping images with their depth, of which ten are retrieved.

As good as it can easily be made: global descriptors of the local ones (VLAD, Jegou et al., CVPR 2010), mutual nearest
neighbours with each retrieved image, no key point without depth or at an edge of it, LO-RANSAC over all matches
together (PoseLib), two refinements with a Cauchy loss. It has no gate: every pose is taken.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from vloc_ros.cli.progress_bar import TerminalProgress
from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.feature_spec import SIFT, XFEAT
from vloc_ros.core.pnp import solve_near, solve_pnp
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.types import CameraImage, PoseEstimate, Rejection
from vloc_ros.datasets import Dataset
from vloc_ros.features.cache import FeatureCache
from vloc_ros.features.extractor import Extractor
from vloc_ros.features.types import KeyPoints
from vloc_ros.geometry.pnp import PnpSettings
from vloc_ros.geometry.rig import RigCamera
from vloc_ros.geometry.transforms import apply
from vloc_ros.inference import SessionOptions
from vloc_ros.mapping.vlad import LEARNED_FROM, Vlad
from vloc_ros.methods.network_input import network_input
from vloc_ros.methods.pram.matching import mutual_nearest
from vloc_ros.training.features.extraction import extract_features
from vloc_ros.training.features.opening import open_extractor
from vloc_ros.training.stages.settings import input_size

KEY_POINTS, RETRIEVED, WIDTH = 2048, 10, 640
MIN_SIMILARITY: Mapping[str, float] = {XFEAT: 0.82, SIFT: 0.8}
FIRST = PnpSettings(max_inlier_angle_rad=0.015, ransac_points=100_000, min_iterations=100)
SECOND = replace(FIRST, max_inlier_angle_rad=0.0076)
Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Reference:
    """What is kept of one mapping image: descriptors (N, D) float16 and positions (N, 3) float32 of its key points."""

    descriptors: NDArray[np.float16]
    positions: Float32

    @staticmethod
    def of(cache: FeatureCache, index: int, map_from_camera: NDArray[np.float64]) -> "Reference":
        found, depth, camera = cache.key_points(index), cache.depth(index), cache.camera(index)
        known = depth > 0
        rays = (found.pixels[known] - (camera.cx, camera.cy)) / (camera.fx, camera.fy)
        points = np.column_stack([rays, np.ones(len(rays))]) * depth[known, np.newaxis]
        positions = apply(map_from_camera, points).astype(np.float32)
        return Reference(found.descriptors[known].astype(np.float16), positions)

    @cached_property
    def wide(self) -> Float32:
        """The descriptors as they are matched."""
        return self.descriptors.astype(np.float32)


@dataclass(frozen=True, eq=False)
class RetrievalPeer:
    """Localizes as `Localizer` does."""

    extractor: Extractor
    vlad: Vlad
    global_descriptors: Float32  # (F, W * D)
    references: tuple[Reference, ...]

    def localize(self, image: CameraImage) -> PoseEstimate | Rejection:
        """The pose by all matches with the retrieved images; `timings_ms` by stage."""
        stopwatch = Stopwatch()
        with stopwatch.stage("total"):
            with stopwatch.stage("preprocess"):
                inputs = self.extractor.inputs(network_input(image, self.extractor.image_size))
            with stopwatch.stage("network"):
                found = KeyPoints.of(self.extractor.tensors(inputs))
            with stopwatch.stage("retrieval"):
                similar = np.argsort(-(self.global_descriptors @ self.vlad(found.descriptors)))[:RETRIEVED]
            with stopwatch.stage("matching"):
                matches = Correspondences.joined([self._matches(found, self.references[index]) for index in similar])
            with stopwatch.stage("pnp"):
                result = self._pose(matches, image)
        return replace(result, timings_ms=MappingProxyType(stopwatch.timings_ms))

    def _matches(self, found: KeyPoints, reference: Reference) -> Correspondences:
        least = MIN_SIMILARITY[self.extractor.features.name]
        rows, others, _ = mutual_nearest(found.descriptors, reference.wide, least)
        positions = reference.positions[others].astype(np.float64)
        return Correspondences(found.pixels[rows], positions, np.ones(len(rows)), np.zeros(len(rows), np.int32))

    def _pose(self, matches: Correspondences, image: CameraImage) -> PoseEstimate | Rejection:
        cameras = (RigCamera(image.camera.undistorted().resized(*self.extractor.image_size)),)
        first = solve_pnp(matches, cameras, FIRST)
        if isinstance(first, Rejection):
            return first
        near = matches[first.inliers]
        return solve_near(replace(first, inliers=np.zeros_like(first.inliers)), near, cameras, SECOND)

    @property
    def size_bytes(self) -> int:
        """Of what would have to be kept on a robot, without the network: global descriptors in 16 bits too."""
        arrays = (part.descriptors.nbytes + part.positions.nbytes for part in self.references)
        return sum(arrays) + self.global_descriptors.nbytes // 2 + self.vlad.words.nbytes


def retrieval_peer(features: str, frames: Dataset, workdir: Path) -> RetrievalPeer:
    """Of mapping frames with depth and one thread; key points are kept in `workdir` for the next time."""
    camera = frames.camera(0)
    size = input_size(min(WIDTH, camera.width), camera.width, camera.height)
    extractor = open_extractor(features, size, KEY_POINTS, SessionOptions("onnxruntime", threads=1))
    cache = extract_features(frames, extractor, workdir / features, TerminalProgress())
    every = max(1, len(cache) * KEY_POINTS // (2 * LEARNED_FROM))
    some = [cache.key_points(index).descriptors for index in range(0, len(cache), every)]
    vlad = Vlad.learned(np.concatenate(some))
    return RetrievalPeer(
        extractor,
        vlad,
        np.stack([vlad(cache.key_points(index).descriptors) for index in range(len(cache))]),
        tuple(Reference.of(cache, index, frames.map_from_camera(index)) for index in range(len(cache))),
    )
