"""How a map of VS-Net is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.model_spec import GridSpec, Precision
from vloc_ros.core.session import Tensors
from vloc_ros.datasets.types import Frame
from vloc_ros.errors import ConfigError
from vloc_ros.mapping.geometry_kinds import GeometryKind, surface_kind
from vloc_ros.mapping.labels import Labeller
from vloc_ros.mapping.landmarks import build_landmarks
from vloc_ros.mapping.place_geometry import Geometry, Place
from vloc_ros.mapping.place_regions import PlaceRegions, Regions
from vloc_ros.mapping.supervoxels import segment, segment_to_count
from vloc_ros.mapping.surface import Surface
from vloc_ros.methods.vsnet.method import VSNetMethod
from vloc_ros.progress import Progress
from vloc_ros.training.augment import Augmentation
from vloc_ros.training.feature_buffer import FrozenEncoder
from vloc_ros.training.vsnet.cell_objective import CellObjective
from vloc_ros.training.vsnet.frozen import xfeat_encoder
from vloc_ros.training.vsnet.objective import VSNetObjective
from vloc_ros.training.vsnet.options import DEFAULT_LANDMARKS, VSNetOptions

MIN_LANDMARKS, MAX_LANDMARKS = 4, int(np.iinfo(np.uint16).max)  # what a pose needs; what label images can tell apart
AWAY_CELLS = 2  # of the output, between a cell and its landmark
# Smallest share of equal labels and largest angle between votes, in degrees; bfloat16 has only 8 binary digits.
LIMITS: Mapping[Precision, tuple[float, float]] = {
    "float32": (0.99, 1.0),
    "float16": (0.99, 1.0),
    "bfloat16": (0.97, 2.0),
}
# For XFeat's cells: those that an occluder covers teach nothing, and noise costs more than all else of an augmentation.
WITHOUT_NOISE = Augmentation(noise=0.0, occlusion=0.0)


@dataclass(frozen=True)
class VSNetRecipe:
    """Satisfies `vloc_ros.training.recipe.DenseRecipe`."""

    options: VSNetOptions

    outputs = VSNetMethod.outputs

    @property
    def augmentation(self) -> Augmentation:
        return WITHOUT_NOISE if self.options.preset == "xfeat" else Augmentation()

    def encoder(self) -> FrozenEncoder | None:
        """XFeat's of the preset xfeat."""
        return xfeat_encoder() if self.options.preset == "xfeat" else None

    def geometry(self, mesh: Path | None, places: int) -> GeometryKind:
        """A surface."""
        return surface_kind(mesh)

    def make_regions(self, places: Sequence[Place], geometry: Geometry, progress: Progress) -> Regions:
        """Patches of each place's surface, their centres the landmarks. Raises ConfigError for too few or too many."""
        regions = Regions(tuple(self._divide(place, geometry, progress) for place in places))
        if not MIN_LANDMARKS <= (count := len(regions.positions)) <= MAX_LANDMARKS:
            raise ConfigError(f"patches: {count} landmarks, a map has {MIN_LANDMARKS} to {MAX_LANDMARKS}")
        return regions

    def _divide(self, place: Place, geometry: Geometry, progress: Progress) -> PlaceRegions:
        surface, options = geometry.of(place.name).shape, self.options
        assert isinstance(surface, Surface)
        if options.patch_size is None:
            patches, size = segment_to_count(surface, options.landmarks or DEFAULT_LANDMARKS)
        else:
            patches, size = segment(surface, options.patch_size), options.patch_size
        with progress.bar("landmarks") as advance:
            landmarks = build_landmarks(surface, patches, place.frames, advance=advance)
        progress.say(f"{len(surface)} surface points, {len(landmarks)} landmarks of {size:.2f} m")
        return PlaceRegions(place.name, landmarks)

    def labeller(self, geometry: Geometry, regions: Regions) -> "LandmarkLabeller":
        return LandmarkLabeller(geometry, regions)

    def objective(self, regions: Regions) -> VSNetObjective:
        kind = CellObjective if self.options.preset == "xfeat" else VSNetObjective
        return kind(self.options, regions.positions, self.options.weights)

    def disagreement(self, expected: Tensors, found: Tensors, spec: GridSpec, precision: Precision) -> str | None:
        agreement, degrees = parity(expected, found, spec)
        least, most = LIMITS[precision]
        if agreement >= least and degrees <= most:  # not `<` and `>`: NaN has to fail too
            return None
        return (
            f"{100 * agreement:.1f} % of the labels agree, votes are {degrees:.2f} deg apart; at least "
            f"{100 * least:.0f} % and at most {most:.0f} deg are wanted"
        )

    def summary(self) -> Mapping[str, Any]:
        return {"preset": self.options.preset, "loss": self.options.loss}


class LandmarkLabeller:
    """Cells show a landmark's patch: uint16, k for landmark k - 1 of the whole map, 0 for none."""

    kind: tuple[str, tuple[int, ...]] = ("uint16", ())

    def __init__(self, geometry: Geometry, regions: Regions) -> None:
        self._labellers = {}
        before = 0
        for place in regions:
            surface = geometry.of(place.name).shape
            assert isinstance(surface, Surface)
            self._labellers[place.name] = before, Labeller(surface, place.landmarks)
            before += len(place.landmarks)

    def label(self, frame: Frame, width: int, height: int) -> NDArray[np.int32]:
        before, labeller = self._labellers[frame.place]
        labels = labeller.label(frame.image.camera, frame.map_from_camera, frame.depth, width, height)
        return np.where(labels > 0, labels + before, 0).astype(np.int32)


def parity(reference: Tensors, other: Tensors, spec: GridSpec) -> tuple[float, float]:
    """Share of cells with the same label, and the 99th percentile of the angle between votes in degrees, of cells that
    are not beside their landmark: there any rounding turns a vote, and hardly moves its end."""
    agreement = float((reference["labels"] == other["labels"]).mean())
    cosine = (reference["votes"] * other["votes"]).sum(-1)
    sine = reference["votes"][..., 0] * other["votes"][..., 1] - reference["votes"][..., 1] * other["votes"][..., 0]
    away = ~(reference["distances"] <= AWAY_CELLS * spec.stride)  # not `>`: NaN has to be seen
    angles = np.abs(np.arctan2(sine, cosine))[away]
    return agreement, float(np.degrees(np.percentile(angles, 99))) if angles.size else 0.0
