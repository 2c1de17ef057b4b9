"""The posed images of a bag, one after the other; only a few of them are in memory at any time."""

from array import array
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from vloc_ros.bags.camera_topics import Calibrations, CameraTopics, choose_camera, read_calibrations
from vloc_ros.bags.ground_truth import GroundTruth, read_ground_truth
from vloc_ros.bags.options import BagOptions
from vloc_ros.bags.reader import Bag, Message
from vloc_ros.core.prefetch import prefetch
from vloc_ros.core.types import CameraImage
from vloc_ros.datasets.time_offset import ImageTurns, TimeOffset
from vloc_ros.datasets.types import Frame
from vloc_ros.errors import DatasetError, VlocError
from vloc_ros.geometry.interpolation import Stamps
from vloc_ros.geometry.stamps import NS_PER_S, format_stamp
from vloc_ros.geometry.transforms import Matrix
from vloc_ros.images import to_rgb
from vloc_ros.progress import Advance, no_advance

DECODERS = 2  # threads
WINDOW = 6  # messages read ahead, decoded or not


class BagFrames:
    """The images of a camera that have ground truth, as frames named by their stamp in seconds, in the order of
    recording. To be iterated over once; so far, `skipped` are the images without ground truth, `unstamped` those whose
    stamp is 0, `repeated` those with the stamp of an image before: nobody knows when these were taken."""

    def __init__(
        self, bag: Bag, topics: CameraTopics, calibrations: Calibrations, truth: GroundTruth, options: BagOptions
    ) -> None:
        self.topics, self.calibrations, self.truth = topics, calibrations, truth
        self.skipped = self.unstamped = self.repeated = 0
        self._bag, self._options = bag, options

    def __len__(self) -> int:
        """All images, with ground truth or without."""
        return self.topics.image.count

    @property
    def left_out(self) -> int:
        """How many images were not given so far."""
        return self.skipped + self.unstamped + self.repeated

    def __iter__(self) -> Iterator[Frame]:
        """Decode in threads while the caller works on the frames before. Raises DatasetError."""
        return prefetch(self._known(), self._frame, DECODERS, WINDOW)

    def named(self, names: Collection[str]) -> Iterator[Frame]:
        """Only the frames of these names; the others are not decoded. Raises DatasetError."""
        wanted = (item for item in self._known() if format_stamp(item[0].header[0]) in names)
        return prefetch(wanted, self._frame, DECODERS, WINDOW)

    def clock_offset(self, images: int, advance: Advance = no_advance) -> TimeOffset | None:
        """The poses' clock minus the images', as the first so many images tell it, if they do."""
        turns = ImageTurns()
        for done, message in enumerate(islice(self._bag.messages([self.topics.image]), images), start=1):
            image = self._frame((message, np.eye(4))).image
            turns.add(message.header[0], image.rgb, image.camera)
            advance(done, min(images, len(self)))
        return turns.offset(lambda stamps_ns: self.truth.at(stamps_ns, 0.0))

    def set_clock_offset(self, seconds: float) -> None:
        self.truth = replace(self.truth, options=replace(self.truth.options, offset_s=seconds))

    def posed(self, advance: Advance = no_advance) -> tuple[Stamps, Matrix]:
        """The stamps (N,) of the images that have ground truth, and `map_from_camera` (N, 4, 4); nothing is decoded.
        In place of iterating."""
        stamps, poses = array("q"), list[Matrix]()
        for message, pose in self._known():
            stamps.append(message.header[0])
            poses.append(pose)
            advance(len(stamps) + self.left_out, len(self))
        return np.array(stamps, dtype=np.int64), np.stack(poses)

    def is_posed(self, message: Message) -> bool:
        """Whether it is known where the camera was at a message's time."""
        _, known = self.truth.at(np.array([message.header[0]]))
        return bool(known[0])

    def frame_of(self, message: Message) -> Frame:
        """The frame of one of the images that have ground truth. Raises DatasetError."""
        poses, _ = self.truth.at(np.array([message.header[0]]))
        return self._frame((message, poses[0]))

    def to_json(self) -> dict[str, Any]:
        """Where the frames came from and how many were left out; complete after the last frame."""
        return {
            "bag": str(self._bag.path),
            "image_topic": self.topics.image.name,
            "camera_info_topic": self.topics.info.name,
            "cameras": len(set(self.calibrations.cameras)),
            "images": len(self),
            "skipped_without_truth": self.skipped,
            "skipped_without_stamp": self.unstamped,
            "skipped_repeated_stamp": self.repeated,
            "truth": self.truth.to_json(),
        }

    def _known(self) -> Iterator[tuple[Message, Matrix]]:
        """The messages of images that have ground truth, with their poses; counts the others."""
        stamps_ns: dict[int, bool] = {}  # and whether there is truth
        for message in self._bag.messages([self.topics.image]):
            stamp_ns, _ = message.header
            if stamp_ns == 0:
                self.unstamped += 1
            elif stamp_ns in stamps_ns:
                self.repeated += 1
            else:
                poses, known = self.truth.at(np.array([stamp_ns]))
                stamps_ns[stamp_ns] = bool(known[0])
                if known[0]:
                    yield message, poses[0]
                else:
                    self.skipped += 1
        self._check(stamps_ns)

    def _check(self, stamps_ns: Mapping[int, bool]) -> None:
        """Raise DatasetError if there was no image to be localized, or none whose time can be believed."""
        where = f"{self._bag.path}: {self.topics.image.name}"
        first_s, last_s = (end(stamps_ns, default=0) / NS_PER_S for end in (min, max))
        if not stamps_ns or (len(stamps_ns) == 1 and self.repeated):
            same = f"all {self.repeated + 1 if stamps_ns else self.unstamped} images have the stamp {first_s:.3f} s"
            raise DatasetError(f"{where}: {same}: their driver does not set it")
        if not any(stamps_ns.values()):
            raise DatasetError(
                f"{where}: no image has ground truth: images from {first_s:.3f} to {last_s:.3f} s, {self.truth}"
            )

    def _frame(self, item: tuple[Message, Matrix]) -> Frame:
        message, pose = item
        stamp_ns, frame_id = message.header
        name, content = format_stamp(stamp_ns), self._bag.read(message)
        try:
            rgb = to_rgb(content)
            camera = self.calibrations.at(stamp_ns, rgb.shape[1], rgb.shape[0])
            image = CameraImage(rgb, camera, stamp_ns, self._options.camera_frame or frame_id or "camera")
        except VlocError as error:
            raise DatasetError(f"{self._bag.path}: {message.topic}, image of {name} s: {error}") from error
        return Frame(name, image, pose, place=self._options.place or "")


def bag_frames(bag: Bag, options: BagOptions, map_frame: str) -> BagFrames:
    """The frames of a bag for a map whose frame is `map_frame`. Raises DatasetError for what the bag does not have."""
    topics = choose_camera(bag, options.image_topic, options.camera_info_topic)
    calibrations = read_calibrations(bag, topics.info, options.info)
    camera_frame = options.camera_frame or bag.first(topics.image).header[1]
    truth = read_ground_truth(bag, options, topics.image.name, camera_frame.lstrip("/"), map_frame)
    return BagFrames(bag, topics, calibrations, truth, options)
