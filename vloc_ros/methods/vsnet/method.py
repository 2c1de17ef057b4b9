"""VS-Net (Huang et al., CVPR 2021): landmark labels and votes from the network, intersected to landmarks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.guided_matching import GuidedSettings
from vloc_ros.core.model_spec import GridSpec
from vloc_ros.core.session import Tensors
from vloc_ros.core.types import CameraImage, LandmarkMap
from vloc_ros.core.visualization import Visualization
from vloc_ros.geometry.pnp import FEW_PRECISE, PnpSettings
from vloc_ros.methods.colors import label_colors
from vloc_ros.methods.dense_grid import DenseGridMethod, checked_output, grid_of
from vloc_ros.methods.network_input import image_pixels
from vloc_ros.methods.vsnet.voting import VotedLandmarks, VoteField, VotingSettings, vote

# Those of VoteField, which says what they mean.
OUTPUTS = MappingProxyType(
    {"labels": "int32", "confidences": "float32", "votes": "float32[2]", "distances": "float32", "scales": "float32"}
)


@dataclass(frozen=True)
class VSNetMethod(DenseGridMethod):
    """The method `vsnet`; satisfies `vloc_ros.core.method.Method`."""

    outputs: ClassVar[Mapping[str, str]] = OUTPUTS
    stage: ClassVar[str] = "voting"
    guided: ClassVar[GuidedSettings] = GuidedSettings(wide_px=16.0)  # its poses are centimetres off

    voting: VotingSettings = field(default_factory=VotingSettings)
    pnp: PnpSettings = FEW_PRECISE

    def preload(self) -> None:
        """Vote once, in an image without landmarks."""
        nothing = np.zeros((1, 1), dtype=np.float32)
        field = VoteField(nothing.astype(np.int32), nothing, np.zeros((1, 1, 2), dtype=np.float32), nothing, nothing)
        vote(field, 1, 1, self.voting)

    def vote(self, field: VoteField, landmark_count: int, stride: int) -> VotedLandmarks:
        """The landmarks that the cells vote for."""
        return vote(field, landmark_count, stride, self.voting)

    def correspond(
        self, tensors: Tensors, image: CameraImage, landmark_map: LandmarkMap, view: int = 0
    ) -> Correspondences:
        """One correspondence per voted landmark."""
        spec = grid_of(landmark_map.manifest)
        voted = self.vote(vote_field(tensors, spec), len(landmark_map), spec.stride)
        pixels, scale = image_pixels(voted.pixels, image, landmark_map.manifest.image_size)
        rows = voted.labels - 1
        return Correspondences(
            pixels=pixels,
            points=landmark_map.positions[rows],
            sigmas=voted.sigmas * scale,
            landmark_ids=landmark_map.ids[rows],
            views=np.full(len(rows), view, dtype=np.int32),
            places=landmark_map.places[rows],
        )

    def visualize(self, tensors: Tensors, image: CameraImage, landmark_map: LandmarkMap) -> Visualization:
        """A colour for each landmark, and the votes."""
        return Visualization(label_colors(tensors["labels"]), tensors.get("votes"))


def vote_field(outputs: Tensors, spec: GridSpec) -> VoteField:
    """The network's outputs. Raises ModelError for a missing output, another shape or type."""
    return VoteField(**{name: checked_output(outputs, name, spec) for name in OUTPUTS})
