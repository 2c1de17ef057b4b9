"""What COLMAP's mapper found, made exact: key points aligned by patches, a last bundle adjustment with a robust loss.

In a process of its own, as the mappers."""

import shutil
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.dataset_files import read_image
from vloc_ros.errors import DatasetError
from vloc_ros.mapping.sfm.focal_length import FOCAL, FocalLength
from vloc_ros.mapping.sfm.mapper import THREADS
from vloc_ros.mapping.sfm.other_process import quiet_pycolmap, run_module, tell_step
from vloc_ros.mapping.sfm.track_refinement import Tracked, refined
from vloc_ros.progress import Advance, no_advance

LOSS_PX = 1.0  # of Cauchy's loss: residuals of so many pixels weigh half
MAX_STEPS, TOLERANCE = 25, 1e-5
MOST_FOR_COVARIANCE = 500  # images: time and memory for it grow with their third and second power
MAX_ERROR_PX, LEAST_ANGLE_DEG = 4.0, 1.5  # COLMAP's own limits: what is beyond is left out


def adjust_finally(
    model: Path, images: Path, directory: Path, count: int, fixed: bool, advance: Advance = no_advance
) -> Path:
    """The COLMAP model of a directory, of so many `images`, with key points, poses, points and, unless it is `fixed`,
    the lens made exact, in another `directory`, which is emptied before. Raises DatasetError where that fails."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    arguments = [str(model), str(images), str(directory), str(int(fixed))]
    code = run_module(__name__, arguments, 2 * count, advance)
    if code != 0 or not (directory / "images.bin").is_file():
        raise DatasetError(f"structure from motion: the last bundle adjustment ended with code {code}")
    return directory


def main() -> None:
    """The other process: MODEL IMAGES DIRECTORY FIXED."""
    model, images, directory, fixed = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4] == "1"
    pycolmap = quiet_pycolmap()
    cv2.setNumThreads(1)
    reconstruction = pycolmap.Reconstruction(model)
    refine_tracks(reconstruction, images)
    focal = adjust(pycolmap, reconstruction, fixed)
    pycolmap.ObservationManager(reconstruction).filter_all_points3D(MAX_ERROR_PX, LEAST_ANGLE_DEG)
    reconstruction.update_point_3d_errors()
    focal.save(directory / FOCAL)
    reconstruction.write_binary(directory)


def adjust(pycolmap: Any, reconstruction: Any, fixed: bool) -> FocalLength:
    """The last bundle adjustment of a pycolmap.Reconstruction, unless the lens is `fixed` with one coefficient of
    distortion more than the mappers estimate. What became of the focal length."""
    (camera,) = reconstruction.cameras.values()
    before = camera.mean_focal_length()
    if not fixed:
        camera.model, camera.params = pycolmap.CameraModelId.RADIAL, np.append(camera.params, 0.0)
    numbers = reconstruction.reg_image_ids()
    config = pycolmap.BundleAdjustmentConfig()
    for number in numbers:
        config.add_image(number)
    config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    options = adjustment_options(pycolmap, fixed)
    adjuster = pycolmap.create_default_ceres_bundle_adjuster(options, config, reconstruction)
    adjuster.solve()
    known = not fixed and len(numbers) <= MOST_FOR_COVARIANCE
    sigma = _focal_sigma(pycolmap, reconstruction, adjuster) if known else None
    return FocalLength(before, camera.mean_focal_length(), sigma)


def _focal_sigma(pycolmap: Any, reconstruction: Any, adjuster: Any) -> float | None:
    """Pixels, where key points are off by one, with poses and points unknown; None where that cannot be told."""
    (camera,) = reconstruction.cameras.values()
    found = pycolmap.estimate_ba_covariance(pycolmap.BACovarianceOptions(), reconstruction, adjuster)
    variances = None if found is None else found.get_other_params_cov(camera.params)
    return None if variances is None else float(np.sqrt(variances[0, 0]))


def adjustment_options(pycolmap: Any, fixed: bool) -> Any:
    options = pycolmap.BundleAdjustmentOptions()
    options.refine_focal_length = options.refine_extra_params = not fixed
    options.print_summary = False
    options.ceres.loss_function_type, options.ceres.loss_function_scale = pycolmap.LossFunctionType.CAUCHY, LOSS_PX
    solver = options.ceres.solver_options
    solver.num_threads, solver.max_num_iterations, solver.function_tolerance = THREADS, MAX_STEPS, TOLERANCE
    return options


def refine_tracks(reconstruction: Any, images: Path) -> None:
    """Move the key points of a pycolmap.Reconstruction's observations; those that cannot be aligned are deleted, and
    so are points that are left with fewer than two."""
    numbers = sorted(reconstruction.reg_image_ids())
    tracked, key_points = _tracked(reconstruction, numbers)
    if not len(key_points):
        return
    names = [reconstruction.images[number].name for number in numbers]
    grey = [np.asarray(cv2.cvtColor(read_image(images / name), cv2.COLOR_RGB2GRAY), np.uint8) for name in names]
    pixels, good = refined(tracked, grey, lambda done, total: tell_step())
    for row, (frame, key_point) in enumerate(zip(tracked.frames.tolist(), key_points.tolist(), strict=True)):
        of_image = reconstruction.images[numbers[frame]].points2D[key_point]
        if good[row]:
            of_image.xy = pixels[row] + 0.5
        elif of_image.has_point3D():  # else it went with its point
            reconstruction.delete_observation(numbers[frame], key_point)


def _tracked(reconstruction: Any, numbers: list[int]) -> tuple[Tracked, NDArray[np.int64]]:
    """The model's observations, and which key point of its image each is."""
    row_of = {number: row for row, number in enumerate(numbers)}
    (camera,) = reconstruction.cameras.values()
    points = [reconstruction.points3D[number] for number in sorted(reconstruction.point3D_ids())]
    tracks = [[(row_of[each.image_id], each.point2D_idx) for each in point.track.elements] for point in points]
    frames, key_points = np.array([pair for track in tracks for pair in track], dtype=np.int64).reshape(-1, 2).T
    places = [np.array([point.xy for point in reconstruction.images[number].points2D]) for number in numbers]
    poses = np.tile(np.eye(4), (len(numbers), 1, 1))
    poses[:, :3] = [reconstruction.images[number].cam_from_world().matrix() for number in numbers]
    return Tracked(
        starts=np.cumsum([0, *map(len, tracks)]),
        frames=frames,
        pixels=np.array([places[f][k] for f, k in zip(frames, key_points, strict=True)]).reshape(-1, 2) - 0.5,
        positions=np.array([point.xyz for point in points]).reshape(-1, 3),
        camera_from_map=poses,
        project=lambda local: np.asarray(camera.img_from_cam(local)) - 0.5,
        focal=camera.mean_focal_length(),
    ), key_points
