"""The second camera of a stereo pair in a bag: its topic, its calibration, and where it is."""

from dataclasses import dataclass

import numpy as np

from vloc_ros.bags.camera_topics import IMAGES, Calibrations, CameraTopics, closest_info, read_calibrations
from vloc_ros.bags.options import BagOptions
from vloc_ros.bags.reader import CAMERA_INFO, Bag, Topic
from vloc_ros.bags.tf import read_transforms
from vloc_ros.bags.tf_topics import choose_tf
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.camera_info import LEAST_BASELINE_M, InfoOptions
from vloc_ros.geometry.transforms import Matrix, rigid_fault


@dataclass(frozen=True, eq=False)
class StereoSource:
    """The right images, of `topic`, whose cameras are `calibrations`, and `right_from_left` (4, 4), metres."""

    topic: Topic
    calibrations: Calibrations
    right_from_left: Matrix


def choose_stereo(bag: Bag, left: CameraTopics, right: str, info: str, options: BagOptions) -> StereoSource:
    """The camera whose images are those of the topic `right`, its camera_info that of the topic `info`, or the closest.

    Where it is, its camera_info says: P's Tx, with R of both; or else TF. Raises DatasetError where neither does.
    """
    topic = bag.named(right, *IMAGES)
    if topic.name == left.image.name:
        raise DatasetError(f"{bag.path}: --stereo-topics: {topic.name} is both the left and the right topic")
    calibration = bag.named(info, CAMERA_INFO) if info else closest_info(bag, topic, "--stereo-info-topic")
    if calibration.name == left.info.name:
        raise DatasetError(f"{bag.path}: {calibration.name} would be the camera_info of both {left.image.name} and "
                           f"{topic.name}; say which is the right one's with --stereo-info-topic")  # fmt: skip
    cameras = read_calibrations(bag, calibration, InfoOptions(options.rectified, frame_named=True))
    return StereoSource(topic, cameras, _right_from_left(bag, left, topic, calibration, options))


def _right_from_left(bag: Bag, left: CameraTopics, right: Topic, info: Topic, options: BagOptions) -> Matrix:
    said = _said(bag, left.info, info, options.rectified)
    if said is not None:
        return said
    left_frame = (options.camera_frame or bag.first(left.image).header[1]).lstrip("/")
    right_frame = bag.first(right).header[1].lstrip("/")
    if left_frame == right_frame:
        raise DatasetError(
            f"{bag.path}: {info.name}: P has no Tx, and both cameras are of frame {left_frame!r}: nobody knows how far "
            "they are apart"
        )
    tree = read_transforms(bag, choose_tf(bag, left.image.name, options.tf_topics), moving=False)
    pose, _ = tree.chain(right_frame, left_frame).at(np.zeros(1, dtype=np.int64), 0)
    return np.asarray(pose[0], dtype=np.float64)


def _said(bag: Bag, left: Topic, right: Topic, rectified: bool) -> Matrix | None:
    """What two camera_infos say; None where P of the right one has no Tx. In rectified axes, R of each camera from its
    own, the right camera sees points Tx / fx from where the left one does."""
    infos = [bag.read(bag.first(topic)) for topic in (left, right)]
    p = np.array(infos[1].p, dtype=np.float64).reshape(3, 4)
    shift = p[:2, 3] / np.where(p[0, 0] > 0, [p[0, 0], p[1, 1]], np.nan)
    if not np.linalg.norm(shift) > LEAST_BASELINE_M:  # NaN of a camera without P, too
        return None
    moved = np.eye(4)
    moved[:2, 3] = shift
    if rectified:
        return moved
    from_own = [np.eye(4), np.eye(4)]
    for matrix, info, topic in zip(from_own, infos, (left, right), strict=True):
        matrix[:3, :3] = np.array(info.r, dtype=np.float64).reshape(3, 3)
        if fault := rigid_fault(matrix):
            raise DatasetError(f"{bag.path}: {topic.name}: R has {fault}")
    right_from_left: Matrix = np.linalg.inv(from_own[1]) @ moved @ from_own[0]
    return right_from_left
