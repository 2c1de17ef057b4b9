"""Ground truth for the images of a bag: from a topic, from TF, or from a TUM file."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vloc_ros.bags.options import BagOptions, GroundTruthOptions
from vloc_ros.bags.reader import ODOMETRY, POSE, POSE_WITH_COVARIANCE, TRANSFORM, Bag, Topic, listed
from vloc_ros.bags.tf import Chain, Link, TransformTree, read_transforms, stamp_of, values_of
from vloc_ros.bags.tf_topics import choose_tf
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.interpolation import Known, PoseLog, Stamps, Trajectory, trajectory_of
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.trajectory import read_tum
from vloc_ros.geometry.transforms import Matrix, pose_vector

POSES = (POSE, POSE_WITH_COVARIANCE, TRANSFORM)
TRUTHS = (*POSES, ODOMETRY)  # odometry is taken for the truth only if somebody says so
TF_WORD = "tf"


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Where the camera was, in the frame `frame_id`, at any time of the images' clock. `tree`: the transforms that a
    part of the chain is of; `moved` (4, 4): brings poses from there into the frame that they are wanted in."""

    source: str
    frame_id: str
    chain: Chain
    options: GroundTruthOptions
    tree: TransformTree | None = None
    moved: Matrix | None = None

    def at(self, stamps_ns: Stamps, offset_s: float | None = None) -> tuple[Matrix, Known]:
        """`map_from_camera` (M, 4, 4) at the images' stamps (M,), and which of them are known (M,)."""
        offset_ns = round((self.options.offset_s if offset_s is None else offset_s) * NS_PER_S)
        poses, known = self.chain.at(
            np.asarray(stamps_ns, dtype=np.int64) + offset_ns, round(self.options.max_gap_s * NS_PER_S)
        )
        return (poses if self.moved is None else self.moved @ poses), known

    def __str__(self) -> str:
        """What it is and when it begins and ends, on its own clock."""
        stamps = [link.trajectory.stamps_ns for link in self.chain.moving]
        first_s, last_s = (
            (max(s[0] for s in stamps) / NS_PER_S, min(s[-1] for s in stamps) / NS_PER_S) if stamps else (0, 0)
        )
        return f"{self.source} from {first_s:.3f} to {last_s:.3f} s, gaps up to {self.options.max_gap_s:g} s allowed"

    def to_json(self) -> dict[str, Any]:
        """What it is, and the faults of its poses."""
        links = self.chain.moving
        faults = [asdict(link.trajectory.faults) for link in links]
        return {
            "source": self.source,
            "frame": self.frame_id,
            "tf_topics": list(self.tree.topics) if self.tree else [],
            "poses": min((len(link.trajectory) for link in links), default=0),
            "max_gap_s": self.options.max_gap_s,
            "time_offset_s": self.options.offset_s,
            **{name: sum(fault[name] for fault in faults) for name in (faults[0] if faults else ())},
            "self_transforms": self.tree.self_transforms if self.tree else 0,
        }


def read_ground_truth(bag: Bag, options: BagOptions, image: str, camera_frame: str, map_frame: str) -> GroundTruth:
    """The truth that the options ask for, of the camera whose topic is `image`.

    Raises DatasetError for what the bag does not have, or has several of, and for poses that all have one stamp.
    """
    wanted = options.truth
    source = wanted.source or _only_poses(bag, wanted.option).name
    where = f"{bag.path}: {source}"

    def transforms(moving: bool) -> TransformTree:
        return read_transforms(bag, choose_tf(bag, image, options.tf_topics), moving)

    if source == TF_WORD or source.startswith(f"{TF_WORD}:"):
        root, child = source.partition(":")[2].lstrip("/") or map_frame, wanted.frame or camera_frame
        if not child:
            raise DatasetError(f"{where}: the images of {image} are of no frame (frame_id ''); --camera-frame names it")
        tree = transforms(moving=True)
        return GroundTruth(source, root, _timed(where, tree.chain(root, child)), wanted, tree)
    is_file = bool(Path(source).suffix)  # names of topics have no dot
    link = _tum(Path(source)) if is_file else _topic(bag, bag.named(source, *TRUTHS))
    chain, frame = _timed(source if is_file else where, Chain(((link, False),))), wanted.frame or link.child
    if frame in ("", camera_frame):
        return GroundTruth(source, link.parent, chain, wanted)
    tree = transforms(moving=False)
    return GroundTruth(source, link.parent, Chain((*chain.steps, *tree.chain(frame, camera_frame).steps)), wanted, tree)


def read_tum_ground_truth(path: Path, options: GroundTruthOptions) -> GroundTruth:
    """The truth of a camera from a TUM file. Raises DatasetError."""
    return GroundTruth(str(path), "", _timed(str(path), Chain(((_tum(path), False),))), options)


def _timed(where: str, chain: Chain) -> Chain:
    """The chain. Raises DatasetError where all the poses of a link have one stamp: it is not that of any of them; and
    where one of several links has a single pose."""
    for link in chain.moving:
        if len(link.trajectory) == 1 and any(len(other.trajectory) > 1 for other in chain.moving):
            at_s = link.trajectory.stamps_ns[0] / NS_PER_S
            raise DatasetError(
                f"{where}: where {link.child!r} is in {link.parent!r} was sent only once, at {at_s:.3f} s; what does "
                "not move belongs on /tf_static"
            )
        poses = len(link.trajectory) + link.trajectory.faults.duplicates
        if poses > len(link.trajectory) == 1:
            what = f" of {link.child!r} in {link.parent!r}" if link.child else ""
            at_s = link.trajectory.stamps_ns[0] / NS_PER_S
            raise DatasetError(
                f"{where}: all {poses} poses{what} have the stamp {at_s:.3f} s, whenever they were taken"
            )
    return chain


def _only_poses(bag: Bag, option: str) -> Topic:
    topics = bag.of_type(*POSES)
    if len(topics) != 1:
        raise DatasetError(
            f"{bag.path}: choose the poses with {option} TOPIC, {option} tf or {option} FILE; "
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
    rows = [pose_vector(pose.map_from_camera) for pose in poses]
    return Link("", "", _poses(str(path), trajectory_of([p.stamp_ns for p in poses], rows)), is_static=False)


def _poses(where: str, trajectory: Trajectory | None) -> Trajectory:
    if trajectory is None:
        raise DatasetError(f"{where}: it has no valid pose")
    return trajectory
