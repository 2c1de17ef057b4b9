"""Ground truth for the images of a bag: from a topic, from TF, or from a TUM file."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vloc_ros.bags.options import TruthOptions
from vloc_ros.bags.reader import NS, ODOMETRY, POSE, POSE_WITH_COVARIANCE, TRANSFORM, Bag, Topic, listed
from vloc_ros.bags.tf import Chain, Link, read_transforms, stamp_of, values_of
from vloc_ros.core.transforms import Matrix, to_quaternion
from vloc_ros.errors import DatasetError
from vloc_ros.evaluation.interpolation import Known, PoseLog, Stamps, Trajectory, trajectory_of
from vloc_ros.evaluation.trajectory import read_tum

POSES = (POSE, POSE_WITH_COVARIANCE, TRANSFORM)
TRUTHS = (*POSES, ODOMETRY)  # odometry is taken for the truth only if somebody says so
TF_WORD = "tf"


@dataclass(frozen=True, eq=False)
class Truth:
    """Where the camera was, in the frame `frame_id`, at any time of the images' clock."""

    source: str
    frame_id: str
    chain: Chain
    options: TruthOptions

    def at(self, stamps_ns: Stamps, offset_s: float | None = None) -> tuple[Matrix, Known]:
        """`map_from_camera` (M, 4, 4) at the images' stamps (M,), and which of them are known (M,)."""
        offset_ns = round((self.options.offset_s if offset_s is None else offset_s) * NS)
        return self.chain.at(np.asarray(stamps_ns, dtype=np.int64) + offset_ns, round(self.options.max_gap_s * NS))

    def __str__(self) -> str:
        """What it is and when it begins and ends, on its own clock."""
        stamps = [link.trajectory.stamps_ns for link in self.chain.moving]
        first_s, last_s = (max(s[0] for s in stamps) / NS, min(s[-1] for s in stamps) / NS) if stamps else (0, 0)
        return f"{self.source} from {first_s:.3f} to {last_s:.3f} s, gaps up to {self.options.max_gap_s:g} s allowed"

    def to_json(self) -> dict[str, Any]:
        """What it is, and the faults of its poses."""
        links = self.chain.moving
        faults = [asdict(link.trajectory.faults) for link in links]
        return {
            "source": self.source,
            "frame": self.frame_id,
            "poses": min((len(link.trajectory) for link in links), default=0),
            "max_gap_s": self.options.max_gap_s,
            "time_offset_s": self.options.offset_s,
            **{name: sum(fault[name] for fault in faults) for name in (faults[0] if faults else ())},
        }


def read_truth(bag: Bag, options: TruthOptions, camera_frame: str, map_frame: str) -> Truth:
    """The truth that the options ask for. Raises DatasetError for what the bag does not have, or has several of."""
    source = options.source or _only_poses(bag).name
    if source == TF_WORD or source.startswith(f"{TF_WORD}:"):
        root = source.partition(":")[2] or map_frame
        tree = read_transforms(bag)
        return Truth(source, root, tree.chain(root, options.frame or camera_frame), options)
    if Path(source).suffix:  # names of topics have no dot
        return Truth(source, "", _with_mounting(bag, _tum(Path(source)), options.frame, camera_frame), options)
    link = _topic(bag, bag.named(source, *TRUTHS))
    frame = options.frame or link.child
    return Truth(source, link.parent, _with_mounting(bag, link, frame, camera_frame), options)


def read_tum_truth(path: Path, options: TruthOptions) -> Truth:
    """The truth of a camera from a TUM file. Raises DatasetError."""
    return Truth(str(path), "", Chain(((_tum(path), False),)), options)


def _only_poses(bag: Bag) -> Topic:
    topics = bag.of_type(*POSES)
    if len(topics) != 1:
        raise DatasetError(
            f"{bag.path}: choose the ground truth with --truth TOPIC, --truth tf or --truth FILE; "
            f"{listed(bag.of_type(*TRUTHS))}"
        )
    return topics[0]


def _topic(bag: Bag, topic: Topic) -> Link:
    """The poses of a topic; `child` is empty where the messages do not say whose they are."""
    log, frames = PoseLog(), ("", "")
    for message in bag.messages([topic]):
        content = bag.read(message)
        if topic.msgtype == TRANSFORM:
            values = values_of(content.transform)
        else:
            values = values_of(content.pose if topic.msgtype == POSE else content.pose.pose)
        log.add(stamp_of(content.header), *values)
        frames = content.header.frame_id.lstrip("/"), getattr(content, "child_frame_id", "").lstrip("/")
    return Link(*frames, _poses(f"{bag.path}: {topic.name}", log.trajectory()), is_static=False)


def _tum(path: Path) -> Link:
    poses = read_tum(path)
    rows = [[*p.map_from_camera[:3, 3], *to_quaternion(p.map_from_camera[:3, :3])] for p in poses]
    return Link("", "", _poses(str(path), trajectory_of([p.stamp_ns for p in poses], rows)), is_static=False)


def _poses(where: str, trajectory: Trajectory | None) -> Trajectory:
    if trajectory is None:
        raise DatasetError(f"{where}: it has no valid pose")
    return trajectory


def _with_mounting(bag: Bag, link: Link, frame: str, camera_frame: str) -> Chain:
    """From poses of `frame` to those of the camera, through the bag's static transforms."""
    if frame in ("", camera_frame):
        return Chain(((link, False),))
    mounting = read_transforms(bag, moving=False).chain(frame, camera_frame)
    return Chain(((link, False), *mounting.steps))
