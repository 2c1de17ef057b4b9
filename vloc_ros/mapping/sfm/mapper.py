"""COLMAP's mappers, each run in a process of its own."""

import shutil
import sys
from pathlib import Path
from typing import Any, Literal

from vloc_ros.cores import core_count
from vloc_ros.errors import DatasetError
from vloc_ros.mapping.sfm.other_process import quiet_pycolmap, run_module, tell_step
from vloc_ros.progress import Advance, no_advance

MapperKind = Literal["global", "incremental"]
THREADS = min(4, core_count())
SMALLEST_MODEL = 5  # images


def run_mapper(
    database: Path, directory: Path, kind: MapperKind, images: int, fixed: bool, advance: Advance = no_advance
) -> list[Path]:
    """Poses, points and lens of a database's images, as COLMAP models in `directory`, which is emptied before.

    `fixed`: the lens stays as it is. The directories of the models, those that hang together each in one; Raises
    DatasetError where there is none.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    code = run_module(__name__, [str(database), str(directory), kind, str(int(fixed))], images, advance)
    models = sorted(path.parent for path in directory.glob("*/images.bin"))
    if code != 0 or not models:
        ended = f"pycolmap's {kind} mapper ended with code {code}" if code else "no two images fix how the others lie"
        raise DatasetError(f"structure from motion: {ended}")
    return models


def main() -> None:
    """The other process: DATABASE DIRECTORY KIND FIXED."""
    database, directory, kind, fixed = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4] == "1"
    pycolmap = quiet_pycolmap()
    if kind == "global":
        pycolmap.global_mapping(database, directory, directory, global_options(pycolmap, fixed))
    else:
        options = incremental_options(pycolmap, fixed)
        pycolmap.incremental_mapping(database, directory, directory, options, next_image_callback=tell_step)


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
