"""Images without poses and depth as a map: how many are registered, how right their poses are, what the map is worth.

python benchmark/images_mapping.py --dataset seven_scenes --root DIR --poses FILE --split train [--every 4] \\
    [--known-every 50] [--test-split SPLIT] [--colmap-sift] --folder DIR

Each Nth image of the split, without its pose, becomes a map with `vloc map --dataset images`; the scale comes from the
poses of every 50th image of the split, or as `--known-every` says. Poses of the map's images are compared with the
data set's, and frames between
the map's images (or `--test-split`) are localized, with the camera that the reconstruction found, and with the data
set's. `--colmap-sift`: pycolmap's own pipeline on the same images, too:
SIFT, all pairs, its incremental mapper, with its defaults. `--folder` keeps what was made.

Reprojection errors are in pixels of the images, which are the same for both: COLMAP's mean over points of their mean
errors, and mean and median of all observations. Both leave out what is beyond COLMAP's limit of 4 pixels. Processor
time is that of all threads and processes.
"""

import resource
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from in_turn import ask_in_turn, by_image, threads
from inputs import plain_parser
from numpy.typing import NDArray
from results import MEDIAN, RECALLS, Results

from vloc_ros.cli import main as vloc
from vloc_ros.cli.options import add_dataset, add_split
from vloc_ros.core.types import PoseEstimate, Rejection
from vloc_ros.datasets import Dataset, open_dataset
from vloc_ros.datasets.folder import read_camera, read_poses
from vloc_ros.datasets.posed_files import PosedFiles
from vloc_ros.datasets.subset import Subset
from vloc_ros.datasets.types import Frame
from vloc_ros.geometry.pose_error import pose_error
from vloc_ros.geometry.trajectory import HEADER
from vloc_ros.geometry.transforms import pose_vector
from vloc_ros.localizer import load_localizer
from vloc_ros.mapping.sfm.posed_model import MODEL
from vloc_ros.mapping.sfm.similarity import robust_umeyama
from vloc_ros.training.photo_sources import POSED

HELD_OUT_EVERY = 3  # gaps between the map's images, in the middle of which a frame is localized
COLUMNS = {
    "what": "{what}",
    "registered": "{registered} of {images}",
    "poses of these, median (90 %)": "{pose_cm:.2f} ({pose_p90_cm:.2f}) cm, {pose_deg:.2f} deg",
    "points": "{points:,}",
    "reprojection error, mean of points": "{reprojection_px:.2f} px",
    "mean / median of observations": "{observation_px:.2f} / {observation_median_px:.2f} px",
    "poses after": "{minutes_posed:.1f} min",
    "map after": "{minutes:.1f} min",
    "processor time, poses": "{cpu_minutes_posed:.1f} min",
    "processor time, map": "{cpu_minutes:.1f} min",
    "localized": "{frames}",
    "median": MEDIAN,
    **RECALLS,
    "median with the data set's calibration": "{declared_cm:.2f} cm, {declared_deg:.2f} deg",
}
Float = NDArray[np.float64]


def main() -> None:
    parser = plain_parser(__doc__)
    add_dataset(parser)
    add_split(parser, default="train")
    parser.add_argument("--every", type=int, default=4, metavar="N", help="only each Nth image (default: %(default)s)")
    parser.add_argument(
        "--known-every", type=int, default=50, metavar="N",
        help="poses of each Nth image tell the scale (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--test-split", metavar="SPLIT", help="localize these, not frames between the map's images")
    parser.add_argument("--colmap-sift", action="store_true", help="pycolmap's own SIFT pipeline, too")
    parser.add_argument("--folder", type=Path, required=True, help="where images and maps are")
    options = parser.parse_args()
    frames = open_dataset(options.dataset, options.root, options.split, options.poses)
    assert isinstance(frames, PosedFiles)
    rows = range(0, len(frames), options.every)
    asked: Dataset = Subset(frames, range(options.every // 2, len(frames), HELD_OUT_EVERY * options.every))
    if options.test_split:
        asked = open_dataset(options.dataset, options.root, options.test_split, options.poses)
    photos = write_photos(options.folder / "photos", frames, rows, options.known_every)
    results = Results(
        f"Data: {options.dataset} {options.root}, one of {options.every} images of split {options.split}", COLUMNS
    )
    results.add(what="vloc_ros", images=len(rows), **mapped(options.folder, photos, frames, asked))
    if options.colmap_sift:
        results.add(what="pycolmap, SIFT", images=len(rows), **mapped_by_colmap(options.folder, photos, frames))
    results.write(options.json)


def write_photos(folder: Path, frames: PosedFiles, rows: Sequence[int], known_every: int) -> Path:
    """Links to images of these rows, named by them, and beside the folder the poses that tell the scale."""
    folder.mkdir(parents=True, exist_ok=True)
    for row in rows:
        image = frames.images[row].resolve()
        link = folder / f"{row:06d}{image.suffix}"
        if not link.exists():
            link.symlink_to(image)
    lines = [
        f"{row:06d} " + " ".join(f"{value:.9f}" for value in pose_vector(frames.map_from_camera(row)))
        for row in rows[:: max(1, known_every // (rows[1] - rows[0]))]
    ]
    folder.with_name("known.tum").write_text("\n".join([HEADER, *lines]) + "\n")
    return folder


def mapped(folder: Path, photos: Path, frames: PosedFiles, asked: Dataset) -> dict[str, Any]:
    """What the map of the photos is worth; times are wrong of one that was there before."""
    import pycolmap

    target, work, clock = folder / "images.map", folder / "images.work", Clock()
    arguments = ["--dataset", "images", "--root", str(photos), "--scale", f"poses:{folder / 'known.tum'}"]
    command = ["map", *arguments, "--out", str(target), "--workdir", str(work)]
    if not target.exists() and (code := vloc([*command, "--until", "sources"])):
        raise SystemExit(code)
    minutes_posed, cpu_minutes_posed = clock.minutes()
    if not target.exists() and (code := vloc(command)):
        raise SystemExit(code)
    minutes, cpu_minutes = clock.minutes()
    poses = read_poses(work / POSED / "poses.txt")
    model = pycolmap.Reconstruction(str(work / POSED / MODEL))
    localizer, found = load_localizer(target), read_camera(work / POSED / "camera.txt")

    def with_found_camera(frame: Frame) -> PoseEstimate | Rejection:
        camera = found.resized(frame.image.camera.width, frame.image.camera.height)
        return localizer.localize(replace(frame.image, camera=camera))

    with threads(1):
        answers = ask_in_turn({"found": with_found_camera, "declared": by_image(localizer)}, asked)
    declared = answers["declared"].figures()
    return {
        **figures(np.stack(list(poses.values())), [int(name) for name in poses], frames, model),
        "minutes_posed": minutes_posed,
        "minutes": minutes,
        "cpu_minutes_posed": cpu_minutes_posed,
        "cpu_minutes": cpu_minutes,
        **answers["found"].figures(),
        "declared_cm": declared["median_cm"],
        "declared_deg": declared["median_deg"],
    }


def mapped_by_colmap(folder: Path, photos: Path, frames: PosedFiles) -> dict[str, Any]:
    """The same, without a map to localize in: its largest model, moved onto the data set's poses."""
    import pycolmap

    directory, clock = folder / "colmap", Clock()
    directory.mkdir(exist_ok=True)
    database = directory / "database.db"
    database.unlink(missing_ok=True)
    pycolmap.logging.minloglevel = 2
    pycolmap.extract_features(database, photos, camera_mode=pycolmap.CameraMode.SINGLE, device=pycolmap.Device.cpu)
    pycolmap.match_exhaustive(database, device=pycolmap.Device.cpu)
    models = pycolmap.incremental_mapping(database, photos, directory)
    minutes, cpu_minutes = clock.minutes()
    model = max(models.values(), key=lambda each: each.num_reg_images())
    images = [image for image in model.images.values() if image.has_pose]
    rows = [int(Path(image.name).stem) for image in images]
    own = np.stack([np.vstack([image.cam_from_world().inverse().matrix(), (0, 0, 0, 1)]) for image in images])
    true = np.stack([frames.map_from_camera(row) for row in rows])
    similarity, _ = robust_umeyama(own[:, :3, 3], true[:, :3, 3])
    return {
        **figures(similarity.apply_to_poses(own), rows, frames, model),
        "minutes_posed": minutes,
        "cpu_minutes_posed": cpu_minutes,
    }


class Clock:
    """Minutes from when it is made: on the wall, and of all this process's threads and finished processes."""

    def __init__(self) -> None:
        self._begin = self._now()

    def minutes(self) -> tuple[float, float]:
        (wall, cpu), (wall_before, cpu_before) = self._now(), self._begin
        return (wall - wall_before) / 60, (cpu - cpu_before) / 60

    @staticmethod
    def _now() -> tuple[float, float]:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return time.perf_counter(), sum(each.ru_utime + each.ru_stime for each in used)


def observation_errors(model: Any) -> Float:
    """(O,) pixels, of all observations of a pycolmap.Reconstruction."""
    errors = [np.zeros(0)]
    for image in model.images.values():
        seen = [point for point in image.points2D if point.has_point3D()] if image.has_pose else []
        if seen:
            points = image.cam_from_world() * np.array([model.points3D[point.point3D_id].xyz for point in seen])
            off = np.asarray(image.camera.img_from_cam(points)) - np.array([point.xy for point in seen])
            errors.append(np.linalg.norm(off, axis=1))
    return np.concatenate(errors)


def figures(poses: Float, rows: Sequence[int], frames: PosedFiles, model: Any) -> dict[str, Any]:
    errors = [pose_error(pose, frames.map_from_camera(row)) for pose, row in zip(poses, rows, strict=True)]
    moved = 100 * np.array([error.translation_m for error in errors])
    off = observation_errors(model)
    return {
        "registered": len(rows),
        "pose_cm": float(np.median(moved)),
        "pose_p90_cm": float(np.percentile(moved, 90)),
        "pose_deg": float(np.degrees(np.median([error.rotation_rad for error in errors]))),
        "points": model.num_points3D(),
        "reprojection_px": float(model.compute_mean_reprojection_error()),
        "observation_px": float(off.mean()),
        "observation_median_px": float(np.median(off)),
    }


if __name__ == "__main__":
    main()
