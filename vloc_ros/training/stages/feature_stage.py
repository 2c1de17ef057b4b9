"""Stage 2 of sparse methods, features: the key points of every frame, found once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vloc_ros.core.feature_spec import MAX_KEY_POINTS, ONNX
from vloc_ros.errors import DatasetError
from vloc_ros.features.cache import FeatureCache, cache_files, open_features
from vloc_ros.progress import Progress
from vloc_ros.training.features.extraction import extract_features
from vloc_ros.training.features.opening import image_size_for, open_extractor
from vloc_ros.training.method_options import SparseOptions, options_of_stage
from vloc_ros.training.stages.settings import FeatureSettings
from vloc_ros.training.stages.source_stage import Sources
from vloc_ros.training.stages.stage import Stage

FEATURES = "features"


@dataclass(frozen=True, eq=False)
class FeatureStage(Stage[Sources]):
    """The sources with the key points of their frames, of which a map's points are made: more than are used at run
    time."""

    settings: FeatureSettings
    method: SparseOptions
    sources: Sources

    name = "features"

    def inputs(self) -> Mapping[str, Any]:
        return {**self.settings.inputs(), **options_of_stage(self.method, "features")}

    def files(self) -> Mapping[str, Path]:
        features = self.method.features
        return {"the extractor": features} if isinstance(features, Path) else {}

    def make(self, directory: Path, progress: Progress) -> Sources:
        features = str(self.method.features)
        size = image_size_for(features, self.settings.size(self.sources.training.camera(0)))
        extractor = open_extractor(features, size, MAX_KEY_POINTS, say=progress.say)
        for place in self.sources.places:
            found = extract_features(place.frames, extractor, _folder(directory, place.name), progress)
            tell_blank_frames(found, progress)
        return self.load(directory)

    def load(self, directory: Path) -> Sources:
        places = tuple(
            replace(place, features=open_features(_folder(directory, place.name))) for place in self.sources.places
        )
        return replace(self.sources, places=places)

    def artefact(self, directory: Path) -> Iterable[Path]:
        return (path for place in self.sources.places for path in cache_files(_folder(directory, place.name)))

    def describe(self, directory: Path, product: Sources) -> str:
        caches = [place.features for place in product.places if place.features is not None]
        counts = [cache.count(index) for cache in caches for index in range(len(cache))]
        width, height = caches[0].size
        return f"{np.median(counts):.0f} key points (median) in each of {len(counts)} images of {width}x{height} pixels"


def tell_blank_frames(found: FeatureCache, progress: Progress) -> None:
    """Say which frames of a place have no key points. Raises DatasetError if none has any."""
    blank = [name for index, name in enumerate(found.names) if not found.count(index)]
    if not blank:
        return
    others = f" and in {len(blank) - 1} others of {len(found)}" if len(blank) > 1 else ""
    line = f"no key points in frame {blank[0]}{others}: do the images show anything?"
    if len(blank) == len(found):
        raise DatasetError(f"features: {line}")
    progress.say(f"warning: {line}")


def features_of(sources: Sources) -> list[FeatureCache]:
    """Of each place, behind the stage."""
    return [place.features for place in sources.places if place.features is not None]


def used_key_points(method: SparseOptions, sources: Sources) -> int:
    """How many key points the map's extractor finds in an image: as many as were asked for, or as an image of that size
    can have; of a user's network, as many as it says."""
    found = features_of(sources)[0].features
    return found.key_points if found.name == ONNX else min(method.key_points, found.key_points)


def _folder(directory: Path, place: str) -> Path:
    return directory / (f"{FEATURES}_{place}" if place else FEATURES)
