"""What one image goes through: its camera, its pose, the robot's frames, the track, and what is published of it."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sensor_msgs.msg import CameraInfo
from tf2_ros import Buffer

from vloc_ros.core.camera_warnings import field_of_view_warnings, lens_model_warnings
from vloc_ros.core.places import in_map_frame
from vloc_ros.core.query import Query
from vloc_ros.core.synchronizer import Moment
from vloc_ros.core.types import PoseEstimate, Rejection, RejectionReason
from vloc_ros.errors import MapError, ModelError, VlocError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.stamps import NS_PER_S, RESTARTED_NS
from vloc_ros.geometry.transforms import planar
from vloc_ros.localizer import Localizer
from vloc_ros.ros.image_stamps import refuse_stamp
from vloc_ros.ros.map_search import MapSearch
from vloc_ros.ros.map_slot import MapSlot
from vloc_ros.ros.node import VlocNode
from vloc_ros.ros.odometry_feed import OdometryFeed
from vloc_ros.ros.outputs import LocatedBase, Outputs, fix_place
from vloc_ros.ros.parameters import RelocalizerParameters
from vloc_ros.ros.rig_images import ImageMessage, RigImages, RigReader
from vloc_ros.ros.tf_frames import TransformMissingError, broadcast_frame, frames_at, frames_now
from vloc_ros.ros.throttle import Throttle
from vloc_ros.ros.worker import Aside
from vloc_ros.tracking.pose_tracker import PoseTracker
from vloc_ros.tracking.search_planner import SearchPlanner
from vloc_ros.tracking.status import AGREES, CHECKED, GLOBAL, ImageReport, Refusal, RefusedError
from vloc_ros.tracking.track import FramesAtStamp, Track, located_base

WARN_AGAIN_S = 10.0  # about the same thing


@dataclass(frozen=True, eq=False)
class _Check:
    """What the networks are asked of an image whose followed pose is published, the track that went on with that, and
    the answer, once there is one."""

    images: RigImages
    query: Query
    localizer: Localizer
    track: Track
    parameters: RelocalizerParameters
    answer: "Future[tuple[Localizer, PoseEstimate | Rejection]]"


class ImageJob:
    """Done for one image after the other, by one thread; `add_camera_info` is called by another.

    An image that is followed is published at once. When the networks are to see it, too, they do so in a thread of
    their own, and what they say is taken up with the next image that comes then. It has no lock of its own and
    holds none while the network runs: the map and the track that an image began with stay the image's until its
    end, and a fix is refused if somebody has replaced the track meanwhile.
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
        self._planner = SearchPlanner(tracker)
        self._checker = Aside[tuple[Localizer, PoseEstimate | Rejection]]("checker")
        self._check: _Check | None = None
        self.last_check = ""  # AGREES, or why not; "" before there was one
        self._counted_s: float | None = None  # processor time when the last image was done
        self._looked_at: tuple[tuple[Camera, ...], str] | None = None  # the cameras and the map of the last image

    def add_camera_info(self, camera: str, info: CameraInfo) -> None:
        """A message on `camera_info` of a camera."""
        self._reader.add_info(camera, info)

    def run(self, moment: Moment[ImageMessage]) -> ImageReport:
        """Localize the images of a moment and publish what follows from it; whatever goes wrong is in the report."""
        stamp_ns, begun_s = moment.stamp_ns, self._counted_s or time.process_time()
        try:
            self.settle(wait=False)
            report = self._run(moment, stamp_ns)
        except Exception as error:
            refusal = self._refusal_of(error, None)
            report = ImageReport.of(stamp_ns, self._milliseconds_since(stamp_ns), None, refusal)
        if report.refusal:
            self._planner.drop()
        # In simulated time, and in a bag, the same images give the same poses; on a robot, nobody waits.
        self.settle(wait=self._node.is_simulated)
        self._counted_s = time.process_time()
        return replace(report, cpu_ms=(self._counted_s - begun_s) * 1e3)

    def close(self) -> None:
        """Let a check that runs come to its end; nobody asks for its answer."""
        self._checker.close(self._check.answer if self._check else None)

    def settle(self, wait: bool = True) -> None:
        """Go on with what the networks say of an image that was followed, if they have said it or it is waited for: the
        points of the next images are followed from there, and the filter takes that pose in place of the published one.
        """
        check = self._check
        if check is None or not (wait or check.answer.done()):
            return
        self._check = None
        try:
            localizer, result = check.answer.result()
            if isinstance(result, Rejection):
                raise RefusedError(result.reason, result.detail)
            self._tracker.require(check.track)  # or else its transforms may be gone, too
            base = self._base(check.images, result, localizer, check.parameters)
            self._tracker.check(check.track, base.fix, check.parameters.tracking)
            self._planner.add(check.query, result, localizer.landmark_map, is_news=False)
            self.last_check = AGREES
        except Exception as error:
            self._planner.drop()
            self.last_check = str(self._refusal_of(error, check.localizer))

    def _is_to_be_checked(
        self, images: RigImages, result: PoseEstimate, localizer: Localizer, parameters: RelocalizerParameters
    ) -> bool:
        """Have the networks look at an image that was followed, in another thread, if that is due and they have nothing
        else to check."""
        track = self._tracker.track
        # A hint, or another map, that came just now: the next image is searched in the whole map.
        if self._check is not None or track.fix is None or track.is_contradicted:
            return False
        query = self._planner.check_of(images.query, result)
        if query is None:
            return False
        gated = partial(with_thresholds, parameters=parameters)
        answer = self._checker.start(partial(self._search.localize, query, localizer, gated, in_doubt=False))
        self._check = _Check(images, query, localizer, track, parameters, answer) if answer else None
        return answer is not None

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
            query = self._planned(images, localizer, parameters)
            gated = partial(with_thresholds, parameters=parameters)
            localizer, result = self._search.localize(query, localizer, gated, track.in_doubt)
            search = self._planner.answered(query, result)
            if isinstance(result, Rejection):
                raise RefusedError(result.reason, result.detail)
            is_news = self._accept(track, images, result, localizer, parameters)
            self._slot.use(localizer)
            self._planner.add(query, result, localizer.landmark_map, is_news)
            search = CHECKED if self._is_to_be_checked(images, result, localizer, parameters) else search
        except (VlocError, RefusedError) as error:
            refusal = self._refusal_of(error, localizer)
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
            if failure := self._slot.failure:  # in an image before this one, or in its check
                raise RefusedError(RejectionReason.NETWORK_FAILED, Refusal.parse(failure).detail)
            raise RefusedError(RejectionReason.NO_MAP, "is the map server running?")
        return track, localizer

    def _planned(self, images: RigImages, localizer: Localizer, parameters: RelocalizerParameters) -> Query:
        """The images' query with what the track tells it."""
        self._planner.every = parameters.global_every
        stamp_ns = images.query.stamp_ns

        def frames() -> FramesAtStamp | None:
            # A prior that is a little off may find a little other points: that would be another pose.
            found = frames_now(self._buffer, images.frame_id, stamp_ns, parameters, wait=self._node.is_simulated)
            self._odometry.update()
            if found is None or found.odom_from_base is None or not parameters.two_d_mode:
                return found
            return replace(found, odom_from_base=planar(found.odom_from_base))

        return self._planner.planned(images.query, localizer.landmark_map, frames, parameters.tracking)

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
        result: PoseEstimate,
        localizer: Localizer,
        parameters: RelocalizerParameters,
    ) -> bool:
        """Publish a fix that goes with the track; whether it places the robot anew. Raises RefusedError for one that
        does not go with it, or if TF is missing."""
        base = self._base(images, result, localizer, parameters)
        is_news = self._tracker.follow(before, base.fix, self._node.now_ns(), parameters.tracking)
        self._outputs.publish_fix(base, images.frame_id, parameters, is_news)
        return is_news

    def _base(
        self, images: RigImages, result: PoseEstimate, localizer: Localizer, parameters: RelocalizerParameters
    ) -> LocatedBase:
        """The robot's own pose, when the tracker knows all odometry. Raises RefusedError if TF is missing."""
        manifest = localizer.landmark_map.manifest
        map_frame = manifest.frame_to_publish(result.place)
        place = fix_place(manifest, result.place, self._slot.name_of(localizer))
        frames = self._frames(map_frame, images, parameters)
        estimate = in_map_frame(result, manifest)
        fix = located_base(estimate, frames, map_frame, images.query.stamp_ns, place)
        self._odometry.update()
        return LocatedBase(fix.flattened() if parameters.two_d_mode else fix, estimate)

    def _frames(self, map_frame: str, images: RigImages, parameters: RelocalizerParameters) -> FramesAtStamp:
        """Of the robot at the images' stamp. Raises RefusedError."""
        if map_frame == broadcast_frame(parameters, images.frame_id):
            itself = f"{map_frame!r} is the map's frame, and what {parameters.tf_mode} would broadcast below it"
            raise RefusedError(RejectionReason.NO_TRANSFORM, itself)
        try:
            return frames_at(self._buffer, images.frame_id, images.query.stamp_ns, parameters)
        except TransformMissingError as error:
            raise RefusedError(RejectionReason.NO_TRANSFORM, str(error)) from error

    def _refusal_of(self, error: Exception, localizer: Localizer | None) -> Refusal:
        """Of what was raised while an image was worked on; logged."""
        if isinstance(error, RefusedError):
            return self._warn(error.refusal)
        if isinstance(error, ModelError):
            return self._fail(localizer, error)
        if isinstance(error, VlocError):  # of a map: of a place that a building reads when an image shows it
            reason = RejectionReason.NO_MAP if isinstance(error, MapError) else RejectionReason.BAD_INPUT
            return self._warn(Refusal(reason, str(error)))
        return Refusal(RejectionReason.INTERNAL_ERROR, self._node.faults.add("image", error))

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


def with_thresholds(localizer: Localizer, parameters: RelocalizerParameters) -> Localizer:
    """The localizer with the thresholds that the parameters set instead of the map's."""
    own: dict[str, Any] = {
        "min_inliers": parameters.min_inliers,
        "max_reprojection_rmse_px": parameters.max_reprojection_rmse_px,
        "min_confidence": parameters.min_confidence,
        "min_agreement": parameters.min_agreement,
    }
    return localizer.gated(**{name: value for name, value in own.items() if value})
