"""How a map of HSCNet or HSCNet++ is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.model_spec import GridSpec, Precision
from vloc_ros.core.session import Tensors
from vloc_ros.datasets.types import Frame
from vloc_ros.errors import ConfigError
from vloc_ros.mapping.colmap import read_colmap
from vloc_ros.mapping.hierarchy import Hierarchy, build_hierarchy, join_hierarchies
from vloc_ros.mapping.regions import RegionLabeller, leaf_landmarks
from vloc_ros.mapping.sparse import SparseLabeller, SparsePoints, point_cloud, sparse_landmarks, sparsified_depth
from vloc_ros.mapping.surface import Surface
from vloc_ros.methods.hscnet.method import HSCNetMethod
from vloc_ros.training.augment import Augmentation
from vloc_ros.training.hscnet.objective import HSCNetObjective
from vloc_ros.training.hscnet.options import REACH, HSCNetOptions
from vloc_ros.training.progress import bar, say
from vloc_ros.training.recipe import surface_of
from vloc_ros.training.scene import MappedPlace, Place, Scene, group

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
    """Satisfies `vloc_ros.training.recipe.Recipe`."""

    options: HSCNetOptions

    outputs = HSCNetMethod.outputs
    augmentation = PAPERS

    @property
    def reads_depth(self) -> bool:
        return self.options.sparse is None

    @property
    def labels_any_view(self) -> bool:
        return not self.options.is_sparse

    def make_scene(self, places: Sequence[Place]) -> Scene:
        """A tree of regions for each place, joined; the landmarks are their leaves. Raises ConfigError for several
        places that could not be told apart, or that one file is to be for."""
        if len(places) > 1 and not self.options.branching:
            raise ConfigError(f"training: without branching {len(places)} scenes cannot be told apart")
        if len(places) > 1 and self.options.sparse is not None:
            raise ConfigError(f"{self.options.sparse}: one COLMAP model for {len(places)} scenes")
        known = [self._known(place) for place in places]
        trees = [build_hierarchy(_cloud(each), self.options.branching) for each in known]
        hierarchy = join_hierarchies(trees)
        mapped = (self._map(*each, hierarchy, number) for number, each in enumerate(zip(places, known, strict=True)))
        points = {n: each.as_arrays() for n, each in enumerate(known) if isinstance(each, SparsePoints)}
        return Scene(tuple(mapped), _flat({"hierarchy": _as_arrays(hierarchy), **points}))

    def _known(self, place: Place) -> "Surface | SparsePoints":
        return self._points(place) if self.options.is_sparse else surface_of(place)

    def _points(self, place: Place) -> SparsePoints:
        if place.mesh is not None:
            raise ConfigError(f"{place.mesh}: a mesh is of no use to sparse points")
        if self.options.sparse is not None:
            return read_colmap(self.options.sparse, place.dataset)
        assert self.options.sparsify is not None
        with bar("points") as progress:
            return sparsified_depth(place.dataset, self.options.sparsify, progress)

    def _map(self, place: Place, known: "Surface | SparsePoints", hierarchy: Hierarchy, number: int) -> MappedPlace:
        if isinstance(known, SparsePoints):
            landmarks = sparse_landmarks(known, hierarchy, place.dataset, number)
            say(f"{known.summary(place.dataset)}; {len(landmarks)} regions")
            return MappedPlace(place.name, landmarks)
        with bar("regions") as progress:
            landmarks = leaf_landmarks(known, hierarchy, place.dataset, number, progress)
        say(f"{len(known)} surface points, {len(landmarks)} regions of {np.median(landmarks.extents):.2f} m")
        return MappedPlace(place.name, landmarks, known)

    def labeller(self, scene: Scene) -> "CoordinateLabeller":
        return CoordinateLabeller({place.name: self._labeller(scene, n) for n, place in enumerate(scene.places)})

    def _labeller(self, scene: Scene, number: int) -> "RegionLabeller | SparseLabeller":
        place = scene.places[number]
        if place.surface is not None:
            return RegionLabeller(place.surface, place.landmarks)
        return SparseLabeller(SparsePoints.from_arrays(group(scene.extras, str(number))), self._reach)

    @property
    def _reach(self) -> int:
        return REACH if self.options.reach is None else self.options.reach

    def objective(self, scene: Scene) -> HSCNetObjective:
        return HSCNetObjective(self.options, _from_arrays(group(scene.extras, "hierarchy")))

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
    """Cells show coordinates (3,) float32 in the frame of their scene, metres, NaN where they are not known."""

    kind: tuple[str, tuple[int, ...]] = ("float32", (3,))

    def __init__(self, labellers: Mapping[str, "RegionLabeller | SparseLabeller"]) -> None:
        self._labellers = labellers

    def label(self, frame: Frame, width: int, height: int) -> NDArray[np.float32]:
        return self._labellers[frame.place].label(frame, width, height)


def _cloud(known: "Surface | SparsePoints") -> NDArray[np.float64]:
    return known.points if isinstance(known, Surface) else point_cloud(known)


def _flat(groups: Mapping[Any, Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """What `group` takes apart again."""
    return {f"{prefix}/{name}": value for prefix, arrays in groups.items() for name, value in arrays.items()}


def _as_arrays(hierarchy: Hierarchy) -> dict[str, NDArray[Any]]:
    levels = {f"centers{level}": centers for level, centers in enumerate(hierarchy.centers)}
    return {"roots": hierarchy.roots, **levels, **{f"first{level}": v for level, v in enumerate(hierarchy.first)}}


def _from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Hierarchy:
    depth = (len(arrays) - 1) // 2
    centers, first = (tuple(arrays[f"{name}{level}"] for level in range(depth)) for name in ("centers", "first"))
    return Hierarchy(arrays["roots"], centers, first)
