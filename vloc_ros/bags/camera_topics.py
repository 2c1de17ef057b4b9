"""Which topics are the camera's, and the calibration of each of its images."""

import posixpath
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from vloc_ros.bags.reader import CAMERA_INFO, COMPRESSED_IMAGE, RAW_IMAGE, Bag, Topic, listed
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.camera_info import InfoOptions, SensorCamera, read_camera_info
from vloc_ros.geometry.stamps import NS_PER_S

IMAGES = (RAW_IMAGE, COMPRESSED_IMAGE)
NO_CAMERA = "depth"  # a topic with this in its name is taken only if it is asked for


@dataclass(frozen=True, eq=False)
class CameraTopics:
    """The images of one camera and its calibration."""

    image: Topic
    info: Topic


@dataclass(frozen=True, eq=False)
class Calibrations:
    """The cameras of a camera_info topic, each from its stamp on; the first one is also that of what came before."""

    stamps_ns: tuple[int, ...]
    cameras: tuple[SensorCamera, ...]

    def at(self, stamp_ns: int, width: int, height: int) -> Camera:
        """The camera of an image of this size. Raises ConfigError if it is not the camera's."""
        return self.cameras[max(0, bisect_right(self.stamps_ns, stamp_ns) - 1)].of_image(width, height)


def choose_camera(bag: Bag, image: str = "", info: str = "") -> CameraTopics:
    """The camera's topics: those that are named, or else the only ones that can be meant.

    Of several camera_infos it is the one whose name begins most like the images'. Raises DatasetError with the
    candidates where there is none, or more than one.
    """
    images = bag.named(image, *IMAGES) if image else _only_images(bag)
    return CameraTopics(images, bag.named(info, CAMERA_INFO) if info else closest_info(bag, images))


def choose_rig(bag: Bag, names: Sequence[str]) -> dict[str, CameraTopics]:
    """The topics of several cameras, each named by the topic of its images or by the namespace that this is in. Raises
    DatasetError with the candidates where there is none, or more than one, for two names of one camera, and for two
    cameras of one name."""
    found = {name: choose_camera(bag, _images_of(bag, name)) for name in names}
    for one, other in combinations(found, 2):
        if (topic := found[one].image.name) == found[other].image.name:
            raise DatasetError(f"{bag.path}: {one} and {other}: both are the camera of {topic}")
        if name_of(one) == name_of(other):
            raise DatasetError(f"{bag.path}: {one} and {other}: both cameras would be called {name_of(one)}")
    return found


def name_of(topic: str) -> str:
    """What a camera is called whose images are on a topic, or below it, where that has to be one word."""
    return topic.strip("/").replace("/", "_")


def _images_of(bag: Bag, name: str) -> str:
    """Of raw and compressed images of one topic, the raw ones."""
    topics = {topic.name for topic in bag.of_type(*IMAGES)}
    if name in topics:
        return name
    namespace = f"/{name.strip('/')}/"
    below = [topic for topic in topics if topic.startswith(namespace) and NO_CAMERA not in topic.lower()]
    found = [topic for topic in below if topic.rpartition("/")[0] not in topics]
    if len(found) != 1:
        several = "several topics of images, name one of them" if found else "no images of a camera"
        candidates = [topic for topic in bag.of_type(*IMAGES) if not found or topic.name in found]
        raise DatasetError(f"{bag.path}: {name}: {several}; {listed(candidates)}")
    return found[0]


def read_calibrations(bag: Bag, topic: Topic, options: InfoOptions) -> Calibrations:
    """Every change of a camera_info. Raises DatasetError for what is no calibration."""
    found: list[tuple[int, SensorCamera]] = []
    for message in bag.messages([topic]):
        stamp_ns, _ = message.header
        try:
            camera = read_camera_info(bag.read(message), options)
        except ConfigError as error:
            raise DatasetError(f"{bag.path}: {topic.name}: {error}") from error
        if not found or found[-1][1] != camera:
            found.append((stamp_ns, camera))
    found.sort(key=lambda entry: entry[0])
    if same := [stamp_ns for (stamp_ns, _), (next_ns, _) in pairwise(found) if stamp_ns == next_ns]:
        raise DatasetError(f"{bag.path}: {topic.name}: several calibrations have the stamp {same[0] / NS_PER_S:.3f} s")
    return Calibrations(*zip(*found, strict=True))


def _only_images(bag: Bag) -> Topic:
    topics = [topic for topic in bag.of_type(*IMAGES) if NO_CAMERA not in topic.name.lower()]
    if len(topics) == 1:
        return topics[0]
    if not topics:
        raise DatasetError(f"{bag.path}: no images of a camera; {listed(bag.topics)}")
    raise DatasetError(f"{bag.path}: several topics of images, choose one with --image-topic; {listed(topics)}")


def closest_info(bag: Bag, images: Topic, option: str = "--camera-info-topic") -> Topic:
    """The camera_info whose name begins most like the images'; that of a depth camera or another frame is not lent.
    `option`: what says it where that is no answer."""
    is_depth = NO_CAMERA in images.name.lower()
    topics = [topic for topic in bag.of_type(CAMERA_INFO) if is_depth or NO_CAMERA not in topic.name.lower()]
    if not topics:
        raise DatasetError(f"{bag.path}: no camera_info for {images.name}; {listed(bag.topics)}")
    shared = [len(posixpath.commonpath([topic.name, images.name])) for topic in topics]
    closest = [topic for topic, length in zip(topics, shared, strict=True) if length == max(shared)]
    if len(closest) > 1:
        raise DatasetError(
            f"{bag.path}: several topics of camera_info for {images.name}, choose one with {option}; {listed(closest)}"
        )
    if max(shared) == 1 and "/" in images.name[1:] and "/" in closest[0].name[1:]:  # only the root: another robot's?
        raise DatasetError(
            f"{bag.path}: no camera_info for {images.name}: {closest[0].name} is in another namespace; if they are of "
            f"one camera, say {option} {closest[0].name}"
        )
    namespace = posixpath.dirname(closest[0].name)
    if posixpath.commonpath([namespace, images.name]) != namespace:
        _check_same_frame(bag, images, closest[0], option)
    return closest[0]


def _check_same_frame(bag: Bag, images: Topic, info: Topic, option: str) -> None:
    """Raise DatasetError if the first messages say that these are two cameras."""
    (_, image_frame), (_, info_frame) = bag.first(images).header, bag.first(info).header
    if image_frame and info_frame and image_frame != info_frame:
        raise DatasetError(
            f"{bag.path}: no camera_info for {images.name}: it is of frame {image_frame!r}, {info.name} of "
            f"{info_frame!r}; if they are of one camera, say {option} {info.name}"
        )
