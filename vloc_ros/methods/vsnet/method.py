"""VS-Net (Huang et al., CVPR 2021): landmark labels and votes from the network, intersected to landmarks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.model_spec import NETWORK, GridSpec
from vloc_ros.core.pnp import FEW_PRECISE, PnpSettings
from vloc_ros.core.session import Tensors
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.types import CameraImage, Correspondences, LandmarkMap
from vloc_ros.methods.colors import label_colors
from vloc_ros.methods.dense_grid import checked_output, image_pixels, network_input
from vloc_ros.methods.vsnet.voting import VotedLandmarks, VoteField, VotingSettings, vote

# Those of VoteField, which says what they mean.
OUTPUTS = MappingProxyType(
    {"labels": "int32", "confidences": "float32", "votes": "float32[2]", "distances": "float32", "scales": "float32"}
)


@dataclass(frozen=True)
class VSNetMethod:
    """The method `vsnet`; satisfies `vloc_ros.core.pipeline.Method`."""

    outputs: ClassVar[Mapping[str, str]] = OUTPUTS

    voting: VotingSettings = field(default_factory=VotingSettings)
    pnp: PnpSettings = FEW_PRECISE

    def preload(self) -> None:
        """Vote once, in an image without landmarks."""
        nothing = np.zeros((1, 1), dtype=np.float32)
        field = VoteField(nothing.astype(np.int32), nothing, np.zeros((1, 1, 2), dtype=np.float32), nothing, nothing)
        vote(field, 1, 1, self.voting)

    def prepare(self, image: CameraImage, spec: GridSpec) -> NDArray[np.uint8]:
        """`network_input`."""
        return network_input(image, spec)

    def correspond(
        self, outputs: Tensors, image: CameraImage, landmark_map: LandmarkMap, stopwatch: Stopwatch
    ) -> Correspondences:
        """One correspondence per voted landmark. Stage: voting. Raises ModelError for outputs that are not what the map
        promises."""
        spec = landmark_map.manifest.models[NETWORK].grid
        with stopwatch.stage("voting"):
            voted = vote(vote_field(outputs, spec), len(landmark_map), spec.stride, self.voting)
            return _to_correspondences(voted, landmark_map, image, spec)

    def colors(self, outputs: Tensors, landmark_map: LandmarkMap) -> NDArray[np.uint8]:
        """A colour for each landmark."""
        return label_colors(outputs["labels"])


def vote_field(outputs: Tensors, spec: GridSpec) -> VoteField:
    """The network's outputs. Raises ModelError for a missing output, another shape or type."""
    return VoteField(**{name: checked_output(outputs, name, spec) for name in OUTPUTS})


def _to_correspondences(
    voted: VotedLandmarks, landmark_map: LandmarkMap, image: CameraImage, spec: GridSpec
) -> Correspondences:
    pixels, scale = image_pixels(voted.pixels, image, spec)
    rows = voted.labels - 1
    return Correspondences(
        pixels=pixels,
        points=landmark_map.positions[rows],
        sigmas=voted.sigmas * scale,
        landmark_ids=landmark_map.ids[rows],
    )
