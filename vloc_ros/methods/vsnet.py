"""VS-Net (Huang et al., CVPR 2021): landmark labels and votes from the network, intersected to landmarks."""

from dataclasses import dataclass, field, fields
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.manifest import OUTPUT_CELLS, NetworkSpec
from vloc_ros.core.pipeline import Outputs
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.types import CameraImage, Correspondences, LandmarkMap
from vloc_ros.core.voting import VotedLandmarks, VoteField, VotingConfig, vote
from vloc_ros.errors import ConfigError, ModelError

VSNET_OUTPUTS = tuple(field.name for field in fields(VoteField))
MAX_ROUNDING_PX = 8.0  # input heights are rounded to a multiple of 16, so 1280x720 becomes 320x176


@dataclass(frozen=True)
class VsNet:
    """The method `vsnet`; satisfies `vloc_ros.core.pipeline.Method`."""

    voting: VotingConfig = field(default_factory=VotingConfig)

    def prepare(self, image: CameraImage, spec: NetworkSpec) -> NDArray[np.uint8]:
        """`network_input`."""
        return network_input(image, spec)

    def correspond(
        self, outputs: Outputs, image: CameraImage, landmark_map: LandmarkMap, stopwatch: Stopwatch
    ) -> Correspondences:
        """One correspondence per voted landmark. Stage: voting. Raises ModelError for outputs that are not what the map
        promises."""
        spec = landmark_map.manifest.network
        with stopwatch.stage("voting"):
            voted = vote(vote_field(outputs, spec), len(landmark_map), spec.stride, self.voting)
            return _to_correspondences(voted, landmark_map, image, spec)


def network_input(image: CameraImage, spec: NetworkSpec) -> NDArray[np.uint8]:
    """The image undistorted and scaled to (spec.height, spec.width, 3). Raises ConfigError for another aspect ratio."""
    width, height = image.camera.width, image.camera.height
    if abs(height * spec.width / width - spec.height) > MAX_ROUNDING_PX:
        raise ConfigError(
            f"image: {width}x{height} has another aspect ratio than the map's network input {spec.width}x{spec.height}"
        )
    undistorted = image.camera.undistort(image.rgb)
    if (width, height) == (spec.width, spec.height):
        return undistorted
    resized = cv2.resize(undistorted, (spec.width, spec.height), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.uint8)


def vote_field(outputs: Outputs, spec: NetworkSpec) -> VoteField:
    """The network's outputs. Raises ModelError for a missing output, another shape or type."""
    return VoteField(**{name: _checked(outputs, name, spec) for name in VSNET_OUTPUTS})


def _checked(outputs: Outputs, name: str, spec: NetworkSpec) -> NDArray[Any]:
    if name not in outputs:
        raise ModelError(f"network: no output {name!r}, it has {', '.join(sorted(outputs))}")
    output, shape, dtype = outputs[name], spec.output_shape(name), np.dtype(OUTPUT_CELLS[name][0])
    if output.shape != shape or output.dtype != dtype:
        raise ModelError(f"network: output {name!r} is {output.dtype} {output.shape} instead of {dtype} {shape}")
    return np.ascontiguousarray(output)


def _to_correspondences(
    voted: VotedLandmarks, landmark_map: LandmarkMap, image: CameraImage, spec: NetworkSpec
) -> Correspondences:
    """From network input pixels to those of the undistorted image: x' + 0.5 = (x + 0.5) * scale."""
    scale = np.array([image.camera.width / spec.width, image.camera.height / spec.height])
    rows = voted.labels - 1
    return Correspondences(
        pixels=(voted.pixels + 0.5) * scale - 0.5,
        points=landmark_map.positions[rows],
        sigmas=voted.sigmas * float(np.sqrt(scale.prod())),
        landmark_ids=landmark_map.ids[rows],
    )
