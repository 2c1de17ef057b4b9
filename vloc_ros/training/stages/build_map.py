"""`vloc map`: from posed images to a map directory, stage after stage, each made from the products of those before.

`dense_map` and `sparse_map` have the order for the two kinds of methods; each stage is in a module of its own,
`work_directory` decides which are to be run.
"""

from contextlib import suppress
from dataclasses import replace

from vloc_ros.core.model_spec import NETWORK
from vloc_ros.datasets.bag_recording import RecordingOptions, check_recording, describe_recording, unpack_recording
from vloc_ros.datasets.grayscale import PartlyGrayscale
from vloc_ros.errors import ConfigError
from vloc_ros.mapping.geometry_kinds import GeometryKind
from vloc_ros.mapping.sfm.options import ReconstructionOptions
from vloc_ros.maps import require_replaceable
from vloc_ros.progress import Progress, Silent
from vloc_ros.training.device import Workers, choose_device
from vloc_ros.training.map_options import BAG, IMAGES, UNPOSED, MapOptions
from vloc_ros.training.method_options import load_recipe
from vloc_ros.training.recipe import DenseRecipe, Recipe, SparseRecipe
from vloc_ros.training.stages.buffer_stage import BufferStage
from vloc_ros.training.stages.calibration_stage import CalibrationStage
from vloc_ros.training.stages.export_stage import ExportStage
from vloc_ros.training.stages.feature_stage import FeatureStage
from vloc_ros.training.stages.geometry_stage import GeometryStage
from vloc_ros.training.stages.point_map import hidden_views, point_map
from vloc_ros.training.stages.pose_stage import PoseStage
from vloc_ros.training.stages.recognition_stage import RECOGNITION_LOGS, RecognitionStage
from vloc_ros.training.stages.recordings import recordings_of
from vloc_ros.training.stages.region_stage import RegionStage
from vloc_ros.training.stages.retirement import retire_points
from vloc_ros.training.stages.sample_stage import (
    SampleStage,
    calibration_views,
    default_novel_views,
    require_novel_views,
)
from vloc_ros.training.stages.settings import (
    calibration_settings,
    feature_settings,
    require_for_sparse,
    require_landmarks,
    settings_of,
    source_settings,
)
from vloc_ros.training.stages.source_stage import Sources, SourceStage, open_sources, require_depth_files
from vloc_ros.training.stages.sparse_export_stage import SparseExportStage
from vloc_ros.training.stages.summary import depth_summary, point_summary, pose_summary, training_summary
from vloc_ros.training.stages.surface_stage import SurfaceStage
from vloc_ros.training.stages.training_stage import TrainingStage
from vloc_ros.training.stages.untrained_map import untrained_map
from vloc_ros.training.stages.work_directory import Stopped, WorkDirectory, work_directory

RECORDING = "recording"  # a bag's keyframes, in the work directory


def build_map(options: MapOptions, progress: Progress | None = None) -> None:
    """Make the map directory `options.out` from posed images, or what `options.until` asks for.

    Ctrl-C leaves the stages that are done, and a checkpoint; the same call goes on from them. Several processes, as
    `torchrun` starts them, each call it. Raises VlocError for bad input.
    """
    workers = Workers.join()
    recipe = load_recipe(options.method)
    require_own_root(options)
    is_sparse = "features" in options.method.stages
    if is_sparse:
        require_for_sparse(options)
    if options.dataset in UNPOSED:
        options = posed(options, recipe, workers, progress or Silent())
        recipe = load_recipe(options.method)
    opened = open_sources(source_settings(options))
    kind = recipe.geometry(options.mesh, len(opened.places))
    kind.check(opened.places)
    if kind.reads_depth or is_sparse:
        require_depth_files(opened)
    if is_sparse:
        require_landmarks(options.method, len(opened.places))
        workers.leave()  # there is nothing that several could share
        if workers.rank:
            return
        workers = Workers()
    else:
        require_novel_views(options.novel_views, kind, opened)
    if workers.rank == 0:
        require_replaceable(options.out)
    progress = progress if progress is not None and workers.rank == 0 else Silent()
    with (
        suppress(Stopped),
        work_directory(options.workdir, options.fresh, workers, progress, options.until) as work,
    ):
        if is_sparse:
            sparse_map(work, options, recipe, kind, opened, progress)
        else:
            dense_map(work, options, recipe, kind, opened, workers)


def posed(options: MapOptions, recipe: Recipe, workers: Workers, progress: Progress) -> MapOptions:
    """The options with a folder of posed images in place of a bag, of images without poses or of a COLMAP model."""
    if options.dataset not in UNPOSED:
        return options
    require_replaceable(options.out)
    if options.dataset == BAG:
        return recorded(options, recipe.geometry(options.mesh, 1), workers, progress)
    return without_poses(options, workers, progress)


def require_own_root(options: MapOptions) -> None:
    """Raise ConfigError for images that --fresh would delete, and for a map among the files that it is made of: the
    next run would take what this one writes for a part of them."""
    root, workdir = options.root, options.workdir.resolve()
    if root is None:
        return
    if options.fresh and root.resolve().is_relative_to(workdir):
        raise ConfigError(f"--root {root}: lies in --workdir {options.workdir}, which --fresh empties")
    if options.dataset in (BAG, IMAGES):
        for flag, path in (("--out", options.out), ("--workdir", options.workdir)):
            if path.resolve().is_relative_to(root.resolve()):
                raise ConfigError(f"{flag} {path}: lies in --root {root}, all of which is read")


def recorded(options: MapOptions, kind: GeometryKind, workers: Workers, progress: Progress) -> MapOptions:
    """The options with the bag's keyframes in place of the bag: a folder in the work directory, which is written by the
    first process. Raises DatasetError for a bag of which no geometry of that kind can be made."""
    if options.root is None:
        raise ConfigError(f"{BAG}: --root has to say which")
    folder, wanted = options.workdir / RECORDING, options.recording or RecordingOptions()
    require_landmarks(options.method, places=1)
    if options.fresh and workers.rank == 0:  # before anything is deleted
        check_recording(options.root, wanted, options.frame_id, kind.without_depth)
    with work_directory(options.workdir, options.fresh, workers, progress, None):
        if workers.rank == 0:
            record = unpack_recording(options.root, folder, wanted, options.frame_id, progress, kind.without_depth)
            progress.say(f"{RECORDING}: {describe_recording(record)}")
        workers.barrier()
    return replace(options, dataset="folder", root=folder, split="all", poses=None, fresh=False)


def without_poses(options: MapOptions, workers: Workers, progress: Progress) -> MapOptions:
    """The options with posed images in place of those that have no poses, or of a COLMAP model."""
    from vloc_ros.training.photo_sources import posed_by_model, reconstructed  # loads pycolmap

    workers.leave()  # there is nothing that several could share
    with work_directory(options.workdir, options.fresh, Workers(), progress, None):
        make = reconstructed if options.dataset == IMAGES else posed_by_model
        return make(options, options.photos or ReconstructionOptions(), progress)


def dense_map(
    work: WorkDirectory, options: MapOptions, recipe: DenseRecipe, kind: GeometryKind, opened: Sources, workers: Workers
) -> None:
    """The stages of a method whose network fills a grid of cells, and has learned the place."""
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


def sparse_map(
    work: WorkDirectory,
    options: MapOptions,
    recipe: SparseRecipe,
    kind: GeometryKind,
    opened: Sources,
    progress: Progress,
) -> None:
    """The stages of a method that matches key points with the points of the place."""
    method = recipe.options

    sources = work.run(SourceStage(source_settings(options), opened))
    sources = work.run(FeatureStage(feature_settings(options), method, sources))
    poses = work.run(PoseStage(method, kind.reads_depth, sources))
    sources = poses.applied(sources)
    current = retire_points(sources, work.run(GeometryStage(kind, sources)), progress)
    geometry = current.geometry
    regions = work.run(RegionStage(method, recipe, sources, geometry))
    trained = None
    if "training" in method.stages:
        trained = work.run(RecognitionStage(options.training, recipe, sources, geometry))
    networks = work.run(SparseExportStage(method, sources, trained.network if trained else None))
    uncalibrated = point_map(method, options.frame_id, sources, geometry, regions, networks)
    if options.surface:
        uncalibrated = replace(uncalibrated, surface=work.run(SurfaceStage(sources, geometry)))
    summary = {
        **depth_summary(geometry),
        **pose_summary(poses),
        **point_summary(source_settings(options), recipe, geometry),
        **current.summary(regions),
    }
    if trained is not None:
        summary |= trained.summary()
    hidden = hidden_views(uncalibrated, sources, geometry)
    calibration, mapping, held_out = calibration_settings(options), hidden.frames, sources.held_out
    seen = recordings_of(sources, geometry)
    stage = CalibrationStage(
        calibration, uncalibrated, networks, mapping, held_out, (), summary, RECOGNITION_LOGS, hidden, seen
    )
    work.run(stage)
