"""What a map tells people of how it was made."""

from dataclasses import asdict
from typing import Any

from vloc_ros.mapping.place_geometry import Geometry
from vloc_ros.training.device import arithmetic
from vloc_ros.training.recipe import DenseRecipe
from vloc_ros.training.stages.settings import Settings
from vloc_ros.training.trainer import Trainer


def depth_summary(geometry: Geometry) -> dict[str, Any]:
    """How the depth of each place was corrected, in JSON's types."""
    corrections = geometry.depth_corrections.items()
    return {f"depth_correction_{name}" if name else "depth_correction": asdict(each) for name, each in corrections}


def training_summary(settings: Settings, recipe: DenseRecipe, trainer: Trainer) -> dict[str, Any]:
    """In JSON's types, for `Manifest.training`. Older maps have `moved_views` in place of `novel_views`."""
    options = settings.training.options
    return {
        "dataset": settings.sources.dataset,
        "split": settings.sources.split,
        **recipe.summary(),
        "novel_views": settings.samples.novel_views,
        "iterations": trainer.progress.iteration,
        "minutes": round(trainer.progress.seconds / 60, 2),
        "batch_size": options.batch_size,
        "accumulate": options.accumulate,
        "arithmetic": str(arithmetic(trainer.objective.device)).removeprefix("torch."),
        "parameters": sum(p.numel() for p in trainer.objective.parameters()),
    }
