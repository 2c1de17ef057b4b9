"""COLMAP's mappers, run in a process of its own: poses and points of keyframes first, then the poses of the others."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from vloc_ros.cores import core_count
from vloc_ros.errors import DatasetError
from vloc_ros.files import write_errors
from vloc_ros.mapping.sfm.other_process import quiet_pycolmap, run_module, tell_step
from vloc_ros.progress import Advance, no_advance

MapperKind = Literal["global", "incremental"]
THREADS = min(4, core_count())
SMALLEST_MODEL = 5  # images
KEYFRAMES = "keyframes.txt"  # beside the database: their names, a line each


def run_mapper(
    database: Path,
    directory: Path,
    kind: MapperKind,
    images: int,
    keyframes: Sequence[str],
    fixed: bool,
    advance: Advance = no_advance,
) -> list[Path]:
    """Poses, points and lens of a database's images, as COLMAP models in `directory`, which is emptied before.

    `keyframes`: names of the images that the models are made of, before the others are put into them. `fixed`: the lens
    stays as it is. The directories of the models, those that hang together each in one; Raises DatasetError where there
    is none.
    """
    shutil.rmtree(directory, ignore_errors=True)
    with write_errors(directory):
        directory.mkdir(parents=True)
        database.with_name(KEYFRAMES).write_text("".join(f"{name}\n" for name in keyframes))
    code = run_module(__name__, [str(database), str(directory), kind, str(int(fixed))], images, advance)
    models = sorted(path.parent for path in directory.glob("*/images.bin"))
    if code != 0 or not models:
        ended = f"pycolmap's {kind} mapper ended with code {code}" if code else "no two images fix how the others lie"
        raise DatasetError(f"structure from motion: {ended}")
    return models


def main() -> None:
    """The other process: DATABASE DIRECTORY KIND FIXED."""
    database, directory, kind, fixed = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4] == "1"
    keyframes = database.with_name(KEYFRAMES).read_text().splitlines()
    pycolmap = quiet_pycolmap()
    options = incremental_options(pycolmap, fixed)
    if kind == "global":
        of_all = global_options(pycolmap, fixed)
        of_all.image_names = keyframes
        pycolmap.global_mapping(database, directory, directory, of_all)
    else:
        options.image_names = keyframes
        pycolmap.incremental_mapping(database, directory, directory, options, next_image_callback=tell_step)
    for model in sorted(path.parent for path in directory.glob("*/images.bin")):
        register_others(pycolmap, database, model, options)


def register_others(pycolmap: Any, database: Path, model: Path, options: Any) -> None:
    """Give the database's other images poses in a model, which stays as it is, and have them observe its points."""
    with pycolmap.Database.open(str(database)) as opened:
        mapper = pycolmap.IncrementalMapper(pycolmap.DatabaseCache.create(opened, pycolmap.DatabaseCacheOptions()))
    reconstruction = pycolmap.Reconstruction(model)
    mapper.begin_reconstruction(reconstruction)
    options.mapper.abs_pose_refine_focal_length = options.mapper.abs_pose_refine_extra_params = False
    for number in mapper.find_next_images(options.mapper, structure_less=False):
        if mapper.register_next_image(options.mapper, number):
            mapper.triangulate_image(options.triangulation, number)
        tell_step()
    mapper.end_reconstruction(False)
    reconstruction.write_binary(model)


def incremental_options(pycolmap: Any, fixed: bool) -> Any:
    """Fewer and smaller adjustments than the defaults, which are for photos of the internet."""
    options = pycolmap.IncrementalPipelineOptions()
    options.num_threads, options.random_seed, options.extract_colors = THREADS, 0, False
    options.min_model_size = SMALLEST_MODEL
    options.ba_refine_focal_length = options.ba_refine_extra_params = not fixed
    options.mapper.abs_pose_refine_focal_length = options.mapper.abs_pose_refine_extra_params = not fixed
    options.ba_global_frames_ratio = options.ba_global_points_ratio = 1.4
    options.ba_global_max_num_iterations, options.ba_local_max_num_iterations = 20, 10
    options.ba_global_function_tolerance, options.ba_local_function_tolerance = 1e-4, 1e-3
    options.ba_global_max_refinements, options.ba_local_max_refinements = 2, 1
    return options


def global_options(pycolmap: Any, fixed: bool) -> Any:
    options = pycolmap.GlobalPipelineOptions()
    options.num_threads, options.random_seed = THREADS, 0
    options.mapper.bundle_adjustment.refine_focal_length = not fixed
    options.mapper.bundle_adjustment.refine_extra_params = not fixed
    return options
