"""What one image goes through in the relocalizer: camera, localization, frames, track, publication."""

import math
import threading
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from geometry_msgs.msg import PoseWithCovarianceStamped
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_ros import Buffer

from vloc_ros.core.field_of_view import field_of_view_doubts
from vloc_ros.core.types import CameraImage, PoseEstimate, Rejection, RejectionReason
from vloc_ros.errors import ConfigError, ModelError, VlocError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.camera_info import InfoOptions, read_camera_info
from vloc_ros.images import to_rgb
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import Localizer, open_localizer, preload
from vloc_ros.maps import StoredMap
from vloc_ros.ros.conversions import to_stamp_ns
from vloc_ros.ros.initialpose import InitialPose, to_hint
from vloc_ros.ros.node import VlocNode
from vloc_ros.ros.outputs import Outputs, locate_base
from vloc_ros.ros.parameters import MAP_TO_ODOM, RelocalizerParameters
from vloc_ros.ros.tf_frames import TransformMissingError, base_frame, broadcast_frame, frames_at, newest_odometry
from vloc_ros.tracking.state import State, state_of
from vloc_ros.tracking.status import ImageReport, Refusal, RefusedError, Status
from vloc_ros.tracking.track import Track, follow

MAX_FUTURE_S = 1.0  # stamps this far ahead come from another clock
MAX_BACK_S = 1.0  # stamps this far behind the last image's come from another run of a bag
COMPLAIN_EVERY_S = 10.0  # about the same thing
CAMERA_INFOS_KEPT = 8


class Relocalization:
    """The map in use, the track, and what it takes to go on with one more image.

    `localize` is called by one thread, `use` by another, all else by the executor's.
    """

    def __init__(self, node: VlocNode[RelocalizerParameters], buffer: Buffer, scope: ExitStack) -> None:
        self._node, self._buffer, self._outputs = node, buffer, Outputs(node, scope)
        self._lock = threading.Lock()  # of the seven below, which belong together
        self._closed = False
        self._localizer: Localizer | None = None
        self._opened: tuple[StoredMap, str] | None = None  # what the localizer was made of, and where that came from
        self._failure = ""
        self._track = Track()
        self._fixed_at_ns = 0
        self._last_stamp_ns = 0
        self._broadcasting = threading.Lock()
        self._broadcast_ns = 0  # when map -> odom was last broadcast
        self._infos: deque[CameraInfo] = deque(maxlen=CAMERA_INFOS_KEPT)
        self._looked_at: tuple[Camera, str] | None = None  # the camera and the map of the last image
        self._complained_s: dict[str, float] = {}
        self._initialpose = InitialPose(node, scope, lambda: self.state() is State.LOCALIZED)
        # While a map is awaited. Not a daemon: Python must not end in the middle of LLVM.
        threading.Thread(target=preload, name="preload").start()

    @property
    def map_id(self) -> str:
        return self._localizer.map_id if self._localizer else ""

    @property
    def map_frame(self) -> str:
        """The frame of the last fix: in a map of several places, that of its place; the map's own before any fix."""
        localizer, fix = self._localizer, self._track.fix
        if localizer is None:
            return ""
        return fix.map_frame if fix else localizer.landmark_map.manifest.frame_id

    @property
    def backend(self) -> str:
        """What runs the network, as soon as there is one."""
        return self._localizer.backend if self._localizer else ""

    @property
    def failure(self) -> str:
        """Why the network does not run any more; empty while it does."""
        return self._failure

    def status(self, image: ImageReport | None, dropped: int) -> Status:
        """What there is to say, `image` being the last one."""
        return Status(self.state(), self.map_id, self.map_frame, image, dropped)

    def state(self) -> State:
        now_ns = self._now_ns()
        with self._lock:
            if self._failure:
                return State.LOST
            since_s = None if self._track.fix is None else (now_ns - self._fixed_at_ns) * 1e-9
            return state_of(self._localizer is not None, since_s, self._node.parameters.lost_after)

    def use(self, stored: StoredMap, where: str) -> None:
        """Open a map, warm it up, and only then put it in the place of the one before. Raises VlocError."""
        if stored.map_id == self.map_id:
            return
        parameters = self._node.parameters
        options = SessionOptions(parameters.backend, parameters.precision, parameters.threads)
        opened = open_localizer(stored, where, options, self._node.get_logger().info)
        opened.warm_up()
        with self._lock:
            if self._closed:
                return
            self._localizer, self._opened, self._failure, self._track = opened, (stored, where), "", Track()
        self._node.get_logger().info(f"{where}: using map {opened.map_id}, frame {self.map_frame!r}")

    def close(self) -> None:
        """Let go of the map and of its network, which hold most of a node's memory, for good."""
        with self._lock:
            self._closed, self._localizer, self._opened = True, None, None

    def recover(self) -> None:
        """Open the map anew whose network failed, if one did. Raises VlocError."""
        if self._failure and self._opened:
            self.use(*self._opened)

    def reset(self, reason: str) -> None:
        """Forget where the robot was, and all transforms."""
        with self._lock:
            self._track, self._last_stamp_ns = Track(), 0
        self._buffer.clear()
        self._node.get_logger().info(f"localizing anew: {reason}")

    def add_camera_info(self, info: CameraInfo) -> None:
        self._infos.append(info)

    def take_hint(self, message: PoseWithCovarianceStamped) -> None:
        """Expect the next fix where somebody says on `initialpose` that the robot is."""
        if self._initialpose.is_own(message):
            return
        parameters, log = self._node.parameters, self._node.get_logger()
        try:
            odom_from_base = newest_odometry(self._buffer, parameters)
            hint = to_hint(message, self._map_frames(), self._now_ns(), odom_from_base)
        except VlocError as error:
            log.warning(f"initialpose is not taken as a hint: {error}")
            return
        if not base_frame(parameters):  # nobody draws an arrow along the image's rows
            hint = replace(hint, within_deg=math.inf)
        with self._lock:
            self._track = self._track.hinted(hint)
        x, y = hint.fix.map_from_base[:2, 3]
        log.info(f"a hint on initialpose: the next fix near x {x:.2f}, y {y:.2f} is believed at once")

    def localize(self, message: Image | CompressedImage) -> ImageReport:
        """Localize one image and publish what follows from it."""
        stamp_ns = to_stamp_ns(message.header.stamp)
        result: PoseEstimate | Rejection | None = None
        refusal: Refusal | None = None
        try:
            localizer, track = self._begin(stamp_ns)
            image = self._image(message, stamp_ns)
            self._look_at(image.camera, localizer)
            result = localizer.localize(image)
            if isinstance(result, Rejection):
                raise RefusedError(result.reason, result.detail)
            self._accept(localizer, track, image, result)
        except RefusedError as refused:
            refusal = refused.refusal
            self._complain(refusal)
        except ModelError as error:
            refusal = Refusal(RejectionReason.NETWORK_FAILED, str(error))
            self._fail(str(refusal))
        except VlocError as error:
            refusal = Refusal(RejectionReason.BAD_INPUT, str(error))
            self._complain(refusal)
        latency_ms = (self._now_ns() - stamp_ns) * 1e-6
        if result is not None:
            self._outputs.publish_views(image, result, localizer.landmark_map)
        return ImageReport.of(stamp_ns, latency_ms, result, refusal)

    def broadcast_drift(self) -> None:
        """map -> odom as the last fix saw it, dated ahead: valid until the next one.

        A timer does this, and the thread with the images at each fix: in turns, so that no stamp is older than one
        before it, or the same, which tf2 would ignore.
        """
        parameters = self._node.parameters
        with self._broadcasting:
            fix = self._track.fix
            drift = fix.map_from_odom if fix else None
            if parameters.tf_mode == MAP_TO_ODOM and fix and drift is not None:
                now_ns, last_ns = self._now_ns(), self._broadcast_ns
                # Where time has gone back far, another run has begun.
                self._broadcast_ns = last_ns + 1 if 0 <= last_ns - now_ns < MAX_BACK_S * 1e9 else now_ns
                ahead_ns = self._broadcast_ns + int(parameters.transform_tolerance * 1e9)
                self._outputs.broadcast_drift(drift, fix.map_frame, parameters.odom_frame, ahead_ns)

    def _begin(self, stamp_ns: int) -> tuple[Localizer, Track]:
        """What the image is to be localized with. Raises RefusedError for a stamp that cannot be."""
        if stamp_ns == 0:
            raise RefusedError(RejectionReason.BAD_STAMP, "the image's stamp is 0: its driver does not set it")
        if stamp_ns < 0:
            raise RefusedError(RejectionReason.BAD_STAMP, f"the image's stamp is negative: {stamp_ns * 1e-9:.3f} s")
        now_ns = self._now_ns()
        if now_ns == 0:
            raise RefusedError(
                RejectionReason.BAD_STAMP,
                "use_sim_time is on, and nothing has come on /clock: is the simulation running?",
            )
        ahead_s = (stamp_ns - now_ns) * 1e-9
        if ahead_s > MAX_FUTURE_S:
            raise RefusedError(
                RejectionReason.BAD_STAMP, f"the image is {ahead_s:.1f} s from the future: are the clocks in step?"
            )
        back_s = (self._last_stamp_ns - stamp_ns) * 1e-9
        if back_s > MAX_BACK_S:
            self.reset(f"images went back in time by {back_s:.1f} s")
        with self._lock:
            self._last_stamp_ns = stamp_ns
            if self._localizer is None:
                raise RefusedError(RejectionReason.NO_MAP, "is the map server running?")
            return tuned(self._localizer, self._node.parameters), self._track

    def _image(self, message: Image | CompressedImage, stamp_ns: int) -> CameraImage:
        """The image with the camera_info of its stamp, or else the newest one."""
        infos = tuple(self._infos)
        if not infos:
            raise RefusedError(RejectionReason.NO_CAMERA_INFO, "none has come: is the topic right?")
        info = next((info for info in infos if to_stamp_ns(info.header.stamp) == stamp_ns), infos[-1])
        parameters = self._node.parameters
        sensor = read_camera_info(info, InfoOptions(parameters.image_rectified, bool(parameters.camera_frame)))
        frame_id = parameters.camera_frame or message.header.frame_id
        if not frame_id:
            raise ConfigError("image: its header names no frame; set the parameter camera_frame")
        rgb = to_rgb(message)
        return CameraImage(rgb, sensor.of_image(rgb.shape[1], rgb.shape[0]), stamp_ns, frame_id)

    def _look_at(self, camera: Camera, localizer: Localizer) -> None:
        """Warn of a focal length far from the map's, when the calibration or the map is a new one."""
        if (camera, localizer.map_id) != self._looked_at:
            self._looked_at = camera, localizer.map_id
            for doubt in field_of_view_doubts([camera], localizer.landmark_map.manifest):
                self._warn("field_of_view", doubt)

    def _accept(self, localizer: Localizer, before: Track, image: CameraImage, estimate: PoseEstimate) -> None:
        """Publish a fix that goes with the track. Raises RefusedError for one that does not, or if TF is missing."""
        parameters = self._node.parameters
        map_frame = localizer.landmark_map.manifest.frame_of(estimate.place)
        if map_frame == broadcast_frame(parameters, image.frame_id):
            raise RefusedError(
                RejectionReason.NO_TRANSFORM,
                f"{map_frame!r} is the map's frame, and what {parameters.tf_mode} would broadcast below it",
            )
        try:
            frames = frames_at(self._buffer, image.frame_id, image.stamp_ns, parameters)
        except TransformMissingError as error:
            raise RefusedError(RejectionReason.NO_TRANSFORM, str(error)) from error
        base = locate_base(estimate, frames, map_frame, image.stamp_ns, parameters.two_d_mode)
        track, contradiction = follow(before, base.fix, parameters.tracking)
        now_ns = self._now_ns()
        with self._lock:
            if self._track is not before:
                raise RefusedError(
                    RejectionReason.OUTDATED, "the map or the track was replaced while this image was worked on"
                )
            self._track = track
            if not contradiction:
                self._fixed_at_ns = now_ns
        if contradiction:
            raise RefusedError(RejectionReason.JUMP, contradiction)
        self._outputs.publish_pose(base, estimate)
        self._outputs.broadcast_fix(base, estimate, image.frame_id, parameters)
        self.broadcast_drift()
        self._initialpose.offer(base.message, is_news=track.placements > before.placements)

    def _map_frames(self) -> tuple[str, ...]:
        """The frames that poses may be in. Raises ConfigError without a map."""
        localizer = self._localizer
        if localizer is None or not self._node.is_active:
            raise ConfigError("there is no map yet" if localizer is None else "the node is not active")
        return localizer.landmark_map.manifest.frames

    def _fail(self, failure: str) -> None:
        """Let go of a network that does not run any more: whatever it held on its device is freed."""
        with self._lock:
            self._localizer, self._failure = None, failure
        self._node.get_logger().error(failure)

    def _complain(self, refusal: Refusal) -> None:
        self._warn(refusal.reason.value, str(refusal))

    def _warn(self, about: str, text: str) -> None:
        """Warn, but about the same thing only once in a while."""
        now_s = time.monotonic()
        if now_s - self._complained_s.get(about, -math.inf) > COMPLAIN_EVERY_S:
            self._complained_s[about] = now_s
            self._node.get_logger().warning(text)

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)


def tuned(localizer: Localizer, parameters: RelocalizerParameters) -> Localizer:
    """The localizer with the thresholds that the parameters set instead of the map's."""
    own: dict[str, Any] = {
        "min_inliers": parameters.min_inliers,
        "max_reprojection_rmse_px": parameters.max_reprojection_rmse_px,
        "min_confidence": parameters.min_confidence,
    }
    wanted = {name: value for name, value in own.items() if value}
    if not wanted:
        return localizer
    return replace(localizer, thresholds=replace(localizer.landmark_map.manifest.gate, **wanted))
