"""PRAM (Xue et al., 2024): key points are recognised as parts of landmarks, matched with the points of these, and the
pose is refined with all points that can be seen from it.

Of a map without recognizer the key points are matched with all points at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.descriptor_index import DescriptorIndex
from vloc_ros.core.feature_spec import DESCRIPTORS, KEY_POINTS, SCORES, FeatureSpec
from vloc_ros.core.guided_matching import GuidedSettings
from vloc_ros.core.manifest import Manifest
from vloc_ros.core.method import Observation
from vloc_ros.core.model_spec import Role
from vloc_ros.core.session import Sessions, Tensors
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.types import CameraImage, LandmarkMap, PoseEstimate
from vloc_ros.core.visualization import Visualization
from vloc_ros.errors import ConfigError
from vloc_ros.features.extractor import extracted, extractor_inputs, within
from vloc_ros.geometry.pnp import PnpSettings
from vloc_ros.methods.colors import label_colors
from vloc_ros.methods.guided_refinement import guided_correspondences
from vloc_ros.methods.network_input import image_pixels, padded_input, scaled_size
from vloc_ros.methods.pram.matching import mutual_nearest_indexed
from vloc_ros.methods.pram.recognition import LANDMARKS, Recognized, recognizer_spec
from vloc_ros.methods.pram.search import Search, SearchSettings
from vloc_ros.methods.pram.windows import mutual_nearest_in_windows
from vloc_ros.methods.query_key_points import query_key_points

RECOGNIZER: Role = "recognizer"
SHOWN = "shown"  # input (2,): width and height of what shows the image; what is right of it and below was added
# An image from near by, of a wall that was mapped from farther away, shows the same key points in this size. Chosen on
# rendered walks: 0.8 to 0.6 are as good.
SMALLER = 0.7
# Hundreds of matches, of which the most similar ones, which make the hypotheses, are mostly right: more than a thousand
# hypotheses only cost time where nothing can be found. Inliers are within 8 px of a Kinect image.
MANY_MATCHES = PnpSettings(max_inlier_angle_rad=0.015, ransac_points=200, min_iterations=20, max_iterations=1000)


@dataclass(frozen=True)
class PRAMMethod:
    """The method `pram`; satisfies `vloc_ros.core.method.Method`."""

    search: SearchSettings = field(default_factory=SearchSettings)
    guided: GuidedSettings = field(default_factory=GuidedSettings)
    pnp: PnpSettings = MANY_MATCHES
    scales: Sequence[float] = (1.0, SMALLER)

    def preload(self) -> None:
        """Match one key point with one point, anywhere and near where it is seen."""
        one = np.zeros((1, 1))
        mutual_nearest_indexed(one.astype(np.float32), DescriptorIndex.of(one.astype(np.float32)), 0.0)
        mutual_nearest_in_windows(
            np.zeros((1, 2)), one.astype(np.float32), one.astype(np.float32), np.zeros(1, np.intp), np.zeros((1, 2)),
            np.ones(1), 0.0,
        )  # fmt: skip

    def check(self, landmark_map: LandmarkMap) -> None:
        """As `Method.check`: points, the features that they were described with, and a recognizer of these, if any."""
        manifest = landmark_map.manifest
        if landmark_map.points is None:
            raise ConfigError("needs points, the map has none")
        if manifest.features is None:
            raise ConfigError("needs the features of the map's points, the map does not say them")
        expected = recognizer_spec(manifest.features.key_points, manifest.features.dimensions)
        if (found := manifest.models.get(RECOGNIZER)) not in (None, expected):
            raise ConfigError(f"needs a recognizer of {expected}, the map has {found}")

    def prepare(self, image: CameraImage, manifest: Manifest, scale: float) -> Tensors:
        """`extractor_inputs` of `padded_input`, and SHOWN."""
        shown = scaled_size(image.camera.width, image.camera.height, manifest.image_size, scale)
        rgb = padded_input(image, manifest.image_size, scale)
        return {**extractor_inputs(rgb, _features(manifest)), SHOWN: np.array(shown, dtype=np.int32)}

    def observe(self, inputs: Tensors, sessions: Sessions) -> Tensors:
        """The key points and, where there is a recognizer, the landmarks that they may belong to."""
        found = within(extracted(inputs, sessions), inputs[SHOWN])
        if RECOGNIZER not in sessions:
            return found
        recognized = sessions[RECOGNIZER].run({name: found[name] for name in (KEY_POINTS, SCORES, DESCRIPTORS)})
        return {**found, **recognized}

    def propose(
        self, observation: Observation, landmark_map: LandmarkMap, stopwatch: Stopwatch
    ) -> Iterator[Correspondences]:
        """Matches inside of the recognised landmarks, which is the fastest, near the prior, then with all points."""
        proposals = self._searched(observation, landmark_map)
        while True:
            with stopwatch.stage("matching"):
                found = next(proposals, None)
            if found is None:
                return
            yield found

    def _searched(self, observation: Observation, landmark_map: LandmarkMap) -> Iterator[Correspondences]:
        search = Search(query_key_points(observation, landmark_map), landmark_map, self.search)
        if all(LANDMARKS in tensors for tensors in observation.tensors):
            recognized = [Recognized.of(tensors, len(landmark_map)) for tensors in observation.tensors]
            yield from search.by_landmarks(recognized)
        if observation.query.prior is not None:
            yield search.near(observation.query.prior)
        yield from search.everywhere()

    def refine(
        self, estimate: PoseEstimate, observation: Observation, landmark_map: LandmarkMap, stopwatch: Stopwatch
    ) -> Correspondences | None:
        """`guided_correspondences`."""
        with stopwatch.stage("guided_matching"):
            return guided_correspondences(estimate, observation, landmark_map, self.guided)

    def visualize(self, tensors: Tensors, image: CameraImage, landmark_map: LandmarkMap) -> Visualization:
        """The key points, in the colours of the landmarks that they are recognised as."""
        found = tensors[SCORES] > 0
        pixels, _ = image_pixels(tensors[KEY_POINTS][found], image, landmark_map.manifest.image_size)
        if LANDMARKS not in tensors:
            return Visualization(key_points=pixels)
        likeliest = Recognized.of(tensors, len(landmark_map)).landmarks[:, 0] + 1
        return Visualization(key_points=pixels, key_point_colors=label_colors(likeliest))


def _features(manifest: Manifest) -> FeatureSpec:
    assert manifest.features is not None  # `PRAMMethod.check` has seen them
    return manifest.features
