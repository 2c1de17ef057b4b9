"""The odometry in a bag: from TF or from a topic, and what it says of its own noise."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vloc_ros.bags.options import BagOptions
from vloc_ros.bags.reader import ODOMETRY, Bag, Topic
from vloc_ros.bags.tf import Chain, Link, TransformTree, read_transforms, stamp_of, values_of
from vloc_ros.bags.tf_topics import choose_tf
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.interpolation import PoseLog
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import Matrix, from_quaternion, to_quaternion
from vloc_ros.tracking.odometry_covariance import OdometryReading


@dataclass(frozen=True, eq=False)
class BagOdometry:
    """`source`: what it is, for people. `readings`: the messages of a topic, none where it is from TF only."""

    source: str
    max_gap_ns: int
    odom_from_base: Chain
    tree: TransformTree
    base_frame: str
    readings: tuple[OdometryReading, ...] = ()
    _mountings: dict[str, Chain] = field(default_factory=dict)

    def at(self, stamps_ns: Iterable[int]) -> list[tuple[int, Matrix]]:
        """`odom_from_base` (4, 4) with the stamps where it is known."""
        stamps = np.array(list(stamps_ns), dtype=np.int64)
        poses, known = self.odom_from_base.at(stamps, self.max_gap_ns)
        return [(int(stamp), pose) for stamp, pose, is_known in zip(stamps, poses, known, strict=True) if is_known]

    def base_from_camera(self, camera_frame: str, stamp_ns: int) -> Matrix | None:
        """(4, 4) at a stamp; None where it is not known then. Raises DatasetError where TF does not connect the two."""
        if camera_frame not in self._mountings:
            self._mountings[camera_frame] = self.tree.chain(self.base_frame, camera_frame)
        poses, known = self._mountings[camera_frame].at(np.array([stamp_ns], dtype=np.int64), self.max_gap_ns)
        return np.asarray(poses[0]) if known[0] else None


def find_odometry(bag: Bag, image: str, camera_frame: str, options: BagOptions) -> BagOdometry:
    """Of the robot whose camera's images are on the topic `image`. Raises DatasetError, with the reason, where there is
    none."""
    odom, base = options.odom_frame, options.base_frame
    tree = read_transforms(bag, choose_tf(bag, image, options.tf_topics))
    tree.chain(base, camera_frame)  # is there a way?
    topic = _topic(bag, options)
    readings = tuple(_readings(bag, topic, odom, base)) if topic else ()
    gap_ns = round(options.truth.max_gap_s * NS_PER_S)
    if options.odometry_topic or not _has_motion(tree, odom, base):
        if topic is None or not readings:
            raise DatasetError(f"{bag.path}: neither TF nor a topic of Odometry says how {base!r} moves in {odom!r}")
        chain = Chain(((_link(readings, odom, base), False),))
        return BagOdometry(topic.name, gap_ns, chain, tree, base, readings)
    return BagOdometry(f"TF of {odom!r} to {base!r}", gap_ns, tree.chain(odom, base), tree, base, readings)


def _has_motion(tree: TransformTree, odom: str, base: str) -> bool:
    try:
        return bool(tree.chain(odom, base).moving)
    except DatasetError:
        return False


def _topic(bag: Bag, options: BagOptions) -> Topic | None:
    """The one that is asked for, or the only one. Raises DatasetError for one that is not there."""
    if options.odometry_topic:
        return bag.named(options.odometry_topic, ODOMETRY)
    topics = bag.of_type(ODOMETRY)
    return topics[0] if len(topics) == 1 else None


def _readings(bag: Bag, topic: Topic, odom: str, base: str) -> Iterable[OdometryReading]:
    """The messages between these frames, in the order of their stamps."""
    contents = (bag.read(message) for message in bag.messages([topic]))
    ours = (c for c in contents if (c.header.frame_id.lstrip("/"), c.child_frame_id.lstrip("/")) == (odom, base))
    found = (reading for content in ours if (reading := _reading(content)) is not None)
    return sorted(found, key=lambda reading: reading.stamp_ns)


def _reading(content: Any) -> OdometryReading | None:
    """None for a message without a pose."""
    position, quat_xyzw = values_of(content.pose.pose)
    try:
        pose = from_quaternion(quat_xyzw, position)
    except ValueError:
        return None
    covariances = (np.array(each.covariance, dtype=np.float64).reshape(6, 6) for each in (content.pose, content.twist))
    return OdometryReading(stamp_of(content.header), pose, *covariances) if np.isfinite(pose).all() else None


def _link(readings: Iterable[OdometryReading], odom: str, base: str) -> Link:
    log = PoseLog()
    for reading in readings:
        pose = reading.odom_from_base
        log.add(reading.stamp_ns, pose[:3, 3].tolist(), to_quaternion(pose[:3, :3]).tolist())
    trajectory = log.trajectory()
    assert trajectory is not None  # the readings are poses
    return Link(odom, base, trajectory, is_static=False)
