"""For tests: a small bag of a camera on a known path, and a localizer that knows this path."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from vloc_ros.bags import messages
from vloc_ros.bags.options import BagOptions, GroundTruthOptions
from vloc_ros.bags.reader import CAMERA_INFO, POSE, RAW_IMAGE, TF, open_bag
from vloc_ros.bags.writer import BagWriter, Storage, open_writer
from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.manifest import Manifest
from vloc_ros.core.model_spec import GridSpec
from vloc_ros.core.query import Query
from vloc_ros.core.types import LandmarkMap, PoseEstimate, Rejection, RejectionReason
from vloc_ros.evaluation.alignment import Correction
from vloc_ros.evaluation.evaluate import Evaluation
from vloc_ros.evaluation.evaluate_bag import evaluate_bag
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import Matrix, from_quaternion
from vloc_ros.localizer import Localizer
from vloc_ros.methods.vsnet.method import VSNetMethod

CAMERA = Camera(16, 12, 20.0, 20.0, 7.5, 5.5)
START_NS = 1_000 * NS_PER_S
PERIOD_NS = NS_PER_S // 10
IMAGES = 30
CAMERA_FRAME = "camera"
ELSEWHERE = from_quaternion((0.1, 0.2, -0.3, 0.9), (5.0, -3.0, 1.0))  # map_from_truth of a truth in another frame
COARSE_M = 5e-3  # by which a straight line between poses 10 ms apart may be off
MESSAGES = {"/pose": POSE, "/cam/image_raw": RAW_IMAGE, "/cam/camera_info": CAMERA_INFO}


@dataclass(frozen=True)
class Foreign:
    """A message of another world in an MCAP."""

    topic: str
    msgtype: str
    encoding: str
    data: bytes = b"{}"


def stamp(index: float) -> int:
    """The stamp of an image, or of a time between two."""
    return START_NS + round(index * PERIOD_NS)


def place(stamp_ns: float) -> Matrix:
    """`map_from_camera` at any time: uneven enough that only the true offset fits."""
    t = (stamp_ns - START_NS) / NS_PER_S
    pose = np.eye(4)
    pose[:3, 3] = np.sin(2.1 * t), 0.7 * np.cos(3.3 * t), 0.3 * np.sin(5.7 * t)
    turn = 0.8 * np.sin(1.7 * t)
    pose[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    return pose


def picture(index: int, camera: Camera = CAMERA) -> np.ndarray:
    return np.full((camera.height, camera.width, 3), index % 256, np.uint8)


def write_view(bag: BagWriter, index: int, camera: Camera = CAMERA, namespace: str = "/cam", **changes: Any) -> None:
    """Image `index` and its camera_info; `changes` to fields of the image."""
    image = replace(messages.image(stamp(index), CAMERA_FRAME, picture(index, camera)), **changes)
    info = messages.camera_info(stamp(index), CAMERA_FRAME, camera)
    bag.write(f"{namespace}/camera_info", CAMERA_INFO, stamp(index), info)
    bag.write(f"{namespace}/image_raw", RAW_IMAGE, stamp(index), image)


def write_truth(bag: BagWriter, index: float, pose: Matrix | None = None, recorded: float | None = None) -> None:
    pose = place(stamp(index)) if pose is None else pose
    at_ns = stamp(index if recorded is None else recorded)
    bag.write("/pose", POSE, at_ns, messages.pose(stamp(index), "map", pose))


def write_tf(bag: BagWriter, index: float, parent: str, child: str, pose: Matrix, topic: str = "/tf") -> None:
    """`parent_from_child` at the time of image `index`."""
    moved = messages.transform(stamp(index), parent, child, pose)
    bag.write(topic, TF, stamp(index), messages.transforms(moved))


def write_drive(path: Path, truths: Iterable[float] = range(IMAGES), storage: Storage = "mcap") -> Path:
    """A bag of IMAGES images, and of truth at these times."""
    with open_writer(path, storage) as bag:
        for index in range(IMAGES):
            write_view(bag, index)
        for time in truths:
            write_truth(bag, time)
    return path


def storage_file(bag: Path) -> Path:
    """The one file that holds the messages of a bag directory."""
    (file,) = (part for part in bag.iterdir() if part.name != "metadata.yaml")
    return file


def rewrite_mcap(bag: Path, to: Path, profile: str = "ros2", extra: Iterable[Foreign] = (), **options: Any) -> Path:
    """The messages of a bag as another recorder's MCAP; `extra` comes first, `options` are those of mcap's Writer."""
    from mcap.writer import Writer

    with to.open("wb") as file, open_bag(bag) as read:
        writer = Writer(file, **options)
        writer.start(profile)
        for foreign in extra:
            schema = writer.register_schema(foreign.msgtype, foreign.encoding, b"\xff\xfe no text")
            channel = writer.register_channel(foreign.topic, foreign.encoding, schema)
            writer.add_message(channel, stamp(0), foreign.data, stamp(0))
        channels: dict[str, int] = {}
        for message in read.messages(read.topics):
            if message.topic not in channels:
                schema = writer.register_schema(message.msgtype, "ros2msg", b"")
                channels[message.topic] = writer.register_channel(message.topic, "cdr", schema)
            writer.add_message(channels[message.topic], message.recorded_ns, message.raw, message.recorded_ns)
        writer.finish()  # type: ignore[no-untyped-call]
    return to


def knowing(monkeypatch: Any, pose_at: Callable[[int], Matrix] = place, rejected: Iterable[int] = ()) -> Localizer:
    """A localizer that says `pose_at` the image's stamp, but for the rejected images."""
    refused = {stamp(index) for index in rejected}

    def localize(query: Query, *_: object) -> PoseEstimate | Rejection:
        if query.stamp_ns in refused:
            return Rejection(RejectionReason.NO_POSE, "no pose", timings_ms={"total": 1.0})
        points = Correspondences(np.zeros((4, 2)), np.zeros((4, 3)), np.ones(4), np.arange(4, dtype=np.int32))
        pose = pose_at(query.stamp_ns)
        return PoseEstimate(pose, np.eye(6) * 1e-4, points, np.ones(4, dtype=bool), 0.5, 0.9, {"total": 1.0})

    monkeypatch.setattr("vloc_ros.map_localizer.localize", localize)
    ids = np.zeros(1, np.int32)
    spec = GridSpec(16, 12, 4, VSNetMethod.outputs)
    manifest = Manifest("vsnet", "map", "now", spec.image_size, spec.models)
    landmarks = LandmarkMap(ids, np.zeros((1, 3)), np.eye(3)[2:], np.zeros(1), ids, manifest)
    session = SimpleNamespace(spec=spec.model, max_batch=1)
    return Localizer(landmarks, SimpleNamespace(preload=lambda: None), {"network": session})


def evaluated(
    localizer: Localizer,
    path: Path,
    correction: Correction = Correction(),  # noqa: B008
    tf_topics: Iterable[str] = (),
    priors: bool = False,
    odometry_topic: str = "",
    **truth: Any,
) -> Evaluation:
    options = BagOptions(
        truth=GroundTruthOptions(offset_s=correction.offset_s, **truth),
        tf_topics=tuple(tf_topics),
        odometry_topic=odometry_topic,
    )
    return evaluate_bag(localizer, path, options, correction, priors=priors)


def worst_m(evaluation: Evaluation) -> float:
    return max(record.error.translation_m for record in evaluation.records if record.error)
