"""From messages to an image with its camera."""

from collections import deque

from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from vloc_ros.core.types import CameraImage, RejectionReason
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera_info import InfoOptions, read_camera_info
from vloc_ros.images import to_rgb
from vloc_ros.ros.conversions import to_stamp_ns
from vloc_ros.ros.parameters import RelocalizerParameters
from vloc_ros.tracking.status import RefusedError

CAMERA_INFOS_KEPT = 8


class CameraInfos:
    """The newest messages on `camera_info`. One thread adds, another one asks."""

    def __init__(self) -> None:
        self._infos: deque[CameraInfo] = deque(maxlen=CAMERA_INFOS_KEPT)

    def add(self, info: CameraInfo) -> None:
        """One more."""
        self._infos.append(info)

    def of(self, stamp_ns: int) -> CameraInfo:
        """That of the stamp of an image, or else the newest one. Raises RefusedError if there is none."""
        infos = tuple(self._infos)
        if not infos:
            raise RefusedError(RejectionReason.NO_CAMERA_INFO, "none has come: is the topic right?")
        return next((info for info in infos if to_stamp_ns(info.header.stamp) == stamp_ns), infos[-1])


def read_image(
    message: Image | CompressedImage, info: CameraInfo, parameters: RelocalizerParameters, camera_frame: str
) -> CameraImage:
    """A decoded image and the camera that its calibration describes; `camera_frame`: "" for that in its header. Raises
    VlocError for either if it cannot be."""
    to_set = "camera_frames" if parameters.cameras else "camera_frame"
    sensor = read_camera_info(info, InfoOptions(parameters.image_rectified, bool(camera_frame), frame_name=to_set))
    frame_id = camera_frame or message.header.frame_id
    if not frame_id:
        raise ConfigError(f"image: its header names no frame; set the parameter {to_set}")
    rgb = to_rgb(message)
    camera = sensor.of_image(rgb.shape[1], rgb.shape[0])
    return CameraImage(rgb, camera, to_stamp_ns(message.header.stamp), frame_id)
