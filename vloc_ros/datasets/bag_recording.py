"""What a robot recorded, as a folder of posed keyframes with registered depth (docs/datasets.md, `folder`)."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.bags.depth_topics import DepthBuffer, DepthOptions, choose_depth
from vloc_ros.bags.options import BagOptions
from vloc_ros.bags.reader import Bag, Message, Topic, open_bag
from vloc_ros.bags.stereo_topics import choose_stereo
from vloc_ros.datasets.bag_frames import BagFrames, bag_frames
from vloc_ros.datasets.folder import write_tables
from vloc_ros.datasets.keyframes import describe_jumps, stretches
from vloc_ros.datasets.recorded_depth import DepthCameraDepth, RecordedDepth, StereoDepth
from vloc_ros.datasets.time_offset import TimeOffset
from vloc_ros.datasets.types import Frame
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.files import write_errors, write_text
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.interpolation import Stamps
from vloc_ros.geometry.transforms import Matrix
from vloc_ros.images.quality import sharpness
from vloc_ros.progress import Progress, Silent

RECORD = "recording.json"  # written last: with it, all is there
KEYFRAMES = 800
FEWEST_KEYFRAMES = 10
FOLLOWED = 400  # images, to compare clocks
DOUBTFUL_S = 0.03
MILLIMETRES = 1000.0
MAX_DEPTH_M = 65.0


@dataclass(frozen=True)
class RecordingOptions:
    """What to take from a bag, and how many `keyframes` at most. `search_offset`: that of the poses' clock is looked
    for, and not what `bag` says. Raises ConfigError."""

    bag: BagOptions = field(default_factory=BagOptions)
    depth: DepthOptions = field(default_factory=DepthOptions)
    keyframes: int = KEYFRAMES
    search_offset: bool = False

    def __post_init__(self) -> None:
        if self.keyframes < FEWEST_KEYFRAMES:
            raise ConfigError(f"--keyframes {self.keyframes}: at least {FEWEST_KEYFRAMES} are needed")


def unpack_recording(
    bag_path: Path,
    folder: Path,
    options: RecordingOptions,
    map_frame: str,
    progress: Progress | None = None,
    without_depth: str = "",
) -> dict[str, Any]:
    """Write the keyframes of a bag into `folder`, and say what was taken and what was left out.

    The bag is read in bounded memory. Frames are named by their stamps. A folder that was completely written from the
    same bag with the same options is left as it is. Raises DatasetError for what the bag does not have; where it has no
    depth, with what is to be said then, if anything is.
    """
    asked = _asked(bag_path, options, map_frame)
    if (known := _record(folder)) is not None and known.get("asked") == asked:
        return known
    progress = progress or Silent()
    with open_bag(bag_path) as bag, _replaced(folder) as new:
        frames = bag_frames(bag, options.bag, map_frame)
        depth = _depth_of(bag, frames, options, without_depth)
        with progress.bar("clocks") as advance:
            offset = frames.clock_offset(FOLLOWED, advance)
        _set_clock(frames, offset, options, progress)
        with progress.bar("poses of the images") as advance:
            stamps, poses = frames.posed(advance)
        if (jump := describe_jumps(stamps, poses)) is not None:
            progress.say(f"warning: the poses of {frames.truth.source} {jump}")
        writer = _Writer(bag, new, frames, depth)
        with progress.bar("keyframes") as advance:
            writer.write(_chosen(stamps, poses, options.keyframes), advance)
        record = {"asked": asked, **frames.to_json(), **writer.summary()}
        write_text(new / RECORD, json.dumps(record, indent=1) + "\n")
    return record


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """A new folder, which takes the place of the old one once it is complete; whatever goes wrong, nothing is left of
    it, which may be large."""
    new = folder.with_name(f"{folder.name}.new")
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
        _depth_of(bag, bag_frames(bag, options.bag, map_frame), options, without_depth)


def _depth_of(bag: Bag, frames: BagFrames, options: RecordingOptions, without_depth: str) -> RecordedDepth | None:
    """What gives the images their depth; None where nothing does, and nothing is to be said then."""
    wanted = options.depth
    if wanted.stereo_topic:
        pair = choose_stereo(bag, frames.topics, wanted.stereo_topic, wanted.info_topic, options.bag)
        return StereoDepth(bag, pair)
    source = choose_depth(bag, frames.topics, wanted, options.bag)
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
    elif found is not None and abs(found.seconds - said) > DOUBTFUL_S:
        progress.say(
            f"warning: images and poses turn together if the poses' clock is {found.seconds:+.3f} s off the images', "
            f"not {said:+.3f} s (correlation {found.correlation:.2f}): --time-offset search corrects it"
        )


def describe_recording(record: dict[str, Any]) -> str:
    """One line for people."""
    depth = f"depth of {record['depth_topic']}" if record["depth_topic"] else "no depth"
    left_out = [
        f", {record[name]} {what}" if record[name] else ""
        for name, what in (
            ("skipped_without_truth", "images without a pose"),
            ("skipped_without_stamp", "images without a stamp"),
            ("skipped_repeated_stamp", "images with the stamp of another one"),
            ("candidates_without_depth", "images without depth"),
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


@dataclass(frozen=True, eq=False)
class _Candidate:
    stretch: int
    frame: Frame
    message: Message
    sharpness: float


class _Writer:
    """Chooses the sharpest candidate of each stretch, and writes it with its depth."""

    def __init__(self, bag: Bag, folder: Path, frames: BagFrames, depth: RecordedDepth | None) -> None:
        self._bag, self._folder, self._frames, self._depth = bag, folder, frames, depth
        self._buffer = DepthBuffer(depth.max_gap_s if depth else 0.0, self._compare)
        self._best: tuple[_Candidate, Message | None] | None = None
        self._poses: dict[str, Matrix] = {}
        self._camera: Camera | None = None
        self._without_depth = 0
        self._shows_depth = False

    def write(self, chosen: dict[int, int], advance: Any) -> None:
        if self._folder.exists():  # of a run that was killed
            shutil.rmtree(self._folder)
        with write_errors(self._folder):
            for part in ("images", "depth"):
                (self._folder / part).mkdir(parents=True)
        image = self._frames.topics.image
        topics: list[Topic] = [image] if self._depth is None else [image, self._depth.topic]
        total = sum(topic.count for topic in topics)
        for done, message in enumerate(self._bag.messages(topics), start=1):
            if message.topic != image.name:
                self._buffer.depth(message)
            elif (stretch := chosen.pop(message.header[0], None)) is not None:
                self._candidate(message, stretch)
            advance(done, total)
        self._buffer.finish()
        self._write_best()
        self._write_tables()

    def summary(self) -> dict[str, Any]:
        return {
            "keyframes": len(self._poses),
            "candidates_without_depth": self._without_depth,
            "depth_topic": self._depth.topic.name if self._depth else "",
        }

    def _candidate(self, message: Message, stretch: int) -> None:
        frame = self._frames.frame_of(message)
        item = _Candidate(stretch, frame, message, sharpness(frame.image.rgb))
        if self._depth is None:
            self._compare(item, None)
        else:
            self._buffer.wait(message.header[0], item)

    def _compare(self, item: Any, depth: Message | None) -> None:
        """Of a recording with depth, an image without is of no use."""
        if self._depth is not None and (depth is None or not self._frames.is_posed(depth)):
            self._without_depth += 1
        elif self._best is None or item.stretch != self._best[0].stretch:
            self._write_best()
            self._best = item, depth
        elif item.sharpness > self._best[0].sharpness:
            self._best = item, depth

    def _write_best(self) -> None:
        if self._best is None:
            return
        (candidate, depth), self._best = self._best, None
        frame = candidate.frame
        self._require_one_camera(frame)
        bgr = cv2.cvtColor(frame.image.rgb, cv2.COLOR_RGB2BGR)
        _write_png(self._folder / "images" / f"{frame.name}.png", np.asarray(bgr))
        if self._depth is not None and depth is not None:
            values = np.round(np.minimum(self._depth.of(frame, depth), MAX_DEPTH_M) * MILLIMETRES).astype(np.uint16)
            self._shows_depth = self._shows_depth or bool(values.any())
            _write_png(self._folder / "depth" / f"{frame.name}.png", values)
        self._poses[frame.name] = frame.map_from_camera

    def _require_one_camera(self, frame: Frame) -> None:
        camera = frame.image.camera
        self._camera = self._camera or camera
        if camera != self._camera:
            raise DatasetError(
                f"{self._bag.path}: {self._frames.topics.info.name}: the camera changes at {frame.name} s from "
                f"{self._camera} to {camera}: a map is made from one camera"
            )

    def _write_tables(self) -> None:
        if self._camera is None or len(self._poses) < FEWEST_KEYFRAMES:
            without_depth = f", {self._without_depth} have no depth near in time" if self._depth else ""
            raise DatasetError(
                f"{self._bag.path}: {len(self._poses)} keyframes are too few for a map, at least {FEWEST_KEYFRAMES} "
                f"are needed: of {len(self._frames)} images {self._frames.skipped} have no pose{without_depth}, and "
                "where the camera has been before, it shows nothing new"
            )
        if self._depth is not None and not self._shows_depth:
            raise DatasetError(
                f"{self._bag.path}: {self._depth.topic.name}: no depth that is known in any of the {len(self._poses)} "
                "keyframes: is it the right topic, and does the camera see as far?"
            )
        write_tables(self._folder, self._camera, self._poses)


def _write_png(path: Path, values: NDArray[Any]) -> None:
    _, encoded = cv2.imencode(".png", values, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    with write_errors(path):  # complete or not: `RECORD` says so
        path.write_bytes(encoded.tobytes())
