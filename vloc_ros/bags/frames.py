"""The posed images of a bag, one after the other; only a few of them are in memory at any time."""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from vloc_ros.bags.camera import Calibrations, CameraTopics, choose_camera, read_calibrations
from vloc_ros.bags.images import to_rgb
from vloc_ros.bags.options import BagOptions
from vloc_ros.bags.reader import NS, Bag, Message
from vloc_ros.bags.truth import Truth, read_truth
from vloc_ros.core.ahead import ahead
from vloc_ros.core.transforms import Matrix
from vloc_ros.core.types import CameraImage
from vloc_ros.datasets.types import Frame
from vloc_ros.errors import DatasetError, VlocError

DECODERS = 2  # threads
WINDOW = 6  # messages read ahead, decoded or not


class BagFrames:
    """The images of a camera that have ground truth, as frames named by their stamp in seconds, in the order of
    recording. `skipped`: images without ground truth so far. To be iterated over once."""

    def __init__(
        self, bag: Bag, topics: CameraTopics, calibrations: Calibrations, truth: Truth, scene: str = ""
    ) -> None:
        self.topics, self.calibrations, self.truth, self.skipped = topics, calibrations, truth, 0
        self._bag, self._scene = bag, scene

    def __len__(self) -> int:
        """All images, with ground truth or without."""
        return self.topics.image.count

    def __iter__(self) -> Iterator[Frame]:
        """Decode in threads while the caller works on the frames before. Raises DatasetError."""
        return ahead(self._known(), self._frame, DECODERS, WINDOW)

    def named(self, names: Collection[str]) -> Iterator[Frame]:
        """Only the frames of these names; the others are not decoded. Raises DatasetError."""
        wanted = (item for item in self._known() if _name(item[0]) in names)
        return ahead(wanted, self._frame, DECODERS, WINDOW)

    def to_json(self) -> dict[str, Any]:
        """Where the frames came from and how many were left out; complete after the last frame."""
        return {
            "bag": str(self._bag.path),
            "image_topic": self.topics.image.name,
            "camera_info_topic": self.topics.info.name,
            "cameras": len(set(self.calibrations.cameras)),
            "images": len(self),
            "skipped_without_truth": self.skipped,
            "truth": self.truth.to_json(),
        }

    def _known(self) -> Iterator[tuple[Message, Matrix]]:
        """The messages of images that have ground truth, with their poses; counts the others."""
        stamps_ns = []
        for message in self._bag.messages([self.topics.image]):
            stamp_ns, _ = message.header
            poses, known = self.truth.at(np.array([stamp_ns]))
            if known[0]:
                yield message, poses[0]
            else:
                self.skipped += 1
                stamps_ns.append(stamp_ns)
        if self.skipped == len(self):
            raise DatasetError(
                f"{self._bag.path}: no image has ground truth: images from {min(stamps_ns) / NS:.3f} to "
                f"{max(stamps_ns) / NS:.3f} s, {self.truth}"
            )

    def _frame(self, item: tuple[Message, Matrix]) -> Frame:
        message, pose = item
        stamp_ns, frame_id = message.header
        name = _name(message)
        try:
            rgb = to_rgb(self._bag.read(message), message.msgtype)
            image = CameraImage(rgb, self.calibrations.at(stamp_ns), stamp_ns, frame_id or "camera")
        except VlocError as error:
            raise DatasetError(f"{self._bag.path}: {message.topic}, image of {name} s: {error}") from error
        return Frame(name, image, pose, scene=self._scene)


def bag_frames(bag: Bag, options: BagOptions, map_frame: str) -> BagFrames:
    """The frames of a bag for a map whose frame is `map_frame`. Raises DatasetError for what the bag does not have."""
    topics = choose_camera(bag, options.image_topic, options.camera_info_topic)
    calibrations = read_calibrations(bag, topics.info, options.rectified)
    _, camera_frame = next(bag.messages([topics.image])).header
    truth = read_truth(bag, options.truth, camera_frame.lstrip("/"), map_frame)
    return BagFrames(bag, topics, calibrations, truth, options.scene)


def _name(message: Message) -> str:
    seconds, nanoseconds = divmod(message.header[0], NS)
    return f"{seconds}.{nanoseconds:09d}"
