"""The stages of a method whose network fills a grid of cells, in their order."""

from typing import Any

from vloc_ros.core.model_spec import NETWORK
from vloc_ros.datasets.grayscale import PartlyGrayscale
from vloc_ros.mapping.geometry_kinds import GeometryKind
from vloc_ros.training.device import arithmetic, choose_device
from vloc_ros.training.map_options import MapOptions
from vloc_ros.training.recipe import DenseRecipe
from vloc_ros.training.stages.buffer_stage import BufferStage
from vloc_ros.training.stages.calibration_stage import CalibrationStage
from vloc_ros.training.stages.export_stage import ExportStage
from vloc_ros.training.stages.geometry_stage import GeometryStage
from vloc_ros.training.stages.region_stage import RegionStage
from vloc_ros.training.stages.sample_stage import SampleStage, calibration_views, default_novel_views
from vloc_ros.training.stages.settings import Settings, settings_of
from vloc_ros.training.stages.source_stage import Sources, SourceStage
from vloc_ros.training.stages.summary import depth_summary
from vloc_ros.training.stages.training_stage import TrainingStage
from vloc_ros.training.stages.untrained_map import untrained_map
from vloc_ros.training.stages.work_directory import WorkDirectory
from vloc_ros.training.trainer import Trainer
from vloc_ros.training.workers import Workers


def dense_map(
    work: WorkDirectory, options: MapOptions, recipe: DenseRecipe, kind: GeometryKind, opened: Sources, workers: Workers
) -> None:
    """Make the map of a network that has learned the place, or what the work directory is to stop behind."""
    encoder = recipe.encoder()
    gpu, novel_views = choose_device().type == "cuda", default_novel_views(kind, opened)
    settings = settings_of(options, work.records, novel_views, gpu, workers.count)
    method, training, samples = recipe.options, settings.training, settings.samples
    workers.share_of(training.options.accumulate)
    held_out = PartlyGrayscale(opened.held_out, training.grey) if training.grey else opened.held_out

    sources = work.run(SourceStage(settings.sources, opened))
    geometry = work.run(GeometryStage(kind, sources))
    regions = work.run(RegionStage(method, recipe, sources, geometry))
    frames = work.run(SampleStage(samples, method, recipe, kind, sources, geometry, regions))
    buffer = None
    if encoder is not None:
        buffer = work.run(BufferStage(encoder, frames, recipe.augmentation, method.stride, samples.seed))
    untrained = untrained_map(method, recipe, options.frame_id, training.grey, sources, regions, frames)
    trainer = work.run(TrainingStage(training, method, recipe, regions, frames, buffer, held_out, untrained, workers))
    networks = work.run(ExportStage(settings.export, recipe, trainer, held_out, untrained))
    summary = {**depth_summary(geometry), **training_summary(settings, recipe, trainer)}
    beside = calibration_views(held_out, kind, geometry, untrained.manifest.image_size, samples.seed)
    stage = CalibrationStage(
        settings.calibration, untrained, {NETWORK: networks}, sources.training, held_out, beside, summary
    )
    work.run(stage)


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
