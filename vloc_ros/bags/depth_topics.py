"""Which topic is the camera's depth, whose image that is, and what depth there is at the time of an image."""

import posixpath
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from vloc_ros.bags.camera_topics import IMAGES, Calibrations, CameraTopics, closest_info, read_calibrations
from vloc_ros.bags.options import BagOptions
from vloc_ros.bags.reader import CAMERA_INFO, COMPRESSED_IMAGE, Bag, Message, Topic, listed
from vloc_ros.bags.tf import read_transforms
from vloc_ros.bags.tf_topics import choose_tf
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import Matrix
from vloc_ros.images.depth import holds_depth

DEPTH_WORDS = ("depth", "disparity")
NO_DEPTH = "none"
KEPT = 64  # depth messages of the last seconds


@dataclass(frozen=True)
class DepthOptions:
    """Where depth is: its `topic` ("": the only one that can be meant; "none") and that of its camera_info.
    `color_from_depth`: from the depth camera to the colour camera, where TF does not know it. `max_gap_s`: how far in
    time depth may be from its image. `stereo_topic`: the images of a second camera, which depth is computed with in
    place of all that; `info_topic` is its camera_info then. Raises ConfigError."""

    topic: str = ""
    info_topic: str = ""
    color_from_depth: Matrix | None = field(default=None, compare=False)
    max_gap_s: float = 0.05
    stereo_topic: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.max_gap_s <= 10:
            raise ConfigError(f"--depth-gap {self.max_gap_s:g}: must be 0 to 10 seconds")
        if self.stereo_topic and self.topic:
            raise ConfigError(f"--stereo-topics and --depth-topic {self.topic}: depth is of one of them")


@dataclass(frozen=True, eq=False)
class DepthSource:
    """The messages of `topic`, whose cameras are `calibrations`, and `color_from_depth` (4, 4)."""

    topic: Topic
    calibrations: Calibrations
    color_from_depth: Matrix


def choose_depth(
    bag: Bag, camera: CameraTopics, frame_id: str, options: DepthOptions, bag_options: BagOptions
) -> DepthSource | None:
    """The depth of that camera, whose optical centre is of the frame `frame_id`; None where there is none, or none is
    wanted.

    Raises DatasetError with the candidates where there are several, and where it is not known from where depth was
    seen.
    """
    if options.topic == NO_DEPTH:
        return None
    topic = bag.named(options.topic, *IMAGES) if options.topic else _only_depth(bag, camera)
    if topic is None:
        return None
    if topic.name == camera.image.name:
        raise DatasetError(f"{bag.path}: --depth-topic {topic.name} is the topic of the images")
    named = options.info_topic
    info = bag.named(named, CAMERA_INFO) if named else closest_info(bag, topic, "--depth-info-topic")
    calibrations = read_calibrations(bag, info, bag_options.info)
    return DepthSource(topic, calibrations, _color_from_depth(bag, camera, frame_id, topic, options, bag_options))


def _only_depth(bag: Bag, camera: CameraTopics) -> Topic | None:
    """Of topics of the same images the raw one, or else that of compressed_depth; of several cameras' that whose name
    begins most like the images'; of registered and other depth the registered."""
    topics = [
        topic
        for topic in bag.of_type(*IMAGES)
        if topic.name != camera.image.name and any(word in topic.name.lower() for word in DEPTH_WORDS)
        and (topic.msgtype != COMPRESSED_IMAGE or holds_depth(bag.read(bag.first(topic))))
    ]  # fmt: skip
    for ending in ("/compressedDepth", "/compressed"):
        others = {topic.name.removesuffix("/compressedDepth") for topic in topics if not topic.name.endswith(ending)}
        topics = [topic for topic in topics if topic.name.removesuffix(ending) not in others - {topic.name}]
    shared = [len(posixpath.commonpath([topic.name, camera.image.name])) for topic in topics]
    topics = [topic for topic, length in zip(topics, shared, strict=True) if length == max(shared, default=0)]
    registered = [topic for topic in topics if any(word in topic.name for word in ("aligned", "registered"))]
    topics = registered or topics
    if len(topics) > 1:
        raise DatasetError(f"{bag.path}: several topics of depth, choose one with --depth-topic; {listed(topics)}")
    return topics[0] if topics else None


def _color_from_depth(
    bag: Bag, camera: CameraTopics, frame_id: str, topic: Topic, options: DepthOptions, bag_options: BagOptions
) -> Matrix:
    if options.color_from_depth is not None:
        return options.color_from_depth
    depth_frame = bag.first(topic).header[1].lstrip("/")
    if depth_frame == frame_id:
        return np.eye(4)
    tree = read_transforms(bag, choose_tf(bag, camera.image.name, bag_options.tf_topics), moving=False)
    try:
        pose, _ = tree.chain(frame_id, depth_frame).at(np.zeros(1, dtype=np.int64), 0)
    except DatasetError as error:
        raise DatasetError(
            f"{error}; so nobody knows from where {topic.name} was seen: give --depth-to-color FILE, or register depth"
        ) from error
    return np.asarray(pose[0], dtype=np.float64)


class DepthBuffer:
    """The last depth messages of a recording, and images that wait for theirs: the one nearest in time."""

    def __init__(self, max_gap_s: float, ready: Callable[[object, Message | None], None]) -> None:
        """`ready` is called with what was waiting, in its order, and the depth, None where none is near enough."""
        self._max_gap_ns, self._ready = round(max_gap_s * NS_PER_S), ready
        self._depths: deque[Message] = deque(maxlen=KEPT)
        self._waiting: deque[tuple[int, object]] = deque()

    def depth(self, message: Message) -> None:
        """A depth message, in the order of recording."""
        self._depths.append(message)
        latest = message.header[0]
        while self._waiting and self._waiting[0][0] + self._max_gap_ns <= latest:
            self._release()

    def wait(self, stamp_ns: int, item: object) -> None:
        """`item` waits for the depth of that time."""
        self._waiting.append((stamp_ns, item))
        if len(self._waiting) > KEPT:  # depth has ended
            self._release()

    def finish(self) -> None:
        """There is no more depth."""
        while self._waiting:
            self._release()

    def _release(self) -> None:
        stamp_ns, item = self._waiting.popleft()
        near = min(self._depths, key=lambda message: abs(message.header[0] - stamp_ns), default=None)
        is_near = near is not None and abs(near.header[0] - stamp_ns) <= self._max_gap_ns
        self._ready(item, near if is_near else None)
