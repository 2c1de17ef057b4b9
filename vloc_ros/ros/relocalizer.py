"""The node that turns camera images into poses."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.parameter import Parameter
from std_srvs.srv import Empty, SetBool, Trigger
from tf2_ros import Buffer

from vloc_ros.core.rate import RateLimit
from vloc_ros.core.synchronizer import Moment
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import Localizer, open_localizer
from vloc_ros.maps import Stored, require_signature
from vloc_ros.maps.signature import read_public_key
from vloc_ros.ros.image_job import ImageJob
from vloc_ros.ros.initialpose import HintInput
from vloc_ros.ros.map_input import Handed, MapInput
from vloc_ros.ros.map_slot import MapSlot
from vloc_ros.ros.memory import trim_heap
from vloc_ros.ros.moment_input import MomentInput
from vloc_ros.ros.node import VlocNode, read_signed
from vloc_ros.ros.odometry_feed import OdometryFeed
from vloc_ros.ros.odometry_input import OdometryInput
from vloc_ros.ros.outputs import Outputs
from vloc_ros.ros.parameters import ADAPTIVE, RelocalizerParameters
from vloc_ros.ros.rig_images import ImageMessage
from vloc_ros.ros.status_reports import StatusReports
from vloc_ros.ros.tf_frames import TransformReceiver
from vloc_ros.ros.triggers import Answer, Triggers
from vloc_ros.ros.worker import NewestWins
from vloc_ros.tracking.pose_tracker import PoseTracker
from vloc_ros.tracking.state import State

STEADY = ClockType.STEADY_TIME  # goes on when the simulation is paused
TRIGGER_TIMEOUT_S = 5.0


@dataclass(frozen=True, eq=False)
class _Parts:
    """What there is while the node is configured."""

    slot: MapSlot
    tracker: PoseTracker
    reports: StatusReports
    outputs: Outputs
    job: ImageJob
    maps: MapInput
    restart: Callable[[str], None]


class Relocalizer(VlocNode[RelocalizerParameters]):
    """Images, camera info, TF and a map in; pose, transform and status out.

    The executor only receives and answers. Two more threads work: that of `map_input.py` opens maps and puts them into
    `map_slot.py`, that of the worker here does `image_job.py` for one image after the other. What they share has its
    own lock each, held for a few assignments: the slot, the `PoseTracker`, the triggers.
    """

    def __init__(self, hand_over: Callable[[], Handed | None] | None = None) -> None:
        """`hand_over` gives the map of a map server in the same process, None while it has none; without it, the map
        comes from the topic of one elsewhere."""
        super().__init__("relocalizer", RelocalizerParameters)
        self._hand_over = hand_over
        self._wanted_map: Stored | None = None  # read by the check of a parameter that is about to be set
        self._parts_if_configured: _Parts | None = None
        self._worker: NewestWins[Moment[ImageMessage]] | None = None  # none before the first activation
        self._rate = RateLimit()
        self._triggers = Triggers()
        self._transforms = TransformReceiver(self)
        self._lifetime.callback(self._transforms.close)
        # For as long as the node lives: who waits gets an answer even when the node has been deactivated. In a group of
        # its own, for an image must be able to arrive meanwhile.
        self.create_service(Trigger, "~/trigger", self._on_trigger, callback_group=ReentrantCallbackGroup())

    def configure(self, scope: ExitStack) -> None:
        scope.callback(trim_heap)  # last of all
        if key := self.parameters.require_signature:
            read_public_key(key)  # what is wrong with it is said before a map comes
        buffer, tracker = Buffer(), PoseTracker()
        scope.enter_context(self._transforms.filling(buffer))
        slot = MapSlot(self._open_map, partial(self._on_map, tracker))
        reports = StatusReports(self, scope, slot, tracker, self._dropped)
        odometry = OdometryFeed(self, tracker, buffer)
        outputs = Outputs(self, scope, tracker, odometry, lambda: reports.state() is State.LOCALIZED)
        restart = partial(self._restart, tracker, buffer)
        job = ImageJob(self, slot, tracker, buffer, odometry, outputs, restart)
        scope.callback(tracker.restart)  # an image that is not done by then is outdated
        scope.callback(slot.close)
        scope.callback(job.close)
        maps = MapInput(self, scope, slot, self._hand_over)
        HintInput(self, scope, slot, tracker, buffer, outputs.initialpose.is_own)
        OdometryInput(self, scope, tracker.odometry)
        self._parts_if_configured = _Parts(slot, tracker, reports, outputs, job, maps, restart)
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True)
        jumped = self.faults.around("clock jump", self._on_clock_jump)
        jumps = self.get_clock().create_jump_callback(threshold, post_callback=jumped)
        scope.callback(jumps.unregister)
        reports.publish()

    def activate(self, scope: ExitStack) -> None:
        parts = self._parts
        parts.slot.recover()
        self._worker = NewestWins("localizer", partial(self._localize, parts), partial(self.faults.add, "localizer"))
        scope.callback(self._triggers.answer_all, Answer(False, "the node was deactivated"))
        scope.callback(self._worker.close)
        self._rate = RateLimit()
        MomentInput(self, scope, parts.reports.cameras, self._on_moment, parts.job.add_camera_info)
        for service in (
            self.create_service(SetBool, "~/set_enabled", self._on_set_enabled),
            self.create_service(Empty, "~/reinitialize_global_localization", self._on_reinitialize),
        ):
            scope.callback(self.destroy_service, service)
        for timer in (
            self.create_timer(1 / self.parameters.tf_publish_rate, parts.outputs.drift.send),
            self.create_timer(1.0, parts.reports.publish_all, clock=Clock(clock_type=STEADY)),
        ):
            scope.callback(self.destroy_timer, timer)

    def check_parameters(self, wanted: RelocalizerParameters) -> None:
        changed = wanted.map and wanted.map != self.parameters.map
        self._wanted_map = read_signed(wanted.map, wanted.require_signature) if changed else None
        if self._wanted_map is not None:
            self._wanted_map.landmark_map.manifest.require_scale(wanted.map, wanted.accept_unknown_scale)

    def apply_parameters(self, old: RelocalizerParameters) -> None:
        self._parts.maps.follow_parameters(old, self._wanted_map)
        self._wanted_map = None

    def take_map(self, handed: Handed) -> None:
        """The map server in the same process serves another one."""
        if self.is_configured:
            self._parts.maps.take(handed)

    @property
    def _parts(self) -> _Parts:
        assert self._parts_if_configured is not None, "the node is not configured"
        return self._parts_if_configured

    def _open_map(self, stored: Stored, where: str) -> Localizer:
        """Raises VlocError."""
        parameters = self.parameters
        if parameters.require_signature:
            require_signature(stored, where, parameters.require_signature)
        stored.landmark_map.manifest.require_scale(where, parameters.accept_unknown_scale)
        options = SessionOptions(parameters.backend, parameters.precision, parameters.threads)
        localizer = open_localizer(stored, where, options, self.get_logger().info)
        localizer.keep_open(parameters.max_open_places)
        return localizer

    def _on_map(self, tracker: PoseTracker, localizer: Localizer, where: str) -> None:
        """A map has just taken the place of the one before."""
        tracker.leave_map()
        trim_heap()
        frame = localizer.landmark_map.manifest.frame_id
        self.get_logger().info(f"{where}: using map {localizer.map_id}, frame {frame!r}")

    def _on_moment(self, moment: Moment[ImageMessage]) -> None:
        is_due = self._rate.lets_through(self.now_ns(), self._rate_hz())
        if self._worker and (self._triggers or (self.parameters.enabled and is_due)):
            self._worker.put(moment)

    def _rate_hz(self) -> float:
        """How many images a second are localized at most, 0 for all: of a robot that stands and knows where, few."""
        parameters, parts = self.parameters, self._parts
        if parameters.rate == ADAPTIVE and parts.reports.state() is State.LOCALIZED and not parts.tracker.has_moved():
            return parameters.standing_rate_hz
        return parameters.max_rate_hz

    def _localize(self, parts: _Parts, moment: Moment[ImageMessage]) -> None:
        """In the worker's thread."""
        if not self._triggers.take() and not self.parameters.enabled:
            return  # whom it was for has given up meanwhile
        image = parts.job.run(moment)
        self._triggers.answer_taken(Answer(image.refusal is None, image.summary))
        if parts.slot.is_closed:
            return  # the node was cleaned up meanwhile: there is nowhere to report it any more
        parts.reports.add(image, parts.job.last_check)
        parts.maps.follow_track(parts.tracker.fix, parts.reports.state() is not State.LOCALIZED)
        if parts.slot.failure and self.executor:
            self.executor.create_task(self._stop_after_failure, parts.slot)

    def _stop_after_failure(self, slot: MapSlot) -> None:
        """A GPU that is gone does not come back by trying again with every image: whoever activates the node again
        decides when to."""
        if slot.failure and self.is_active:
            self.get_logger().error("deactivating; activate the node again to open the network anew")
            self.trigger_deactivate()

    async def _on_trigger(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Answers with what becomes of the next image; the executor goes on meanwhile."""
        if not self.is_active:
            response.success, response.message = False, f"the node is {self.state_label}, not active"
            return response
        trigger = self._triggers.wait(self.executor)
        too_late = Answer(False, f"no image within {TRIGGER_TIMEOUT_S:g} s")
        give_up = self.create_timer(
            TRIGGER_TIMEOUT_S, partial(self._triggers.give_up, trigger, too_late), clock=Clock(clock_type=STEADY)
        )
        response.success, response.message = await trigger
        self.destroy_timer(give_up)
        return response

    def _on_set_enabled(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        (result,) = self.set_parameters([Parameter("enabled", value=request.data)])
        response.success, response.message = result.successful, result.reason
        return response

    def _on_reinitialize(self, request: Empty.Request, response: Empty.Response) -> Empty.Response:
        self._parts.restart("reinitialize_global_localization was called")
        return response

    def _on_clock_jump(self, jump: TimeJump) -> None:
        self._parts.restart("the clock jumped back or was changed")

    def _restart(self, tracker: PoseTracker, buffer: Buffer, reason: str) -> None:
        """Forget where the robot was, and all transforms."""
        tracker.restart()
        buffer.clear()
        self.get_logger().info(f"localizing anew: {reason}")

    def _dropped(self) -> int:
        return self._worker.dropped if self._worker else 0
