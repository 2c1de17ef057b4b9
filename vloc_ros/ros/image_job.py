"""What one image goes through: its camera, its pose, the robot's frames, the track, and what is published of it."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from sensor_msgs.msg import CameraInfo
from tf2_ros import Buffer

from vloc_ros.core.camera_warnings import field_of_view_warnings, lens_model_warnings
from vloc_ros.core.places import in_map_frame
from vloc_ros.core.query import Prior, Query
from vloc_ros.core.synchronizer import Moment
from vloc_ros.core.types import PoseEstimate, Rejection, RejectionReason
from vloc_ros.errors import ModelError, VlocError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.stamps import NS_PER_S, RESTARTED_NS
from vloc_ros.geometry.transforms import planar
from vloc_ros.localizer import Localizer
from vloc_ros.ros.image_stamps import refuse_stamp
from vloc_ros.ros.map_search import MapSearch
from vloc_ros.ros.map_slot import MapSlot
from vloc_ros.ros.node import VlocNode
from vloc_ros.ros.odometry_feed import OdometryFeed
from vloc_ros.ros.outputs import Outputs, locate_base
from vloc_ros.ros.parameters import RelocalizerParameters
from vloc_ros.ros.rig_images import ImageMessage, RigImages, RigReader
from vloc_ros.ros.tf_frames import FramesAtStamp, TransformMissingError, broadcast_frame, frames_at, frames_now
from vloc_ros.ros.throttle import Throttle
from vloc_ros.tracking.keyframes import Keyframes
from vloc_ros.tracking.pose_tracker import PoseTracker
from vloc_ros.tracking.prior import GlobalTurns, prior_of, without_odometry
from vloc_ros.tracking.status import FLOW, GLOBAL, PRIOR, ImageReport, Refusal, RefusedError
from vloc_ros.tracking.track import FixPlace, Track

WARN_AGAIN_S = 10.0  # about the same thing


class ImageJob:
    """Done for one image after the other, by one thread; `add_camera_info` is called by another.

    It has no lock of its own and holds none while the network runs: the map and the track that an image began with
    stay the image's until its end, and a fix is refused if somebody has replaced the track meanwhile.
    """

    def __init__(
        self,
        node: VlocNode[RelocalizerParameters],
        slot: MapSlot,
        tracker: PoseTracker,
        buffer: Buffer,
        odometry: OdometryFeed,
        outputs: Outputs,
        restart: Callable[[str], None],
    ) -> None:
        """`restart` forgets the track and all transforms, and says why."""
        self._node, self._slot, self._tracker, self._buffer = node, slot, tracker, buffer
        self._odometry, self._outputs, self._restart = odometry, outputs, restart
        self._reader = RigReader(buffer)
        self._search = MapSearch(slot, node.get_logger().error)
        self._warned = Throttle(WARN_AGAIN_S)
        self._turns, self._keyframes = GlobalTurns(node.parameters.global_every), Keyframes()
        self._looked_at: tuple[tuple[Camera, ...], str] | None = None  # the cameras and the map of the last image

    def add_camera_info(self, camera: str, info: CameraInfo) -> None:
        """A message on `camera_info` of a camera."""
        self._reader.add_info(camera, info)

    def run(self, moment: Moment[ImageMessage]) -> ImageReport:
        """Localize the images of a moment and publish what follows from it; whatever goes wrong is in the report."""
        stamp_ns, begun_s = moment.stamp_ns, time.process_time()
        try:
            report = self._run(moment, stamp_ns)
        except Exception as error:
            refusal = Refusal(RejectionReason.INTERNAL_ERROR, self._node.faults.add("image", error))
            report = ImageReport.of(stamp_ns, self._milliseconds_since(stamp_ns), None, refusal)
        if report.refusal:
            self._keyframes.drop()
        return replace(report, cpu_ms=(time.process_time() - begun_s) * 1e3)

    def _run(self, moment: Moment[ImageMessage], stamp_ns: int) -> ImageReport:
        parameters = self._node.parameters  # of the whole image, should they change meanwhile
        localizer: Localizer | None = None
        result: PoseEstimate | Rejection | None = None
        refusal: Refusal | None = None
        search = GLOBAL
        try:
            track, localizer = self._begin(stamp_ns)
            images = self._reader.read(moment, parameters)
            self._look_at(images.query, localizer)
            query = replace(images.query, prior=self._prior(images, localizer, parameters))
            search = GLOBAL if query.prior is None else PRIOR
            gated = partial(with_thresholds, parameters=parameters)
            localizer, result = self._search.localize(query, localizer, gated, track.in_doubt)
            search = FLOW if isinstance(result, PoseEstimate) and result.is_followed else search
            if isinstance(result, Rejection):
                raise RefusedError(result.reason, result.detail)
            manifest = localizer.landmark_map.manifest
            place = fix_place(localizer, result.place, self._slot.name_of(localizer))
            where = manifest.frame_to_publish(result.place), place
            is_news = self._accept(track, images, in_map_frame(result, manifest), where, parameters)
            self._keyframes.add(images.query, result, localizer.landmark_map, is_news)
            self._slot.use(localizer)
        except RefusedError as refused:
            refusal = self._warn(refused.refusal)
        except ModelError as error:
            refusal = self._fail(localizer, error)
        except VlocError as error:
            refusal = self._warn(Refusal(RejectionReason.BAD_INPUT, str(error)))
        latency_ms = self._milliseconds_since(stamp_ns)
        if localizer is not None and result is not None:
            self._outputs.publish_views(images, result, localizer.landmark_map)
        cameras = {} if result is None else images.reports(result, parameters.cameras)
        return ImageReport.of(stamp_ns, latency_ms, result, refusal, cameras, search)

    def _begin(self, stamp_ns: int) -> tuple[Track, Localizer]:
        """What the image is to be localized with. Raises RefusedError."""
        refuse_stamp(stamp_ns, self._node.now_ns())
        back_ns = self._tracker.nanoseconds_back(stamp_ns)
        if back_ns > RESTARTED_NS:
            self._restart(f"images went back in time by {back_ns / NS_PER_S:.1f} s")
        # The track first: a map that comes in between restarts it, and then the image is outdated. The other way round,
        # a fix in the map before could begin the track in the new one.
        track, localizer = self._tracker.begin(stamp_ns), self._slot.localizer
        if localizer is None:
            raise RefusedError(RejectionReason.NO_MAP, "is the map server running?")
        return track, localizer

    def _prior(self, images: RigImages, localizer: Localizer, parameters: RelocalizerParameters) -> Prior | None:
        """Where the track puts the images, and what was seen there; None for every so-many-th, and where the track is
        in doubt."""
        self._turns.every = parameters.global_every
        believed = self._tracker.believed()
        if self._turns.is_next() or believed is None or self._tracker.is_contradicted:
            return None
        # A prior that is a little off may find a little other points. In simulated time, and in a bag, the same images
        # give the same poses; on a robot, nobody waits.
        wait, stamp_ns = self._node.is_simulated, images.query.stamp_ns
        frames = frames_now(self._buffer, images.frame_id, stamp_ns, parameters, wait)
        self._odometry.update()
        options, fix = parameters.tracking, believed.fix
        if frames is None or stamp_ns - fix.stamp_ns > options.lost_after_s * NS_PER_S:
            return None
        if (odom_from_base := frames.odom_from_base) is None:
            estimate = without_odometry(fix, stamp_ns, options)
        else:
            odom_from_base = planar(odom_from_base) if parameters.two_d_mode else odom_from_base
            estimate = self._tracker.estimate(stamp_ns, odom_from_base, options)
        landmark_map, place = localizer.landmark_map, None
        if fix.place:
            place = fix.place.in_map or fix.place.name
        if estimate is None or (place is not None and landmark_map.manifest.index_of(place) is None):
            return None
        prior = prior_of(estimate, frames.base_from_camera, fix.floor_from_base, landmark_map.manifest, place)
        return prior and replace(prior, keyframe=self._keyframes.of(landmark_map, place))

    def _look_at(self, query: Query, localizer: Localizer) -> None:
        """Warn of a lens or a focal length unlike the map's, when a calibration or the map is a new one."""
        cameras = tuple(view.image.camera for view in query.views)
        if (cameras, localizer.map_id) != self._looked_at:
            self._looked_at = cameras, localizer.map_id
            manifest = localizer.landmark_map.manifest
            for doubt in lens_model_warnings(cameras, manifest):
                self._warn_once("lens_model", doubt)
            for doubt in field_of_view_warnings(cameras, manifest):
                self._warn_once("field_of_view", doubt)

    def _accept(
        self,
        before: Track,
        images: RigImages,
        estimate: PoseEstimate,
        where: tuple[str, FixPlace],
        parameters: RelocalizerParameters,
    ) -> bool:
        """Publish a fix that goes with the track; whether it places the robot anew. Raises RefusedError for one that
        does not go with it, or if TF is missing."""
        map_frame, place = where
        frames = self._frames(map_frame, images, parameters)
        base = locate_base(estimate, frames, map_frame, images.query.stamp_ns, parameters.two_d_mode, place)
        self._odometry.update()
        is_news = self._tracker.follow(before, base.fix, self._node.now_ns(), parameters.tracking)
        self._outputs.publish_fix(base, estimate, images.frame_id, parameters, is_news)
        return is_news

    def _frames(self, map_frame: str, images: RigImages, parameters: RelocalizerParameters) -> FramesAtStamp:
        """Of the robot at the images' stamp. Raises RefusedError."""
        if map_frame == broadcast_frame(parameters, images.frame_id):
            itself = f"{map_frame!r} is the map's frame, and what {parameters.tf_mode} would broadcast below it"
            raise RefusedError(RejectionReason.NO_TRANSFORM, itself)
        try:
            return frames_at(self._buffer, images.frame_id, images.query.stamp_ns, parameters)
        except TransformMissingError as error:
            raise RefusedError(RejectionReason.NO_TRANSFORM, str(error)) from error

    def _fail(self, localizer: Localizer | None, error: ModelError) -> Refusal:
        refusal = Refusal(RejectionReason.NETWORK_FAILED, str(error))
        if localizer is not None:
            self._slot.fail(localizer, str(refusal))
        self._node.get_logger().error(str(refusal))
        return refusal

    def _warn(self, refusal: Refusal) -> Refusal:
        self._warn_once(refusal.reason.value, str(refusal))
        return refusal

    def _warn_once(self, about: str, text: str) -> None:
        if self._warned.is_due(about):
            self._node.get_logger().warning(text)

    def _milliseconds_since(self, stamp_ns: int) -> float:
        return (self._node.now_ns() - stamp_ns) * 1e-6


def fix_place(localizer: Localizer, place: str | None, map_name: str) -> FixPlace:
    """The place of a pose: PLACE, or MAP or MAP/PLACE where the map is one of several. None stands for the only place
    of its map."""
    found = localizer.landmark_map.manifest.place_of(place)
    name = "/".join(filter(None, (map_name, found.name if place or not map_name else "")))
    return FixPlace(name, is_aligned=found.map_from_place is not None, in_map=found.name)


def with_thresholds(localizer: Localizer, parameters: RelocalizerParameters) -> Localizer:
    """The localizer with the thresholds that the parameters set instead of the map's."""
    own: dict[str, Any] = {
        "min_inliers": parameters.min_inliers,
        "max_reprojection_rmse_px": parameters.max_reprojection_rmse_px,
        "min_confidence": parameters.min_confidence,
    }
    return localizer.gated(**{name: value for name, value in own.items() if value})
