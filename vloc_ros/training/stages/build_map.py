"""`vloc map`: from posed images to a map directory, stage after stage, each made from the products of those before.

The order of the stages of the two kinds of methods: `dense_map.py` and `sparse_map.py` beside this. Each stage is in a
module of its own, `work_directory` decides which are to be run.
"""

from contextlib import suppress
from dataclasses import replace

from vloc_ros.datasets.bag_recording import RecordingOptions, check_recording, describe_recording, unpack_recording
from vloc_ros.errors import ConfigError
from vloc_ros.mapping.geometry_kinds import GeometryKind
from vloc_ros.mapping.sfm.options import ReconstructionOptions
from vloc_ros.maps import require_replaceable
from vloc_ros.progress import Progress, Silent
from vloc_ros.training.map_options import BAG, IMAGES, UNPOSED, MapOptions
from vloc_ros.training.method_options import load_recipe
from vloc_ros.training.recipe import Recipe
from vloc_ros.training.stages.sample_stage import require_novel_views
from vloc_ros.training.stages.settings import require_for_sparse, require_landmarks, source_settings
from vloc_ros.training.stages.source_stage import open_sources, require_depth_files
from vloc_ros.training.stages.work_directory import Stopped, work_directory
from vloc_ros.training.workers import Workers

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
            from vloc_ros.training.stages.sparse_map import sparse_map

            sparse_map(work, options, recipe, kind, opened, progress)
        else:
            from vloc_ros.training.stages.dense_map import dense_map  # loads PyTorch

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
