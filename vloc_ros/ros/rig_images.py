"""From the messages of one moment to a query: an image for each camera, and where that sits on the rig."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_ros import Buffer

from vloc_ros.core.query import Query, View, inliers_by_view
from vloc_ros.core.synchronizer import Moment, Stamped
from vloc_ros.core.types import PoseEstimate, Rejection, RejectionReason
from vloc_ros.errors import VlocError
from vloc_ros.ros.camera_images import CameraInfos, read_image
from vloc_ros.ros.parameters import RelocalizerParameters
from vloc_ros.ros.tf_frames import TransformMissingError, rig_from_camera
from vloc_ros.tracking.status import CameraReport, Refusal, RefusedError

ImageMessage: TypeAlias = Image | CompressedImage


@dataclass(frozen=True, eq=False)
class RigImages:
    """What the cameras of a rig saw in one moment: `cameras`, of which camera each of the query's views is; `frame_id`:
    the rig's frame, that of its first camera; `refusals`: by camera, why an image is not in the query."""

    query: Query
    cameras: tuple[str, ...]
    frame_id: str
    refusals: Mapping[str, Refusal]

    def reports(self, result: PoseEstimate | Rejection, rig: Sequence[str]) -> dict[str, CameraReport]:
        """What each camera of the `rig` has done for a result; nothing where there is only one, which has no name."""
        inliers = dict.fromkeys(self.cameras, 0)
        if isinstance(result, PoseEstimate):
            inliers = dict(zip(self.cameras, inliers_by_view(self.query, result), strict=True))
        problems = {camera: str(why) for camera, why in self.refusals.items()}
        return {camera: CameraReport(inliers.get(camera), problems.get(camera, "")) for camera in rig}


class RigReader:
    """Makes queries of moments. One thread reads, `add_info` is called by another.

    The rig's frame is that of the first camera of which one is known, with an image in the moment or without: so it
    stays the same when that camera drops out. A camera alone is its own rig, and needs no transforms.
    """

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._infos: defaultdict[str, CameraInfos] = defaultdict(CameraInfos)
        self._frames: dict[str, str] = {}  # of the last images, by camera

    def add_info(self, camera: str, info: CameraInfo) -> None:
        """A message on the `camera_info` of a camera."""
        self._infos[camera].add(info)

    def read(self, moment: Moment[ImageMessage], parameters: RelocalizerParameters) -> RigImages:
        """The query of a moment. Raises RefusedError or another VlocError for one image that cannot be used; of
        several, only where none can."""
        if parameters.cameras:
            return self._read_rig(moment, parameters)
        ((camera, message),) = moment.images.items()
        info = self._infos[camera].of(message.stamp_ns)
        image = read_image(message.item, info, parameters, parameters.camera_frame)
        return RigImages(Query.of(image), (camera,), image.frame_id, {})

    def _read_rig(self, moment: Moment[ImageMessage], parameters: RelocalizerParameters) -> RigImages:
        for camera, message in moment.images.items():
            self._frames[camera] = message.item.header.frame_id
        frame_id = self._rig_frame(parameters)
        views: list[View] = []
        cameras: list[str] = []  # of the views
        refusals: dict[str, Refusal] = {}
        for camera, image in moment.images.items():
            try:
                views.append(self._view(camera, image, (frame_id, moment.stamp_ns), parameters))
                cameras.append(camera)
            except RefusedError as refused:
                refusals[camera] = refused.refusal
            except TransformMissingError as error:
                refusals[camera] = Refusal(RejectionReason.NO_TRANSFORM, str(error))
            except VlocError as error:
                refusals[camera] = Refusal(RejectionReason.BAD_INPUT, str(error))
        if not views:
            camera, first = next(iter(refusals.items()))
            raise RefusedError(first.reason, f"{camera}: {first.detail}")
        return RigImages(Query(tuple(views), moment.stamp_ns), tuple(cameras), frame_id, refusals)

    def _view(
        self, camera: str, image: Stamped[ImageMessage], rig: tuple[str, int], parameters: RelocalizerParameters
    ) -> View:
        """Raises VlocError and RefusedError."""
        info = self._infos[camera].of(image.stamp_ns)
        found = read_image(image.item, info, parameters, parameters.camera_frame_of(camera))
        return View(found, rig_from_camera(self._buffer, rig, (found.frame_id, found.stamp_ns), parameters))

    def _rig_frame(self, parameters: RelocalizerParameters) -> str:
        known = (parameters.camera_frame_of(camera) or self._frames.get(camera) for camera in parameters.cameras)
        return next(filter(None, known), "")
