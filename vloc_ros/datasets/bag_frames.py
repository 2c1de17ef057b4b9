"""The posed images of a bag, one after the other; only a few of them are in memory at any time."""

from array import array
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from vloc_ros.bags.camera_topics import CameraTopics, choose_camera, choose_rig, read_calibrations
from vloc_ros.bags.ground_truth import GroundTruth, read_ground_truth
from vloc_ros.bags.options import BagOptions
from vloc_ros.bags.reader import Bag, Message
from vloc_ros.bags.tf import Chain, read_transforms
from vloc_ros.bags.tf_topics import choose_tf
from vloc_ros.core.prefetch import prefetch
from vloc_ros.core.query import View
from vloc_ros.core.synchronizer import Moment
from vloc_ros.core.types import CameraImage
from vloc_ros.datasets.bag_rig import BagCamera, BagRig, moments_of_one
from vloc_ros.datasets.time_offset import ImageTurns, TimeOffset
from vloc_ros.datasets.types import Frame
from vloc_ros.errors import DatasetError, VlocError
from vloc_ros.geometry.camera_info import SensorCamera
from vloc_ros.geometry.interpolation import Stamps
from vloc_ros.geometry.stamps import NS_PER_S, format_stamp
from vloc_ros.geometry.transforms import Matrix
from vloc_ros.images import to_rgb
from vloc_ros.progress import Advance, no_advance

DECODERS = 2  # threads
WINDOW = 6  # messages read ahead, decoded or not


class BagFrames:
    """The images of a camera that have ground truth, as frames named by their stamp in seconds, in the order of
    recording; of a `rig` the images of one moment together. To be iterated over once; so far, `skipped` are the images
    without ground truth, `unstamped` those whose stamp is 0, `repeated` those with the stamp of an image before: nobody
    knows when these were taken. `topics` and `calibrations`: of the rig's first camera."""

    def __init__(
        self,
        bag: Bag,
        cameras: Mapping[str, BagCamera],
        truth: GroundTruth,
        options: BagOptions,
        rig: BagRig | None = None,
    ) -> None:
        """`cameras`: those of the rig, or the only one under any name."""
        first = next(iter(cameras.values()))
        self.topics, self.calibrations, self.truth = first.topics, first.calibrations, truth
        self.skipped = self.unstamped = self.repeated = 0
        self._bag, self._cameras, self._options, self._rig = bag, cameras, options, rig

    def __len__(self) -> int:
        """All images, with ground truth or without; of a rig those of its first camera."""
        return self.topics.image.count

    @property
    def sensors(self) -> Iterator[SensorCamera]:
        """All calibrations of all cameras."""
        return (sensor for camera in self._cameras.values() for sensor in camera.calibrations.cameras)

    @property
    def frame_id(self) -> str:
        """That of the optical centre of the camera, or of the rig's first."""
        return next(iter(self._cameras.values())).frame_id

    @property
    def left_out(self) -> int:
        """How many images were not given so far."""
        return self.skipped + self.unstamped + self.repeated

    def __iter__(self) -> Iterator[Frame]:
        """Decode in threads while the caller works on the frames before. Raises DatasetError."""
        return prefetch(self._known(), self._frame, DECODERS, WINDOW)

    def named(self, names: Collection[str]) -> Iterator[Frame]:
        """Only the frames of these names; the others are not decoded. Raises DatasetError."""
        wanted = (item for item in self._known() if format_stamp(item[0].stamp_ns) in names)
        return prefetch(wanted, self._frame, DECODERS, WINDOW)

    def clock_offset(self, images: int, advance: Advance = no_advance) -> TimeOffset | None:
        """The poses' clock minus the images', as the first so many images tell it, if they do. Raises DatasetError if
        all of them are damaged."""
        turns, damaged = ImageTurns(), list[DatasetError]()
        for done, message in enumerate(islice(self._bag.messages([self.topics.image]), images), start=1):
            try:
                image = self._image(next(iter(self._cameras)), message)
                turns.add(message.header[0], image.rgb, image.camera)
            except DatasetError as error:
                damaged.append(error)
            advance(done, min(images, len(self)))
        if len(damaged) == min(images, len(self)):
            raise damaged[0]
        return turns.offset(lambda stamps_ns: self.truth.at(stamps_ns, 0.0))

    def set_clock_offset(self, seconds: float) -> None:
        self.truth = replace(self.truth, options=replace(self.truth.options, offset_s=seconds))

    def posed(self, advance: Advance = no_advance) -> tuple[Stamps, Matrix]:
        """The stamps (N,) of the images that have ground truth, and `map_from_camera` (N, 4, 4); nothing is decoded.
        In place of iterating."""
        stamps, poses = array("q"), list[Matrix]()
        for moment, pose in self._known():
            stamps.append(moment.stamp_ns)
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
        return self._frame((Moment.of(next(iter(self._cameras)), message.header[0], message), poses[0]))

    def to_json(self) -> dict[str, Any]:
        """Where the frames came from and how many were left out; complete after the last frame."""
        return {
            "bag": str(self._bag.path),
            "image_topic": self.topics.image.name,
            "camera_info_topic": self.topics.info.name,
            "cameras": len(set(self.calibrations.cameras)),
            "images": len(self),
            **self._rig_json(),
            "skipped_without_truth": self.skipped,
            "skipped_without_stamp": self.unstamped,
            "skipped_repeated_stamp": self.repeated,
            "truth": self.truth.to_json(),
        }

    def _rig_json(self) -> dict[str, Any]:
        if self._rig is None:
            return {}
        without = self._rig.without_transform
        rig = {"cameras_of_rig": self._rig.to_json(), "odometry_between_cameras": self._rig.odom_frame}
        return {**rig, "skipped_without_transform": without}

    def _moments(self) -> Iterator[Moment[Message]]:
        return self._rig.moments() if self._rig else moments_of_one(self._bag, self.topics)

    def _known(self) -> Iterator[tuple[Moment[Message], Matrix]]:
        """The messages of images that have ground truth, with the poses of the first camera; counts the others."""
        stamps_ns: dict[int, bool] = {}  # and whether there is truth
        for moment in self._moments():
            stamp_ns = moment.stamp_ns
            if stamp_ns and self._options.only_at and not self._options.only_at(stamp_ns):
                continue
            if stamp_ns == 0:
                self.unstamped += 1
            elif stamp_ns in stamps_ns:
                self.repeated += 1
            else:
                poses, known = self.truth.at(np.array([stamp_ns]))
                stamps_ns[stamp_ns] = bool(known[0])
                if not known[0]:
                    self.skipped += 1
                elif (pose := self._pose_of_leading(moment, poses[0])) is not None:
                    yield moment, pose
        self._check(stamps_ns)

    def _pose_of_leading(self, moment: Moment[Message], map_from_first: Matrix) -> Matrix | None:
        """Of the first camera that has an image in a moment, where that of the rig is given; None where TF lacks it."""
        name = next(iter(moment.images))
        if self._rig is None or name == self._rig.first:
            return map_from_first
        first_from_leading = self._rig.between((self._rig.first, moment.stamp_ns), (name, moment.stamp_ns))
        if first_from_leading is None:
            self._rig.without_transform += 1
            return None
        return map_from_first @ first_from_leading

    def _check(self, stamps_ns: Mapping[int, bool]) -> None:
        """Raise DatasetError if there was no image to be localized, or none whose time can be believed. That none is of
        interest is no fault."""
        if self._options.only_at and not stamps_ns and not self.unstamped:
            return
        where = f"{self._bag.path}: {self.topics.image.name}"
        first_s, last_s = (end(stamps_ns, default=0) / NS_PER_S for end in (min, max))
        if not stamps_ns or (len(stamps_ns) == 1 and self.repeated):
            same = f"all {self.repeated + 1 if stamps_ns else self.unstamped} images have the stamp {first_s:.3f} s"
            raise DatasetError(f"{where}: {same}: their driver does not set it")
        if not any(stamps_ns.values()):
            raise DatasetError(
                f"{where}: no image has ground truth: images from {first_s:.3f} to {last_s:.3f} s, {self.truth}"
            )

    def _frame(self, item: tuple[Moment[Message], Matrix]) -> Frame:
        """The frame's image and pose are of the first camera that has an image in the moment."""
        moment, pose = item
        (name, leading), *others = moment.images.items()
        views: list[View] = []
        seen_by = [name]
        if self._rig is not None:
            for other, message in others:
                placed = self._rig.between((name, leading.stamp_ns), (other, message.stamp_ns))
                if placed is None:
                    self._rig.without_transform += 1
                else:
                    views.append(View(self._image(other, message.item), placed))
                    seen_by.append(other)
        image, cameras = self._image(name, leading.item), tuple(seen_by) if self._rig else ()
        place = self._options.place or ""
        return Frame(format_stamp(moment.stamp_ns), image, pose, place=place, others=tuple(views), cameras=cameras)

    def _image(self, name: str, message: Message) -> CameraImage:
        """Raises DatasetError."""
        stamp_ns, frame_id = message.header
        camera, content = self._cameras[name], self._bag.read(message)
        try:
            rgb = to_rgb(content)
            lens = camera.calibrations.at(stamp_ns, rgb.shape[1], rgb.shape[0])
            return CameraImage(rgb, lens, stamp_ns, camera.frame_id or frame_id or "camera")
        except VlocError as error:
            where = f"{self._bag.path}: {message.topic}, image of {format_stamp(stamp_ns)} s"
            raise DatasetError(f"{where}: {error}") from error


def bag_frames(bag: Bag, options: BagOptions, map_frame: str) -> BagFrames:
    """The frames of a bag for a map whose frame is `map_frame`. Raises DatasetError for what the bag does not have."""
    cameras = _cameras(bag, options)
    first = next(iter(cameras.values()))
    truth = read_ground_truth(bag, options, first.topics.image.name, first.frame_id, map_frame)
    if not options.cameras:
        return BagFrames(bag, cameras, truth, options)
    tree = truth.tree or read_transforms(bag, choose_tf(bag, first.topics.image.name, options.tf_topics))
    return BagFrames(bag, cameras, truth, options, BagRig(bag, cameras, tree, options))


def frames_by_camera(bag: Bag, options: BagOptions, map_frame: str) -> dict[str, BagFrames]:
    """The frames of each camera of a rig by itself, by its name in `options.cameras`, or of the only camera, "": where
    another camera is, TF says from the first one on. Raises DatasetError for what the bag does not have."""
    cameras = _cameras(bag, options)
    (name, first), *others = cameras.items()
    truth = read_ground_truth(bag, options, first.topics.image.name, first.frame_id, map_frame)
    found = {name: BagFrames(bag, {name: first}, truth, options)}
    if others:
        tree = read_transforms(bag, choose_tf(bag, first.topics.image.name, options.tf_topics))
        for name, camera in others:
            steps = tree.chain(first.frame_id, camera.frame_id).steps
            of_other = replace(truth, chain=Chain((*truth.chain.steps, *steps)), tree=tree)
            found[name] = BagFrames(bag, {name: camera}, of_other, options)
    return found


def _cameras(bag: Bag, options: BagOptions) -> dict[str, BagCamera]:
    """By name, "" for one that is no rig's."""
    if options.cameras:
        topics = choose_rig(bag, options.cameras)
        frames = dict(zip(topics, options.camera_frames or [""] * len(topics), strict=True))
    else:
        topics = {"": choose_camera(bag, options.image_topic, options.camera_info_topic)}
        frames = {"": options.camera_frame}
    return {name: _bag_camera(bag, topics[name], frame, options) for name, frame in frames.items()}


def _bag_camera(bag: Bag, topics: CameraTopics, frame: str, options: BagOptions) -> BagCamera:
    """`frame`: "" for that in the images' headers."""
    calibrations = read_calibrations(bag, topics.info, replace(options.info, frame_named=bool(frame)))
    return BagCamera(topics, calibrations, (frame or bag.first(topics.image).header[1]).lstrip("/"))
