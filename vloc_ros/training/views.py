"""What a map is learned from and calibrated on: the recorded frames of each scene, and views from beside their path."""

from functools import partial

import numpy as np

from vloc_ros.datasets import Dataset
from vloc_ros.datasets.joined_places import place_parts
from vloc_ros.datasets.subset import WithoutDepth
from vloc_ros.errors import ConfigError
from vloc_ros.mapping.consistency import require_consistent
from vloc_ros.mapping.depth_calibration import CorrectedDepth, DepthCorrection, calibrate_depth
from vloc_ros.mapping.depth_views import read_depth_views
from vloc_ros.mapping.novel_views import NovelViews
from vloc_ros.training.frames import FrameReader
from vloc_ros.training.map_options import NOVEL_VIEWS, MapOptions
from vloc_ros.training.progress import bar, say
from vloc_ros.training.recipe import Recipe

CALIBRATION_VIEWS = 3  # from beside each held-out frame


def default_novel_views(recipe: Recipe, training: Dataset) -> float:
    """How many for each frame where nobody says: none if there is nothing to render from."""
    return NOVEL_VIEWS if any(_can_be_moved(part, recipe) for _, part in place_parts(training)) else 0.0


def require_movable(novel_views: float | None, recipe: Recipe, training: Dataset) -> None:
    """Raise ConfigError if views are asked for that cannot be rendered or labelled."""
    for name, part in place_parts(training):
        if novel_views and not _can_be_moved(part, recipe):
            scene = f"scene '{name}': " if name else ""
            reason = "no depth to render from" if recipe.labels_any_view else "sparse points label recorded frames only"
            raise ConfigError(f"training: {scene}{novel_views:g} novel views for each frame: {reason}")


def frames_of_scenes(options: MapOptions, recipe: Recipe, dataset: Dataset) -> dict[str, Dataset]:
    """The frames of each scene, with depth as the method is to see it: corrected as found now, or by an earlier run."""
    if recipe.reads_depth:
        return {name: _with_corrected_depth(options, name, part) for name, part in place_parts(dataset)}
    return {name: WithoutDepth(part, range(len(part))) for name, part in place_parts(dataset)}


def training_views(part: Dataset, options: MapOptions, recipe: Recipe, size: tuple[int, int]) -> list[FrameReader]:
    """The frames of a scene, and views (width, height) from beside their path."""
    frames: list[FrameReader] = [partial(part.frame, index, depth=part.has_depth) for index in range(len(part))]
    if not (options.novel_views and _can_be_moved(part, recipe)):
        return frames
    moved = NovelViews(part, round(options.novel_views * len(part)), *size, options.training.seed)
    return frames + [partial(moved.frame, number) for number in range(len(moved))]


def calibration_views(
    options: MapOptions, recipe: Recipe, held_out: Dataset, size: tuple[int, int]
) -> list[NovelViews]:
    """Views (width, height) from beside the held-out frames of each scene that they can be rendered from."""
    return [
        NovelViews(part, CALIBRATION_VIEWS * len(part), *size, options.training.seed)
        for part in frames_of_scenes(options, recipe, held_out).values()
        if _can_be_moved(part, recipe)
    ]


def _can_be_moved(part: Dataset, recipe: Recipe) -> bool:
    return part.has_depth and recipe.labels_any_view


def _with_corrected_depth(options: MapOptions, scene: str, part: Dataset) -> Dataset:
    if not part.has_depth:
        return part
    path = options.workdir / (f"depth_{scene}.json" if scene else "depth.json")
    if not path.exists():
        with bar("depth") as progress:
            views = read_depth_views(part, progress)
        poses = np.stack([part.map_from_camera(index) for index in range(len(part))])
        require_consistent(views, poses, " ".join(filter(None, [str(options.root or options.dataset), scene])))
        correction = calibrate_depth(views)
        say(correction.describe())
        correction.save(path)
    return CorrectedDepth(part, DepthCorrection.load(path))
