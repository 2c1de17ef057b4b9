"""What a map tells people of how it was trained."""

from typing import Any

from vloc_ros.training.device import arithmetic
from vloc_ros.training.recipe import Recipe
from vloc_ros.training.stages.settings import Settings
from vloc_ros.training.trainer import Trainer


def training_summary(settings: Settings, recipe: Recipe, trainer: Trainer) -> dict[str, Any]:
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
