"""Depth of the images of a recording: of a depth camera, or of a stereo pair."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vloc_ros.bags.depth_topics import DepthSource
from vloc_ros.bags.ground_truth import GroundTruth
from vloc_ros.bags.reader import Bag, Message, Topic
from vloc_ros.bags.stereo_topics import StereoSource
from vloc_ros.datasets.registration import register_depth
from vloc_ros.datasets.stereo import StereoPair
from vloc_ros.datasets.types import Frame
from vloc_ros.errors import DatasetError, VlocError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.stamps import format_stamp
from vloc_ros.geometry.transforms import invert
from vloc_ros.images import to_rgb
from vloc_ros.images.depth import to_depth

STEREO_GAP_S = 0.002  # between the two images of a pair


class RecordedDepth(Protocol):
    """What gives an image its depth: messages of `topic`, at most `max_gap_s` away in time."""

    @property
    def topic(self) -> Topic: ...

    @property
    def max_gap_s(self) -> float: ...

    def of(self, frame: Frame, message: Message) -> NDArray[np.float32]:
        """Depth (H, W) in the frame's camera, metres, 0 = unknown. Raises DatasetError."""
        ...


class DepthCameraDepth:
    """Of a depth camera, which may be another one, and of another moment."""

    def __init__(self, bag: Bag, source: DepthSource, truth: GroundTruth, max_gap_s: float) -> None:
        self.topic, self.max_gap_s = source.topic, max_gap_s
        self._bag, self._source, self._truth = bag, source, truth

    def of(self, frame: Frame, message: Message) -> NDArray[np.float32]:
        """As the frame's camera sees it, which may have moved between the two images."""
        stamp_ns, camera = message.header[0], frame.image.camera
        try:
            depth = to_depth(self._bag.read(message))
            depth_camera = self._source.calibrations.at(stamp_ns, depth.shape[1], depth.shape[0])
        except VlocError as error:
            raise _named(self._bag, message, error) from error
        poses, _ = self._truth.at(np.array([stamp_ns]))
        color_from_depth = invert(frame.map_from_camera) @ poses[0] @ self._source.color_from_depth
        if depth_camera == camera and np.allclose(color_from_depth, np.eye(4), atol=1e-6):
            return depth
        return register_depth(depth, depth_camera, camera, color_from_depth)


class StereoDepth:
    """Of the second camera's image of the same moment."""

    max_gap_s = STEREO_GAP_S

    def __init__(self, bag: Bag, source: StereoSource) -> None:
        self.topic = source.topic
        self._bag, self._source = bag, source
        self._pair: StereoPair | None = None  # of the cameras of the last frame

    def of(self, frame: Frame, message: Message) -> NDArray[np.float32]:
        """Matched with the frame's image."""
        try:
            right = to_rgb(self._bag.read(message))
            camera = self._source.calibrations.at(message.header[0], right.shape[1], right.shape[0])
            return self._pair_of(frame.image.camera, camera).depth(frame.image.rgb, right)
        except VlocError as error:
            raise _named(self._bag, message, error) from error

    def _pair_of(self, left: Camera, right: Camera) -> StereoPair:
        if self._pair is None or (self._pair.left, self._pair.right) != (left, right):
            self._pair = StereoPair(left, right, self._source.right_from_left)
        return self._pair


def _named(bag: Bag, message: Message, error: VlocError) -> DatasetError:
    return DatasetError(f"{bag.path}: {message.topic}, image of {format_stamp(message.header[0])} s: {error}")
