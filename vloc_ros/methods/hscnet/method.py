"""HSCNet (Li et al., CVPR 2020) and HSCNet++ (Wang et al., IJCV 2024): a scene coordinate for each cell."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.guided_matching import GuidedSettings
from vloc_ros.core.session import Tensors
from vloc_ros.core.types import CameraImage, LandmarkMap
from vloc_ros.core.visualization import Visualization
from vloc_ros.errors import ModelError
from vloc_ros.geometry.pnp import PnpSettings
from vloc_ros.methods.colors import position_colors
from vloc_ros.methods.dense_grid import DenseGridMethod, checked_output, grid_of
from vloc_ros.methods.network_input import image_pixels

# Coordinates in the frame of their place, metres, how likely the region is the right one, and the region: k is landmark
# k - 1, 0 none.
OUTPUTS = MappingProxyType({"coordinates": "float32[3]", "confidences": "float32", "regions": "int32"})
# The papers': 256 hypotheses, inliers within 10 px of a Kinect image. They are made of the 400 most certain
# correspondences: all of them would take twice the time and find no better pose.
MANY_ROUGH = PnpSettings(max_inlier_angle_rad=0.019, ransac_points=400, min_iterations=256, max_iterations=256)


@dataclass(frozen=True)
class HSCNetMethod(DenseGridMethod):
    """HSCNet and HSCNet++, which differ in the network alone; satisfies `vloc_ros.core.method.Method`.

    Cells are taken from a grid of squares, from each the most confident, so that at most `max_correspondences` are
    left; none below `min_confidence`. A cell of confidence c has a standard deviation of `sigma_px` / sqrt(c) network
    pixels an axis: right as a proportion, the map's calibration knows how much it is worth.
    """

    outputs: ClassVar[Mapping[str, str]] = OUTPUTS
    stage: ClassVar[str] = "coordinates"
    guided: ClassVar[GuidedSettings] = GuidedSettings(window_px=8.0)  # its poses are rough

    min_confidence: float = 0.05
    max_correspondences: int = 1600
    sigma_px: float = 2.0
    pnp: PnpSettings = MANY_ROUGH

    def preload(self) -> None:
        """Nothing of it is compiled."""

    def correspond(
        self, tensors: Tensors, image: CameraImage, landmark_map: LandmarkMap, view: int = 0
    ) -> Correspondences:
        """One correspondence per chosen cell, with the landmark whose region it shows."""
        spec = grid_of(landmark_map.manifest)
        coordinates, confidences, regions = (
            checked_output(tensors, name, spec) for name in ("coordinates", "confidences", "regions")
        )
        _require_regions(regions, len(landmark_map))
        usable = (regions > 0) & (confidences >= self.min_confidence) & np.isfinite(coordinates).all(axis=-1)
        rows, columns = heaviest_per_square(np.where(usable, confidences, 0.0), self.max_correspondences)
        cells = np.stack([columns, rows], axis=1)
        pixels, scale = image_pixels((cells + 0.5) * spec.stride - 0.5, image, landmark_map.manifest.image_size)
        landmarks = regions[rows, columns] - 1
        return Correspondences(
            pixels=pixels,
            points=coordinates[rows, columns].astype(np.float64),
            sigmas=scale * self.sigma_px / np.sqrt(confidences[rows, columns].astype(np.float64)),
            landmark_ids=landmark_map.ids[landmarks],
            views=np.full(len(landmarks), view, dtype=np.int32),
            places=landmark_map.places[landmarks],
        )

    def visualize(self, tensors: Tensors, image: CameraImage, landmark_map: LandmarkMap) -> Visualization:
        """Coordinates as colours (HSCNet, figure 4), black where the network is not sure."""
        sure = tensors["confidences"] >= self.min_confidence
        colors = position_colors(np.nan_to_num(tensors["coordinates"]), landmark_map.positions)
        return Visualization(np.where(sure[..., None], colors, np.uint8(0)).astype(np.uint8))


def heaviest_per_square(weights: NDArray[Any], most: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of at most `most` cells of weights (h, w): the heaviest of each square of a grid, as fine as
    that allows; squares of no weight have none."""
    height, width = weights.shape
    side = 1
    while -(-height // side) * -(-width // side) > most:
        side += 1
    rows, columns = np.nonzero(weights > 0)
    square = rows // side * -(-width // side) + columns // side
    order = np.lexsort((-weights[rows, columns], square))
    heaviest = order[np.unique(square[order], return_index=True)[1]]
    return rows[heaviest], columns[heaviest]


def _require_regions(regions: NDArray[np.int32], count: int) -> None:
    low, high = int(regions.min()), int(regions.max())
    if not 0 <= low <= high <= count:
        raise ModelError(f"network: regions are {low} to {high}, the map has 1 to {count}")
