"""How a map of HSCNet or HSCNet++ is made."""

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
from vloc_ros.mapping.array_files import group, grouped
from vloc_ros.mapping.geometry_kinds import ColmapPoints, DepthCorners, GeometryKind, surface_kind
from vloc_ros.mapping.hierarchy import Hierarchy, build_hierarchy, join_hierarchies
from vloc_ros.mapping.place_geometry import Geometry, Place, Shape, points_of
from vloc_ros.mapping.place_regions import PlaceRegions, Regions
from vloc_ros.mapping.regions import RegionLabeller, leaf_landmarks
from vloc_ros.mapping.sparse import SparseLabeller, SparsePoints, point_cloud, sparse_landmarks
from vloc_ros.mapping.surface import Surface
from vloc_ros.methods.hscnet.method import HSCNetMethod
from vloc_ros.progress import Progress
from vloc_ros.training.augment import Augmentation
from vloc_ros.training.hscnet.objective import HSCNetObjective
from vloc_ros.training.hscnet.options import REACH, HSCNetOptions

# Section 4 of the paper: shifts, turns, scales and shears of the image, and its brightness; nothing else.
PAPERS = Augmentation(
    pan_deg=0.0, tilt_deg=0.0, roll_deg=30.0, zoom=(float(np.log(0.7)), float(np.log(1.5))), stretch=0.0, shift=0.2,
    shear_deg=10.0, gain=0.0, tint=0.0, offset=20 / 255, noise=0.0, blur=0.0, occlusion=0.0,
)  # fmt: skip
# Smallest share of equal regions, and how far coordinates of equal regions may be apart, metres, 99 % of them.
LIMITS: Mapping[Precision, tuple[float, float]] = {
    "float32": (0.99, 0.01),
    "float16": (0.98, 0.01),
    "bfloat16": (0.95, 0.05),
}


@dataclass(frozen=True)
class HSCNetRecipe:
    """Satisfies `vloc_ros.training.recipe.DenseRecipe`."""

    options: HSCNetOptions

    outputs = HSCNetMethod.outputs
    augmentation = PAPERS

    def encoder(self) -> None:
        """None: the whole network learns."""

    def geometry(self, mesh: Path | None, places: int) -> GeometryKind:
        """Sparse points, where the options say so, else a surface. Raises ConfigError for a mesh of sparse points, and
        for several places that could not be told apart."""
        if places > 1 and not self.options.branching:
            raise ConfigError(f"training: without branching {places} places cannot be told apart")
        if not self.options.is_sparse:
            return surface_kind(mesh)
        if mesh is not None:
            raise ConfigError(f"{mesh}: a mesh is of no use to sparse points")
        if self.options.sparse is not None:
            return ColmapPoints(self.options.sparse)
        assert self.options.sparsify is not None
        return DepthCorners(self.options.sparsify)

    def make_regions(self, places: Sequence[Place], geometry: Geometry, progress: Progress) -> Regions:
        """A tree of regions for each place, joined; the landmarks are their leaves."""
        shapes = [geometry.of(place.name).shape for place in places]
        hierarchy = join_hierarchies([build_hierarchy(_cloud(shape), self.options.branching) for shape in shapes])
        divided = [
            _divide(place, shape, hierarchy, number, progress)
            for number, (place, shape) in enumerate(zip(places, shapes, strict=True))
        ]
        return Regions(tuple(divided), grouped("hierarchy", _as_arrays(hierarchy)))

    def labeller(self, geometry: Geometry, regions: Regions) -> "CoordinateLabeller":
        return CoordinateLabeller({place.name: self._labeller(geometry, place) for place in regions})

    def _labeller(self, geometry: Geometry, place: PlaceRegions) -> "RegionLabeller | SparseLabeller":
        shape = geometry.of(place.name).shape
        if isinstance(shape, SparsePoints):
            return SparseLabeller(shape, self._reach)
        assert isinstance(shape, Surface)
        return RegionLabeller(shape, place.landmarks)

    @property
    def _reach(self) -> int:
        return REACH if self.options.reach is None else self.options.reach

    def objective(self, regions: Regions) -> HSCNetObjective:
        return HSCNetObjective(self.options, _from_arrays(group(regions.extras, "hierarchy")))

    def disagreement(self, expected: Tensors, found: Tensors, spec: GridSpec, precision: Precision) -> str | None:
        same = expected["regions"] == found["regions"]
        apart = np.linalg.norm(expected["coordinates"] - found["coordinates"], axis=-1)[same]
        metres = float(np.percentile(apart, 99)) if apart.size else np.inf
        least, most = LIMITS[precision]
        if same.mean() >= least and metres <= most:  # not `<` and `>`: NaN has to fail too
            return None
        return (
            f"{100 * same.mean():.1f} % of the regions agree, their coordinates are {metres:.3f} m apart; at least "
            f"{100 * least:.0f} % and at most {most} m are wanted"
        )

    def summary(self) -> Mapping[str, Any]:
        options = self.options
        return {
            "preset": options.preset,
            "variant": options.variant,
            "branching": "x".join(map(str, options.branching)) or "none",
            "supervision": f"sparse points, reach {self._reach}" if options.is_sparse else "dense",
        }


class CoordinateLabeller:
    """Cells show coordinates (3,) float32 in the frame of their place, metres, NaN where they are not known."""

    kind: tuple[str, tuple[int, ...]] = ("float32", (3,))

    def __init__(self, labellers: Mapping[str, "RegionLabeller | SparseLabeller"]) -> None:
        self._labellers = labellers

    def label(self, frame: Frame, width: int, height: int) -> NDArray[np.float32]:
        return self._labellers[frame.place].label(frame, width, height)


def _divide(place: Place, shape: Shape, hierarchy: Hierarchy, number: int, progress: Progress) -> PlaceRegions:
    """The leaves of the `number`-th place."""
    if isinstance(shape, SparsePoints):
        landmarks = sparse_landmarks(shape, hierarchy, place.frames, number)
        progress.say(f"{shape.summary(place.frames)}; {len(landmarks)} regions")
        return PlaceRegions(place.name, landmarks)
    assert isinstance(shape, Surface)
    with progress.bar("regions") as advance:
        landmarks = leaf_landmarks(shape, hierarchy, place.frames, number, advance)
    progress.say(f"{len(shape)} surface points, {len(landmarks)} regions of {np.median(landmarks.extents):.2f} m")
    return PlaceRegions(place.name, landmarks)


def _cloud(shape: Shape) -> NDArray[np.float64]:
    return point_cloud(shape) if isinstance(shape, SparsePoints) else points_of(shape)


def _as_arrays(hierarchy: Hierarchy) -> dict[str, NDArray[Any]]:
    levels = {f"centers{level}": centers for level, centers in enumerate(hierarchy.centers)}
    return {"roots": hierarchy.roots, **levels, **{f"first{level}": v for level, v in enumerate(hierarchy.first)}}


def _from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Hierarchy:
    depth = (len(arrays) - 1) // 2
    centers, first = (tuple(arrays[f"{name}{level}"] for level in range(depth)) for name in ("centers", "first"))
    return Hierarchy(arrays["roots"], centers, first)
