"""Several cameras in a bag: which images are of one moment, and where each camera was on the rig."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vloc_ros.bags.camera_topics import Calibrations, CameraTopics
from vloc_ros.bags.options import BagOptions
from vloc_ros.bags.reader import Bag, Message
from vloc_ros.bags.tf import Chain, TransformTree
from vloc_ros.core.synchronizer import Moment, Synchronizer, SyncOptions
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.rig import ALONE
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import Matrix, invert

WAIT_S = 0.5  # of the recording, for an image that a moment lacks


@dataclass(frozen=True, eq=False)
class BagCamera:
    """A camera of a bag: its topics, its calibrations, and the frame of its optical centre."""

    topics: CameraTopics
    calibrations: Calibrations
    frame_id: str


class BagRig:
    """The `cameras` of a rig by name; so far, `without_transform` are the images whose place on it was not known."""

    def __init__(self, bag: Bag, cameras: Mapping[str, BagCamera], tree: TransformTree, options: BagOptions) -> None:
        """Raises DatasetError where TF does not connect the cameras."""
        self.cameras, self._bag, self._tree = cameras, bag, tree
        self._gap_ns = round(options.truth.max_gap_s * NS_PER_S)
        self._sync = SyncOptions(options.tolerance_s, WAIT_S)
        self._late = Counter[str]()
        self._chains: dict[tuple[str, str], Chain] = {}
        self.without_transform = 0
        first, *others = cameras.values()
        for other in others:
            self._chain(first.frame_id, other.frame_id)
        self.odom_frame = options.odom_frame if self._has_odometry(options.odom_frame, first.frame_id) else ""

    def moments(self) -> Iterator[Moment[Message]]:
        """The images of all cameras, those of one moment together, in the order of their stamps; an image without a
        stamp by itself. Raises DatasetError."""
        names = {camera.topics.image.name: name for name, camera in self.cameras.items()}
        synchronizer: Synchronizer[Message] = Synchronizer(tuple(self.cameras), self._sync)
        for message in self._bag.messages([camera.topics.image for camera in self.cameras.values()]):
            stamp_ns, name = message.header[0], names[message.topic]
            if stamp_ns == 0:
                yield Moment.of(name, 0, message)
            else:
                yield from synchronizer.add(name, stamp_ns, message, message.recorded_ns)
        yield from synchronizer.flush()
        self._late.update(synchronizer.late)

    @property
    def first(self) -> str:
        """The camera whose frame is the rig's."""
        return next(iter(self.cameras))

    def between(self, first: tuple[str, int], second: tuple[str, int]) -> Matrix | None:
        """`first_from_second` (4, 4) of two cameras, each by name and at a stamp; None where it is not known. Where the
        bag has odometry, it says how the robot moved in between."""
        (one, one_ns), (other, other_ns) = first, second
        if first == second:
            return ALONE
        one_frame, other_frame = self.cameras[one].frame_id, self.cameras[other].frame_id
        if one_ns == other_ns or not self.odom_frame:
            return self._at(one_frame, other_frame, other_ns)
        odom_from_one = self._at(self.odom_frame, one_frame, one_ns)
        odom_from_other = self._at(self.odom_frame, other_frame, other_ns)
        if odom_from_one is None or odom_from_other is None:
            return None
        moved: Matrix = invert(odom_from_one) @ odom_from_other
        return moved

    def to_json(self) -> list[dict[str, Any]]:
        """Of each camera where its images are, how many there are, and how many came after the moments that they belong
        to; complete after the last moment."""
        return [
            {
                "name": name,
                "image_topic": camera.topics.image.name,
                "camera_info_topic": camera.topics.info.name,
                "images": camera.topics.image.count,
                "late": self._late[name],
            }
            for name, camera in self.cameras.items()
        ]

    def _at(self, target: str, source: str, stamp_ns: int) -> Matrix | None:
        poses, known = self._chain(target, source).at(np.array([stamp_ns], dtype=np.int64), self._gap_ns)
        return np.asarray(poses[0]) if known[0] else None

    def _has_odometry(self, odom_frame: str, camera_frame: str) -> bool:
        try:
            return bool(odom_frame) and bool(self._chain(odom_frame, camera_frame).moving)
        except DatasetError:
            return False

    def _chain(self, target: str, source: str) -> Chain:
        """Asked for with every image."""
        if (target, source) not in self._chains:
            self._chains[target, source] = self._tree.chain(target, source)
        return self._chains[target, source]


def moments_of_one(bag: Bag, topics: CameraTopics) -> Iterator[Moment[Message]]:
    """The images of a camera alone, one by one, whatever their stamps. Raises DatasetError."""
    for message in bag.messages([topics.image]):
        yield Moment.of("", message.header[0], message)
