"""Stage 3, regions: what the method divides each place into, and its landmarks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vloc_ros.mapping.place_geometry import Geometry
from vloc_ros.mapping.place_regions import Regions, load_regions, save_regions
from vloc_ros.progress import Progress
from vloc_ros.training.method_options import MethodOptions, options_of_stage
from vloc_ros.training.recipe import Recipe
from vloc_ros.training.stages.source_stage import Sources
from vloc_ros.training.stages.stage import Stage

REGIONS = "regions.npz"
ADDED = "points.sigmas", "points.colors"  # work directories of older versions have points without


@dataclass(frozen=True, eq=False)
class RegionStage(Stage[Regions]):
    """Has the method's recipe divide the places."""

    method: MethodOptions
    recipe: Recipe
    sources: Sources
    geometry: Geometry

    name = "regions"

    def inputs(self) -> Mapping[str, Any]:
        inputs = {"method.name": self.method.method, **options_of_stage(self.method, "regions")}
        return {**inputs, **dict.fromkeys(ADDED, True)} if "features" in self.method.stages else inputs

    def make(self, directory: Path, progress: Progress) -> Regions:
        regions = self.recipe.make_regions(self.sources.places, self.geometry, progress)
        save_regions(directory / REGIONS, regions)
        return regions

    def load(self, directory: Path) -> Regions:
        return load_regions(directory / REGIONS)

    def artefact(self, directory: Path) -> Iterable[Path]:
        return (directory / REGIONS,)

    def describe(self, directory: Path, product: Regions) -> str:
        return product.describe()
