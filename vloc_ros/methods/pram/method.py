"""PRAM (Xue et al., 2024): key points of an image, matched with the points of the map.

Without a recognizer they are matched with the points of the whole map at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from vloc_ros.core.feature_spec import KEY_POINTS, SCORES, FeatureSpec
from vloc_ros.core.guided_matching import GuidedSettings
from vloc_ros.core.manifest import Manifest
from vloc_ros.core.method import Observation
from vloc_ros.core.points import Points
from vloc_ros.core.session import Sessions, Tensors
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.types import CameraImage, Correspondences, LandmarkMap, PoseEstimate
from vloc_ros.core.visualization import Visualization
from vloc_ros.errors import ConfigError
from vloc_ros.features.extractor import extracted, extractor_inputs
from vloc_ros.geometry.pnp import PnpSettings
from vloc_ros.methods.guided_refinement import SIGMA_PX, guided_correspondences
from vloc_ros.methods.network_input import image_pixels, network_input
from vloc_ros.methods.pram.matching import mutual_nearest
from vloc_ros.methods.query_key_points import query_key_points

# Hundreds of matches, of which a third or more are right: more than a thousand hypotheses only cost time where nothing
# can be found. Inliers are within 5 px of a Kinect image.
MANY_MATCHES = PnpSettings(max_inlier_angle_rad=0.01, ransac_points=200, min_iterations=20, max_iterations=1000)


@dataclass(frozen=True)
class PRAMMethod:
    """The method `pram`; satisfies `vloc_ros.core.method.Method`.

    `matched_key_points`: so many of the best ones of a view are matched without a pose, guided matching takes all;
    `min_similarity`: the least cosine of descriptors that are matched without a pose.
    """

    matched_key_points: int = 512
    min_similarity: float = 0.8
    guided: GuidedSettings = field(default_factory=GuidedSettings)
    pnp: PnpSettings = MANY_MATCHES

    def preload(self) -> None:
        """Nothing of it is compiled."""

    def check(self, landmark_map: LandmarkMap) -> None:
        """As `Method.check`: points, and the features that they were described with, whose network the map has."""
        if landmark_map.points is None:
            raise ConfigError("needs points, the map has none")
        if landmark_map.manifest.features is None:
            raise ConfigError("needs the features of the map's points, the map does not say them")

    def prepare(self, image: CameraImage, manifest: Manifest) -> Tensors:
        """`extractor_inputs` of `network_input`."""
        return extractor_inputs(network_input(image, manifest.image_size), features_of(manifest))

    def observe(self, inputs: Tensors, sessions: Sessions) -> Tensors:
        """The key points."""
        return extracted(inputs, sessions)

    def propose(
        self, observation: Observation, landmark_map: LandmarkMap, stopwatch: Stopwatch
    ) -> Iterator[Correspondences]:
        """The matches with all points, those of one place after the other, the place of most matches first."""
        with stopwatch.stage("matching"):
            found = self._matched(observation, landmark_map, points_of(landmark_map))
        counts = np.bincount(found.places, minlength=len(landmark_map.manifest.places))
        for place in np.argsort(-counts, kind="stable")[: max(1, int((counts > 0).sum()))]:
            yield found[found.places == place]

    def refine(
        self, estimate: PoseEstimate, observation: Observation, landmark_map: LandmarkMap, stopwatch: Stopwatch
    ) -> Correspondences | None:
        """`guided_correspondences`."""
        with stopwatch.stage("guided_matching"):
            return guided_correspondences(estimate, observation, landmark_map, self.guided)

    def visualize(self, tensors: Tensors, image: CameraImage, landmark_map: LandmarkMap) -> Visualization:
        """The key points."""
        found = tensors[KEY_POINTS][tensors[SCORES] > 0]
        return Visualization(key_points=image_pixels(found, image, landmark_map.manifest.image_size)[0])

    def _matched(self, observation: Observation, landmark_map: LandmarkMap, points: Points) -> Correspondences:
        parts = []
        for seen in query_key_points(observation, landmark_map):
            best = seen.descriptors[: self.matched_key_points]
            rows, matched = mutual_nearest(best, points.unit_descriptors, self.min_similarity)
            parts.append(seen.correspondences(rows, points, matched, landmark_map, SIGMA_PX))
        return Correspondences.joined(parts)


def points_of(landmark_map: LandmarkMap) -> Points:
    """Those that `PRAMMethod.check` has seen."""
    assert landmark_map.points is not None
    return landmark_map.points


def features_of(manifest: Manifest) -> FeatureSpec:
    """Those that `PRAMMethod.check` has seen."""
    assert manifest.features is not None
    return manifest.features
