"""Stage 7, surface, only of places of a building: the colours that tell a place from one that looks alike."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vloc_ros.core.place_surface import PlaceSurface
from vloc_ros.datasets.adjusted_poses import AdjustedPoses
from vloc_ros.mapping.array_files import loaded_arrays, save_arrays
from vloc_ros.mapping.colored_surface import COLOR_STEP, VOXEL_M, colored_surface
from vloc_ros.mapping.place_geometry import Geometry
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.progress import Progress
from vloc_ros.training.stages.source_stage import Sources
from vloc_ros.training.stages.stage import Stage

SURFACE = "surface.npz"


@dataclass(frozen=True, eq=False)
class SurfaceStage(Stage[PlaceSurface | None]):
    """Fuses the depth of the only place's frames where the reconstruction has put them."""

    sources: Sources
    geometry: Geometry

    name = "surface"

    def inputs(self) -> Mapping[str, Any]:
        return {"surface.voxel_m": VOXEL_M, "surface.color_step": COLOR_STEP}

    def make(self, directory: Path, progress: Progress) -> PlaceSurface | None:
        (place,), (shaped,) = self.sources.places, self.geometry.places
        assert isinstance(shaped.shape, Reconstruction)
        frames = AdjustedPoses(shaped.frames(place.frames), shaped.shape.map_from_camera)
        with progress.bar("surface") as advance:
            surface = colored_surface(frames, advance)
        save_arrays(directory / SURFACE, {} if surface is None else vars(surface))
        return surface

    def load(self, directory: Path) -> PlaceSurface | None:
        with loaded_arrays(directory / SURFACE, "surface") as arrays:
            if not arrays:
                return None
            voxel_m = float(arrays.pop("voxel_m"))
            return PlaceSurface(**arrays, voxel_m=voxel_m)

    def artefact(self, directory: Path) -> Iterable[Path]:
        return (directory / SURFACE,)

    def describe(self, directory: Path, product: PlaceSurface | None) -> str:
        if product is None:
            return "none: no frame has both depth and colours"
        return f"{len(product)} coloured points, one for each {100 * product.voxel_m:.3g} cm"
