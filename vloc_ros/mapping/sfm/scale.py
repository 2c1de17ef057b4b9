"""Where the metres of a reconstruction from images come from: `--scale`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.dataset_files import parse_pose
from vloc_ros.datasets.photos import photo_name
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import POSE_COLUMNS
from vloc_ros.mapping.sfm.markers import DICTIONARY, find_dictionary, marker_scale
from vloc_ros.mapping.sfm.similarity import (
    Similarity,
    angle_deg,
    common_rotation,
    robust_umeyama,
    turned_by,
    upright,
)
from vloc_ros.text_files import read_table

Float = NDArray[np.float64]

LEAST_POSES = 3
SAME_STAMP_S = 1e-3
ORIENTATIONS_OFF_DEG, ORIENTATIONS_BESIDE_DEG = 2.0, 10.0  # from each other, and from what positions say
WAYS = "poses:FILE.tum, distance:IMAGE,IMAGE,METRES, markers:METRES[,DICTIONARY] or none"
DISAGREEING = 0.02  # relative: distances, or edges of markers, that are off by more are said to be


@dataclass(frozen=True)
class Distance:
    """Between the cameras of two images, metres."""

    first: str
    second: str
    metres: float


@dataclass(frozen=True)
class ScaleOptions:
    """One of: a file of `poses`; `distances`; the edge of `marker` squares, metres, of an OpenCV `dictionary`; or
    `none` of these, which has to be `accepted` too. Nothing at all where a model is in metres already."""

    poses: Path | None = None
    distances: tuple[Distance, ...] = ()
    marker: float | None = None
    dictionary: str = DICTIONARY
    none: bool = False


def parse_scale(texts: Sequence[str], accept_none: bool = False) -> ScaleOptions:
    """Of `--scale`, given once, or as several distances. Raises ConfigError."""
    kinds = {text.partition(":")[0] for text in texts}
    if len(kinds) > 1 or (len(texts) > 1 and kinds != {"distance"}):
        raise ConfigError(f"--scale {' --scale '.join(texts)}: give one, or several distances")
    if not texts:
        return ScaleOptions()
    (kind,), values = kinds, [text.partition(":")[2] for text in texts]
    if kind == "distance":
        return ScaleOptions(distances=tuple(map(_distance, values)))
    if kind == "poses" and values[0]:
        return ScaleOptions(poses=Path(values[0]))
    if kind == "markers":
        return _markers(values[0])
    if texts[0] != "none":
        raise ConfigError(f"--scale {texts[0]}: expected {WAYS}")
    if not accept_none:
        raise ConfigError(
            "--scale none: poses of such a map are in no unit and may not steer a robot; --accept-no-scale makes it "
            "all the same"
        )
    return ScaleOptions(none=True)


def _distance(text: str) -> Distance:
    parts = text.rsplit(",", 2)
    try:
        first, second, metres = parts[0], parts[1], float(parts[2])
    except (IndexError, ValueError):
        raise ConfigError(f"--scale distance:{text}: expected distance:IMAGE,IMAGE,METRES") from None
    if not 0 < metres < 1e5 or not first or first == second:
        raise ConfigError(f"--scale distance:{text}: two images and more than 0 metres are needed")
    return Distance(first, second, metres)


def _markers(text: str) -> ScaleOptions:
    size, _, dictionary = text.partition(",")
    try:
        metres = float(size)
    except ValueError:
        raise ConfigError(
            f"--scale markers:{text}: the size is missing: markers:METRES, the edge of a marker's black square, "
            "such as markers:0.16"
        ) from None
    if not 0 < metres < 100:
        raise ConfigError(f"--scale markers:{text}: a marker of {metres:g} m cannot be")
    find_dictionary(dictionary or DICTIONARY)
    return ScaleOptions(marker=metres, dictionary=dictionary or DICTIONARY)


@dataclass(frozen=True, eq=False)
class ScaledViews:
    """Images whose poses `map_from_camera` (F, 4, 4) are of unknown scale: their `names`, `files`, and `camera`."""

    names: tuple[str, ...]
    files: tuple[Path, ...]
    map_from_camera: Float
    camera: Camera


@dataclass(frozen=True, eq=False)
class Scale:
    """The transform into metres, and how it was found, in lines for people."""

    similarity: Similarity
    lines: tuple[str, ...] = field(default=())


def check_scale(options: ScaleOptions, names: Sequence[str]) -> None:
    """Raise DatasetError for what these images cannot give a scale: before hours of reconstruction, not behind them."""
    if options.poses is not None:
        _poses_of(options.poses, names)
    for each in options.distances:
        if _row_of(names, each.first) == _row_of(names, each.second):
            raise DatasetError(f"--scale distance: '{each.first}' and '{each.second}' are one image")


def find_scale(views: ScaledViews, options: ScaleOptions) -> Scale:
    """Raises DatasetError where the images do not tell."""
    if options.poses is not None:
        return _scale_of_poses(views, options.poses)
    if options.distances:
        scale, line = _scale_of_distances(views, options.distances)
    elif options.marker is not None:
        scale, line = marker_scale(views.files, views.map_from_camera, views.camera, options.marker, options.dictionary)
    elif options.none:
        scale, line = _unit_scale(views.map_from_camera)
    else:
        return Scale(Similarity(1.0, np.eye(3), np.zeros(3)), ("scale: as it is in the model, taken to be metres",))
    rotation = upright(views.map_from_camera)
    centre = scale * rotation @ np.median(views.map_from_camera[:, :3, 3], axis=0)
    up = "up is where the images' tops point to, the origin is among the cameras"
    return Scale(Similarity(scale, rotation, -centre), (line, up))


def _unit_scale(poses: Float) -> tuple[float, str]:
    """The cameras' median distance from their middle is 1."""
    off = np.linalg.norm(poses[:, :3, 3] - np.median(poses[:, :3, 3], axis=0), axis=1)
    return 1.0 / max(float(np.median(off)), 1e-9), "warning: the scale is not known, nothing of this map is in metres"


def _scale_of_poses(views: ScaledViews, path: Path) -> Scale:
    rows, targets = _poses_of(path, views.names)
    source, target = views.map_from_camera[rows], np.stack(targets)
    try:
        found, good = robust_umeyama(source[:, :3, 3], target[:, :3, 3])
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from error
    found, turned = _with_orientations(found, source[good], target[good])
    off = 100 * np.linalg.norm(found.apply(source[:, :3, 3]) - target[:, :3, 3], axis=1)
    left_out = f", {len(good) - good.sum()} far off and left out" if not good.all() else ""
    return Scale(found, (
        f"scale: from the poses of {len(rows)} images in {path}, which are {np.median(off):.2f} cm off (median), "
        f"{off.max():.2f} cm at most{left_out}; {turned}",
    ))  # fmt: skip


def _poses_of(path: Path, names: Sequence[str]) -> tuple[list[int], list[Float]]:
    """The rows of images whose poses a file has, and these. Raises DatasetError where they are too few."""
    known = _poses(path)
    rows, targets = [], []
    stamps = {float(name): pose for name, pose in known.items() if _is_number(name)}
    for row, name in enumerate(names):
        pose = known.get(name)
        if pose is None:
            pose = known.get(PurePosixPath(name).name)
        if pose is None and stamps and _is_number(PurePosixPath(name).name):
            nearest = min(stamps, key=lambda stamp: abs(stamp - float(PurePosixPath(name).name)))
            if abs(nearest - float(PurePosixPath(name).name)) <= SAME_STAMP_S:
                pose = stamps[nearest]
        if pose is not None:
            rows.append(row)
            targets.append(pose)
    if len(rows) < LEAST_POSES:
        raise DatasetError(
            f"{path}: poses of {len(rows)} of the images, at least {LEAST_POSES} are needed: '{next(iter(known))}' "
            f"there, '{names[0]}' here"
        )
    return rows, targets


def _with_orientations(found: Similarity, source: Float, target: Float) -> tuple[Similarity, str]:
    """The transform between poses (n, 4, 4) and (n, 4, 4) turned as the orientations say, which say it better than
    positions do; where they contradict each other or the positions they are not those of the camera, and left."""
    rotation, off_deg = common_rotation(source[:, :3, :3], target[:, :3, :3])
    if off_deg > ORIENTATIONS_OFF_DEG or angle_deg(rotation, found.rotation) > ORIENTATIONS_BESIDE_DEG:
        return found, "their orientations are not those of the camera, and not used"
    better = turned_by(rotation, source[:, :3, 3], target[:, :3, 3])
    return better, f"orientations {off_deg:.2f} deg (median)"


def _poses(path: Path) -> Mapping[str, Float]:
    """By name or stamp, as it is written."""
    rows = read_table(path, f"name {POSE_COLUMNS}")
    return {name: parse_pose(path, number, row[3:], row[:3]) for name, (number, row) in rows.items()}


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?", text) is not None


def _scale_of_distances(views: ScaledViews, distances: Sequence[Distance]) -> tuple[float, str]:
    factors = []
    for each in distances:
        a, b = (views.map_from_camera[_row_of(views.names, name), :3, 3] for name in (each.first, each.second))
        apart = float(np.linalg.norm(a - b))
        if not apart > 0:
            raise DatasetError(f"--scale: '{each.first}' and '{each.second}' were taken at the same place")
        factors.append(each.metres / apart)
    lengths = np.array([each.metres for each in distances])
    scale = float(lengths.sum() / (lengths / factors).sum())
    off = [f"{100 * (scale / factor - 1):+.1f} %" for factor in factors]
    doubt = "; they disagree" if max(abs(scale / factor - 1) for factor in factors) > DISAGREEING else ""
    return scale, f"scale: from {len(distances)} distances, which are off by {', '.join(off)}{doubt}"


def _row_of(names: Sequence[str], name: str) -> int:
    """Of the image of a name, with or without ending and folders. Raises DatasetError for none, and for several."""
    wanted = PurePosixPath(photo_name(name))
    whole = {str(wanted), str(wanted.with_suffix(""))}
    rows = [row for row, own in enumerate(names) if own in whole] or [
        row for row, own in enumerate(names) if PurePosixPath(own).name in (wanted.name, wanted.stem)
    ]
    if len(rows) > 1:
        several = "', '".join(names[row] for row in rows[:3])
        raise DatasetError(f"--scale distance: '{name}' may be '{several}': say which, with its folder")
    if not rows:
        raise DatasetError(f"--scale distance: there is no image '{name}', or it has no pose; '{names[0]}' is one")
    return rows[0]
