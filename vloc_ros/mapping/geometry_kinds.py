"""Where the shape of a place can come from. A new source of geometry is one more kind, beside these.

The fields of a kind are its options; what it reads besides frames is in `files`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from vloc_ros.cores import core_count
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.mapping.colmap import read_colmap
from vloc_ros.mapping.colmap_depth import undistorted_views, with_model_depths
from vloc_ros.mapping.colmap_model import require_model
from vloc_ros.mapping.consistency import require_consistent
from vloc_ros.mapping.depth_calibration import CorrectedDepth, DepthCorrection, calibrate_depth
from vloc_ros.mapping.depth_views import read_depth_views
from vloc_ros.mapping.frame_features import read_frame_features
from vloc_ros.mapping.place_geometry import Place, PlaceGeometry, Shape, figures_of
from vloc_ros.mapping.reconstruct import reconstruct
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.mapping.sparse import SparsePoints, sparsified_depth
from vloc_ros.mapping.surface import MAX_FRAMES, fuse_depth
from vloc_ros.progress import Progress

THREADS = min(4, core_count())
NO_DEPTH = "points: the frames have no depth; --colmap takes a COLMAP model in its place"


class GeometryKind(Protocol):
    """Makes the shape of a place."""

    @property
    def reads_depth(self) -> bool:
        """Whether frames' depth is used where there is any."""
        ...

    @property
    def without_depth(self) -> str:
        """What is to be said of frames without depth; "" where it can do without."""
        ...

    @property
    def labels_any_view(self) -> bool:
        """Whether views can be labelled that are none of the data set's frames."""
        ...

    @property
    def files(self) -> tuple[Path, ...]:
        """Files and directories that it reads."""
        ...

    def check(self, places: Sequence[Place]) -> None:
        """Raise VlocError if it cannot be of these places, as far as that can be seen before anything is made."""
        ...

    def make(self, place: Place, progress: Progress) -> Shape:
        """The shape of one place, metres, in its own map frame. Raises VlocError for a place that it cannot be of."""
        ...


class _OfFrames:
    """Kinds that read nothing but frames, of as many places as there are."""

    files: ClassVar[tuple[Path, ...]] = ()
    without_depth: ClassVar[str]

    def check(self, places: Sequence[Place]) -> None:
        for place in places:
            if not place.frames.has_depth:
                where = f"place '{place.name}': " if place.name else ""
                raise DatasetError(f"{where}{self.without_depth}")


@dataclass(frozen=True)
class _OfColmapModel:
    """Kinds that read a COLMAP model, which is of one place."""

    directory: Path

    reads_depth: ClassVar[bool] = False
    without_depth: ClassVar[str] = ""
    labels_any_view: ClassVar[bool] = False

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.directory,)

    def check(self, places: Sequence[Place]) -> None:
        if len(places) > 1:
            raise ConfigError(f"{self.directory}: one COLMAP model for {len(places)} places")
        require_model(self.directory)


@dataclass(frozen=True)
class DepthSurface(_OfFrames):
    """The frames' depth images fused."""

    reads_depth: ClassVar[bool] = True
    without_depth: ClassVar[str] = "surface: the frames have no depth; give a mesh of the place instead"
    labels_any_view: ClassVar[bool] = True

    def make(self, place: Place, progress: Progress) -> Shape:
        with progress.bar("surface") as advance:
            return fuse_depth(place.frames, advance=advance)


@dataclass(frozen=True)
class MeshSurface:
    """A mesh of the place, in its map frame."""

    path: Path

    reads_depth: ClassVar[bool] = True
    without_depth: ClassVar[str] = ""
    labels_any_view: ClassVar[bool] = True

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    def check(self, places: Sequence[Place]) -> None:
        if len(places) > 1:
            raise ConfigError(f"{self.path}: one mesh for {len(places)} places")

    def make(self, place: Place, progress: Progress) -> Shape:
        from vloc_ros.mapping.mesh import surface_from_mesh  # loads trimesh, which maps of depth do without

        return surface_from_mesh(self.path)


@dataclass(frozen=True)
class ColmapPoints(_OfColmapModel):
    """The points of a COLMAP model of the frames."""

    def make(self, place: Place, progress: Progress) -> Shape:
        return read_colmap(self.directory, place.frames)


@dataclass(frozen=True)
class DepthCorners(_OfFrames):
    """Depth at the corners of each image alone, at most `count` of them."""

    count: int

    reads_depth: ClassVar[bool] = True
    without_depth: ClassVar[str] = NO_DEPTH
    labels_any_view: ClassVar[bool] = False

    def make(self, place: Place, progress: Progress) -> Shape:
        with progress.bar("points") as advance:
            return sparsified_depth(place.frames, self.count, advance)


@dataclass(frozen=True)
class DepthTracks(_OfFrames):
    """Key points of several frames that show the same point, by their descriptors, the poses and the depth. `lens`:
    whether the camera's focal length and distortion are estimated too."""

    lens: bool = True

    reads_depth: ClassVar[bool] = True
    without_depth: ClassVar[str] = NO_DEPTH
    labels_any_view: ClassVar[bool] = False

    def make(self, place: Place, progress: Progress) -> Shape:
        assert place.features is not None
        correction = place.frames.correction if isinstance(place.frames, CorrectedDepth) else DepthCorrection()
        with progress.bar("key points") as advance:
            read = read_frame_features(place.frames, place.features, correction, advance)
        return reconstruct(read, lens=self.lens, threads=THREADS, progress=progress)


@dataclass(frozen=True)
class ColmapTracks(_OfColmapModel):
    """The same where a COLMAP model of the frames tells how far away things are, in place of depth."""

    lens: bool = True

    def make(self, place: Place, progress: Progress) -> Shape:
        assert place.features is not None
        with progress.bar("key points") as advance:
            read = read_frame_features(place.frames, place.features, DepthCorrection(), advance)
        if read.of_rig:
            raise DatasetError(f"{self.directory}: frames of several cameras do not go with a COLMAP model, depth does")
        views = undistorted_views(self.directory, place.frames, read.camera)
        features = with_model_depths(read, views, self.directory)
        return reconstruct(features, lens=self.lens, model=views, threads=THREADS, progress=progress)


def surface_kind(mesh: Path | None) -> DepthSurface | MeshSurface:
    """That of methods that need a surface: the mesh, where there is one."""
    return DepthSurface() if mesh is None else MeshSurface(mesh)


def options_of(kind: GeometryKind) -> dict[str, Any]:
    """The kind and its options by name, what it reads apart: that may lie anywhere."""
    values = {name: value for name, value in vars(kind).items() if not isinstance(value, Path)}
    return {"kind": type(kind).__name__, **values}


def make_place_geometry(kind: GeometryKind, place: Place, source: str, progress: Progress) -> PlaceGeometry:
    """Check and correct the depth of a place, if it is read, and make the place's shape. `source`: where its frames are
    from. Raises VlocError for a place that has no such shape, or whose depth contradicts its poses."""
    frames, depth, share = place.frames, None, None
    if kind.reads_depth and frames.has_depth:
        depth, share = _read_depth(place, source, progress)
        frames = CorrectedDepth(frames, depth)
    shape = kind.make(replace(place, frames=frames), progress)
    if isinstance(shape, SparsePoints):
        used = len(shape.seen)
    elif isinstance(shape, Reconstruction):
        used = shape.frames_used
        progress.say(shape.describe())
    else:
        used = min(len(frames), MAX_FRAMES) if isinstance(kind, DepthSurface) else 0
    return PlaceGeometry(place.name, shape, depth, figures_of(shape, used, len(frames), share))


def _read_depth(place: Place, source: str, progress: Progress) -> tuple[DepthCorrection, float]:
    """How depth is to be corrected, and the share of the pixels that know it."""
    frames = place.frames
    with progress.bar("depth") as advance:
        views = read_depth_views(frames, advance)
    poses = np.stack([frames.map_from_camera(index) for index in range(len(frames))])
    require_consistent(views, poses, " ".join(filter(None, [source, place.name])))
    correction = calibrate_depth(views)
    progress.say(correction.describe())
    share = float(np.mean([(view.depth > 0).mean() for view in views])) if views else 0.0
    return correction, share
