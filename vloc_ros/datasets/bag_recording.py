"""What a robot recorded, with one camera or several, as a folder of posed keyframes with registered depth
(docs/datasets.md, `folder`)."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vloc_ros.bags.camera_topics import name_of
from vloc_ros.bags.depth_topics import DepthOptions, choose_depth
from vloc_ros.bags.options import BagOptions
from vloc_ros.bags.reader import Bag, open_bag
from vloc_ros.bags.stereo_topics import choose_stereo
from vloc_ros.datasets.bag_frames import BagFrames, frames_by_camera
from vloc_ros.datasets.folder import write_tables
from vloc_ros.datasets.keyframe_writer import FEWEST_KEYFRAMES, KeyframeWriter
from vloc_ros.datasets.keyframes import describe_jumps, stretches
from vloc_ros.datasets.recorded_depth import DepthCameraDepth, RecordedDepth, StereoDepth
from vloc_ros.datasets.time_offset import TimeOffset
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.files import write_text
from vloc_ros.geometry.interpolation import Stamps
from vloc_ros.geometry.stamps import parse_stamp
from vloc_ros.geometry.transforms import Matrix
from vloc_ros.progress import Progress, Silent

RECORD = "recording.json"  # written last: with it, all is there
KEYFRAMES = 800
FOLLOWED = 400  # images, to compare clocks
DOUBTFUL_S = 0.03


@dataclass(frozen=True)
class RecordingOptions:
    """What to take from a bag, and how many `keyframes` at most. `search_offset`: that of the poses' clock is looked
    for, and not what `bag` says. `depth_topics`: one for each of several cameras, or none: the one that is nearest by
    name. Raises ConfigError."""

    bag: BagOptions = field(default_factory=BagOptions)
    depth: DepthOptions = field(default_factory=DepthOptions)
    keyframes: int = KEYFRAMES
    search_offset: bool = False
    depth_topics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        cameras = self.bag.cameras
        if self.depth_topics and len(self.depth_topics) != len(cameras):
            raise ConfigError(
                f"--depth-topic names {len(self.depth_topics)}, must be as many as --cameras: {len(cameras)}"
            )
        if cameras and self.depth.stereo_topic:
            raise ConfigError(f"--stereo-topics: depth of a stereo pair does not go with --cameras {' '.join(cameras)}")
        if cameras and (self.depth.info_topic or self.depth.color_from_depth is not None):
            raise ConfigError("--depth-info-topic and --depth-to-color are of one camera, --cameras names several")
        if self.keyframes < (needed := FEWEST_KEYFRAMES * max(1, len(cameras))):
            raise ConfigError(f"--keyframes {self.keyframes}: at least {needed} are needed")


def unpack_recording(
    bag_path: Path,
    folder: Path,
    options: RecordingOptions,
    map_frame: str,
    progress: Progress | None = None,
    without_depth: str = "",
) -> dict[str, Any]:
    """Write the keyframes of a bag into `folder`, and say what was taken and what was left out.

    The bag is read in bounded memory. Frames are named by their stamps, of several cameras as CAMERA/STAMP; these share
    the keyframes evenly, and one of which there are too few is left out, with a warning. A folder that was completely
    written from the same bag with the same options is left as it is. Raises DatasetError for what the bag does not
    have; where it has no depth, with what is to be said then, if anything is.
    """
    asked = _asked(bag_path, options, map_frame)
    if (known := _record(folder)) is not None and known.get("asked") == asked:
        return known
    progress = progress or Silent()
    with open_bag(bag_path) as bag, _replaced(folder) as new:
        cameras = _cameras_of(bag, options, map_frame, without_depth)
        _compare_clocks([camera.frames for camera in cameras], options, progress)
        written, faults = {}, list[DatasetError]()
        for camera in cameras:
            try:
                written[camera.name] = _written(bag, new, camera, options.keyframes // len(cameras), progress)
            except DatasetError as error:
                faults.append(error)
                _leave_out(new, camera.name, error, progress)
        if not written:
            raise faults[0]
        _write_all(new, written)
        parts = {name: {**writer.frames.to_json(), **writer.summary()} for name, writer in written.items()}
        record = {"asked": asked, **({"cameras": parts} if options.bag.cameras else parts[""])}
        write_text(new / RECORD, json.dumps(record, indent=1) + "\n")
    return record


@dataclass(frozen=True, eq=False)
class _Camera:
    """What is to be taken of a camera; `name`: of its folders, "" of one that is alone."""

    name: str
    frames: BagFrames
    depth: RecordedDepth | None


def _cameras_of(bag: Bag, options: RecordingOptions, map_frame: str, without_depth: str) -> list[_Camera]:
    """Raises DatasetError for what the bag does not have of one of them."""
    found = frames_by_camera(bag, options.bag, map_frame)
    topics = options.depth_topics or (options.depth.topic,) * len(found)
    cameras = []
    for (name, frames), topic in zip(found.items(), topics, strict=True):
        own = replace(options, depth=replace(options.depth, topic=topic))
        cameras.append(_Camera(name_of(name), frames, _depth_of(bag, frames, own, without_depth)))
    _require_own_depth(bag, cameras)
    return cameras


def _require_own_depth(bag: Bag, cameras: list[_Camera]) -> None:
    """Raise DatasetError where cameras would have the same depth, or some have none."""
    images: dict[str, str] = {}
    for camera in cameras:
        image, topic = camera.frames.topics.image.name, camera.depth.topic.name if camera.depth else ""
        if topic and topic in images:
            raise DatasetError(
                f"{bag.path}: {topic} would be the depth of both {images[topic]} and {image}: name the depth of each "
                "of --cameras with --depth-topic, or leave one of them out"
            )
        images[topic] = image
    if "" in images and len(images) > 1:
        raise DatasetError(f"{bag.path}: no topic of depth for {images['']}: of --cameras all have depth, or none")


def _compare_clocks(cameras: list[BagFrames], options: RecordingOptions, progress: Progress) -> None:
    """The cameras have one clock."""
    with progress.bar("clocks") as advance:
        offset = cameras[0].clock_offset(FOLLOWED, advance)
    _set_clock(cameras[0], offset, options, progress)
    for frames in cameras[1:]:
        frames.set_clock_offset(cameras[0].truth.options.offset_s)


def _written(bag: Bag, folder: Path, camera: _Camera, keyframes: int, progress: Progress) -> KeyframeWriter:
    """The keyframes of a camera, in the folder."""
    frames, name = camera.frames, f" of {camera.name}" if camera.name else ""
    with progress.bar(f"poses of the images{name}") as advance:
        stamps, poses = frames.posed(advance)
    if (jump := describe_jumps(stamps, poses)) is not None:
        progress.say(f"warning: the poses of {frames.truth.source} {jump}")
    writer = KeyframeWriter(bag, folder, frames, camera.depth, f"{camera.name}/" if camera.name else "")
    with progress.bar(f"keyframes{name}") as advance:
        writer.write(_chosen(stamps, poses, keyframes), advance)
    if damaged := writer.damaged:
        progress.say(f"warning: {len(damaged)} images, or their depth, are damaged and left out: {damaged[0]}")
    return writer


def _leave_out(folder: Path, camera: str, error: DatasetError, progress: Progress) -> None:
    """A camera of several that cannot be used."""
    if camera:
        progress.say(f"warning: camera {camera} is left out: {error}")
        for part in ("images", "depth"):
            shutil.rmtree(folder / part / camera, ignore_errors=True)


def _write_all(folder: Path, written: dict[str, KeyframeWriter]) -> None:
    """The folder's tables: frames of all cameras in the order of recording."""
    poses = {name: pose for writer in written.values() for name, pose in writer.poses.items()}
    in_order = sorted(poses, key=lambda name: parse_stamp(name.rpartition("/")[2]))
    cameras = {name: writer.camera for name, writer in written.items()}
    write_tables(folder, cameras, {name: poses[name] for name in in_order})


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """A new folder, which takes the place of the old one once it is complete; whatever goes wrong, nothing is left of
    it, which may be large."""
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)  # of a run that was killed
    try:
        yield new
        if folder.exists():
            shutil.rmtree(folder)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def check_recording(bag_path: Path, options: RecordingOptions, map_frame: str, without_depth: str = "") -> None:
    """Raise DatasetError for what the bag does not have, as `unpack_recording` would."""
    with open_bag(bag_path) as bag:
        _cameras_of(bag, options, map_frame, without_depth)


def _depth_of(bag: Bag, frames: BagFrames, options: RecordingOptions, without_depth: str) -> RecordedDepth | None:
    """What gives the images their depth; None where nothing does, and nothing is to be said then."""
    wanted = options.depth
    if wanted.stereo_topic:
        pair = choose_stereo(bag, frames.topics, wanted.stereo_topic, wanted.info_topic, options.bag)
        return StereoDepth(bag, pair)
    source = choose_depth(bag, frames.topics, frames.frame_id, wanted, options.bag)
    if source is None and without_depth:
        raise DatasetError(f"{bag.path}: no topic of depth for {frames.topics.image.name}; {without_depth}")
    return None if source is None else DepthCameraDepth(bag, source, frames.truth, wanted.max_gap_s)


def _set_clock(frames: BagFrames, found: TimeOffset | None, options: RecordingOptions, progress: Progress) -> None:
    """Correct the poses' clock if that was asked for, or say what it is off by. Raises DatasetError where it cannot be
    told."""
    said = options.bag.truth.offset_s
    if options.search_offset:
        if found is None:
            raise DatasetError(
                f"{frames.topics.image.name}: the images do not tell the offset of the poses' clock: the camera turns "
                "too little, or the poses are of another drive; give --time-offset SECONDS"
            )
        frames.set_clock_offset(found.seconds)
        progress.say(f"clocks: that of the poses is off the images' by {found}")
    elif found is not None and abs(found.seconds - said) > DOUBTFUL_S and not found.least <= said <= found.most:
        progress.say(
            f"warning: images and poses turn together if the poses' clock is off the images' by {found}, not by "
            f"{said:+.3f} s: --time-offset search corrects it"
        )


def describe_recording(record: dict[str, Any]) -> str:
    """One line for people."""
    cameras = record["cameras"]
    if isinstance(cameras, dict):
        return "; ".join(f"{name}: {describe_recording(each)}" for name, each in cameras.items())
    depth = f"depth of {record['depth_topic']}" if record["depth_topic"] else "no depth"
    left_out = [
        f", {record[name]} {what}" if record.get(name) else ""
        for name, what in (
            ("skipped_without_truth", "images without a pose"),
            ("skipped_without_stamp", "images without a stamp"),
            ("skipped_repeated_stamp", "images with the stamp of another one"),
            ("candidates_without_depth", "images without depth"),
            ("candidates_damaged", "damaged images"),
        )
    ]
    taken = f"{record['keyframes']} keyframes of {record['images']} images of {record['image_topic']}"
    return f"{taken}, {depth}{''.join(left_out)}"


def _asked(bag_path: Path, options: RecordingOptions, map_frame: str) -> dict[str, Any]:
    """What the folder depends on, as it comes back from a file."""
    files = [bag_path] if bag_path.is_file() else sorted(path for path in bag_path.rglob("*") if path.is_file())
    content = [[str(path.relative_to(bag_path.parent)), path.stat().st_size] for path in files]
    pose = options.depth.color_from_depth
    asked = {
        "files": content,
        "options": str(options),
        "depth_to_color": None if pose is None else pose.tolist(),
        "map_frame": map_frame,
        "poses": _content_of(options.bag.truth.source),
    }
    plain: dict[str, Any] = json.loads(json.dumps(asked))
    return plain


def _content_of(poses: str) -> str:
    """Of a file of poses; "" of a topic."""
    path = Path(poses)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.suffix and path.is_file() else ""


def _record(folder: Path) -> dict[str, Any] | None:
    try:
        record = json.loads((folder / RECORD).read_text())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _chosen(stamps: Stamps, poses: Matrix, most: int) -> dict[int, int]:
    """By stamp, the stretch that an image is a candidate of."""
    found = stretches(poses, most)
    return {int(stamps[row]): number for number, rows in enumerate(found) for row in rows}
