"""Stage 7, surface, only of places of a building: the colours that tell a place from others."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from vloc_ros.core.place_surface import PlaceSurface
from vloc_ros.datasets.adjusted_poses import AdjustedPoses
from vloc_ros.mapping.array_files import loaded_arrays, save_arrays
from vloc_ros.mapping.colored_surface import COLOR_STEP, VOXEL_M, colored_surface
from vloc_ros.mapping.place_geometry import Geometry
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.methods.surface_comparison import AGREES, DARK, LAMP, VEILED
from vloc_ros.progress import Progress
from vloc_ros.training.least_agreement import FRAMES, MARGIN, QUANTILE, least_agreement
from vloc_ros.training.stages.source_stage import Sources
from vloc_ros.training.stages.stage import Stage

SURFACE = "surface.npz"


@dataclass(frozen=True, eq=False)
class SurfaceStage(Stage[PlaceSurface | None]):
    """Fuses the depth of the only place's frames where the reconstruction has put them, and looks how much of them
    agrees with that."""

    sources: Sources
    geometry: Geometry

    name = "surface"

    def inputs(self) -> Mapping[str, Any]:
        agreement = [FRAMES, QUANTILE, MARGIN, AGREES, DARK, LAMP, VEILED]
        return {"surface.voxel_m": VOXEL_M, "surface.color_step": COLOR_STEP, "surface.agreement": agreement}

    def make(self, directory: Path, progress: Progress) -> PlaceSurface | None:
        (place,), (shaped,) = self.sources.places, self.geometry.places
        assert isinstance(shaped.shape, Reconstruction)
        frames = AdjustedPoses(shaped.frames(place.frames), shaped.shape.map_from_camera)
        with progress.bar("surface") as advance:
            surface = colored_surface(frames, advance)
        if surface is not None:
            with progress.bar("agreement") as advance:
                surface = replace(surface, least_agreement=least_agreement(surface, frames, advance))
        names = () if surface is None else (each.name for each in fields(surface))
        save_arrays(directory / SURFACE, {name: getattr(surface, name) for name in names})
        return surface

    def load(self, directory: Path) -> PlaceSurface | None:
        with loaded_arrays(directory / SURFACE, "surface") as arrays:
            if not arrays:
                return None
            voxel_m, least = (float(arrays.pop(name)) for name in ("voxel_m", "least_agreement"))
            return PlaceSurface(**arrays, voxel_m=voxel_m, least_agreement=least)

    def artefact(self, directory: Path) -> Iterable[Path]:
        return (directory / SURFACE,)

    def describe(self, directory: Path, product: PlaceSurface | None) -> str:
        if product is None:
            return "none: no frame has both depth and colours"
        points = f"{len(product)} coloured points, one for each {100 * product.voxel_m:.3g} cm"
        return f"{points}; {100 * product.least_agreement:.0f} % of an image have to agree with them"
