"""The node that turns camera images into poses."""

from contextlib import ExitStack
from functools import partial

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import UInt8MultiArray
from std_srvs.srv import Empty, SetBool, Trigger
from tf2_ros import Buffer

from vloc_ros.core.rate import RateLimit
from vloc_ros.core.types import RejectionReason
from vloc_ros.errors import VlocError
from vloc_ros.maps import StoredMap, read_map
from vloc_ros.ros import initialpose
from vloc_ros.ros.camera_input import CameraInput
from vloc_ros.ros.conversions import header, to_stamp_ns
from vloc_ros.ros.diagnostics import Statistics, diagnostic, to_message
from vloc_ros.ros.foreign_maps import WHERE, ForeignMaps
from vloc_ros.ros.map_topic import MapTopic
from vloc_ros.ros.memory import give_back
from vloc_ros.ros.node import LATCHED, VlocNode, resolve_map
from vloc_ros.ros.parameters import RelocalizerParameters
from vloc_ros.ros.relocalization import Relocalization
from vloc_ros.ros.tf_frames import TransformReceiver
from vloc_ros.ros.triggers import Answer, Triggers
from vloc_ros.ros.worker import NewestWins
from vloc_ros.tracking.status import ImageReport, Refusal

STEADY = ClockType.STEADY_TIME  # goes on when the simulation is paused
TRIGGER_TIMEOUT_S = 5.0


class Relocalizer(VlocNode[RelocalizerParameters]):
    """Images, camera info, TF and a map in; pose, transform and status out.

    The executor only receives and answers. Maps are opened in one thread and images localized in another: what an
    image goes through is in `relocalization.py`.
    """

    def __init__(self) -> None:
        super().__init__("relocalizer", RelocalizerParameters)
        self._wanted_map: StoredMap | None = None  # read by the check of a parameter that is about to be set
        self._transforms = TransformReceiver(self)
        self._lifetime.callback(self._transforms.close)
        self._triggers = Triggers()
        # For as long as the node lives: who waits gets an answer even when the node has been deactivated. In a group of
        # its own, for an image must be able to arrive meanwhile.
        self.create_service(Trigger, "~/trigger", self._on_trigger, callback_group=ReentrantCallbackGroup())

    def configure(self, scope: ExitStack) -> None:
        scope.callback(give_back)  # last of all
        self._image: ImageReport | None = None
        self._statistics = Statistics()
        buffer = Buffer()
        scope.enter_context(self._transforms.filling(buffer))
        self._status = self.create_publisher(DiagnosticStatus, "~/status", LATCHED)
        scope.callback(self.destroy_publisher, self._status)
        self._relocalization = Relocalization(self, buffer, scope)
        scope.callback(self._relocalization.close)
        self._loader = NewestWins("map loader", self._open, partial(self.faults.add, "map loader"))
        scope.callback(self._loader.close)
        self._foreign_maps = ForeignMaps(expected=not self.parameters.map)
        scope.callback(self._foreign_maps.close)  # before the loader, which may be waiting for it
        if self.parameters.map:
            self._relocalization.use(read_map(resolve_map(self.parameters.map)), self.parameters.map)
        take_hint = self._relocalization.take_hint
        hints = self.create_subscription(PoseWithCovarianceStamped, initialpose.TOPIC, take_hint, initialpose.QOS)
        scope.callback(self.destroy_subscription, hints)
        self._map_topic = MapTopic(self, scope, self._loader.put, self._log_kept_map)
        if not self.parameters.map:
            self._map_topic.listen()
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True)
        jumped = self.faults.around("clock jump", self._on_clock_jump)
        jumps = self.get_clock().create_jump_callback(threshold, post_callback=jumped)
        scope.callback(jumps.unregister)
        self._publish_status()

    def activate(self, scope: ExitStack) -> None:
        self._relocalization.recover()
        self._worker = NewestWins("localizer", self._localize, partial(self.faults.add, "localizer"))
        scope.callback(self._triggers.answer_all, Answer(False, "the node was deactivated"))
        scope.callback(self._worker.close)
        self._rate = RateLimit()
        CameraInput(self, scope, self._on_image, self._relocalization.add_camera_info)
        for service in (
            self.create_service(SetBool, "~/set_enabled", self._on_set_enabled),
            self.create_service(Empty, "~/reinitialize_global_localization", self._on_reinitialize),
        ):
            scope.callback(self.destroy_service, service)
        for timer in (
            self.create_timer(1 / self.parameters.tf_publish_rate, self._relocalization.broadcast_drift),
            self.create_timer(1.0, self._report, clock=Clock(clock_type=STEADY)),
        ):
            scope.callback(self.destroy_timer, timer)

    def check_parameters(self, wanted: RelocalizerParameters) -> None:
        changed = wanted.map and wanted.map != self.parameters.map
        self._wanted_map = read_map(resolve_map(wanted.map)) if changed else None

    def apply_parameters(self, old: RelocalizerParameters) -> None:
        if self._wanted_map is not None:
            self._loader.put((self._wanted_map, self.parameters.map))
            self._wanted_map = None
        if self.parameters.map:
            self._map_topic.stop()
        elif old.map or old.max_map_mb != self.parameters.max_map_mb:
            self._map_topic.listen()

    def _open(self, received: tuple[StoredMap, str] | UInt8MultiArray) -> None:
        """In the loader's thread: check a map and use it, or say what is wrong with it and keep the one before."""
        try:
            if isinstance(received, tuple):
                stored, where = received
            else:
                stored, where = self._foreign_maps.read(received, self.parameters), WHERE
            self._relocalization.use(stored, where)
        except VlocError as error:
            self._log_kept_map(error)

    def _log_kept_map(self, error: VlocError) -> None:
        kept = self._relocalization.map_id
        self.get_logger().error(f"{error}; {f'still using map {kept}' if kept else 'there is no other map'}")

    def _on_image(self, message: Image | CompressedImage) -> None:
        is_due = self._rate.lets_through(self._now_ns(), self.parameters.max_rate_hz)
        if self._triggers or (self.parameters.enabled and is_due):
            self._worker.put(message)

    def _localize(self, message: Image | CompressedImage) -> None:
        """In the worker's thread."""
        if not self._triggers.take() and not self.parameters.enabled:
            return  # whom it was for has given up meanwhile
        self._image = image = self._report_of(message)
        self._triggers.answer_taken(Answer(image.refusal is None, image.summary))
        self._statistics.add(self._now_ns(), image)
        self._publish_status()
        if self._relocalization.failure and self.executor:
            self.executor.create_task(self._stop_after_failure)

    def _report_of(self, message: Image | CompressedImage) -> ImageReport:
        try:
            return self._relocalization.localize(message)
        except Exception as error:
            stamp_ns = to_stamp_ns(message.header.stamp)
            refusal = Refusal(RejectionReason.INTERNAL_ERROR, self.faults.add("image", error))
            return ImageReport.of(stamp_ns, (self._now_ns() - stamp_ns) * 1e-6, None, refusal)

    def _stop_after_failure(self) -> None:
        """A GPU that is gone does not come back by trying again with every image: whoever activates the node again
        decides when to."""
        if self._relocalization.failure and self.is_active:
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
        self._relocalization.reset("reinitialize_global_localization was called")
        return response

    def _on_clock_jump(self, jump: TimeJump) -> None:
        self._relocalization.reset("the clock jumped back or was changed")

    def _publish_status(self) -> None:
        status = self._relocalization.status(self._image, self._dropped)
        self._status.publish(to_message(status, self.get_fully_qualified_name()))

    def _report(self) -> None:
        """Once a second: diagnostics, and the status again, should the robot have become lost without an image."""
        self._publish_status()
        status, now_ns = self._relocalization.status(None, self._dropped), self._now_ns()
        values = {
            "state": status.state.value,
            "map_id": status.map_id,
            "map_frame": status.map_frame,
            **self._statistics.values(now_ns),
            "dropped": status.dropped,
            "backend": self._relocalization.backend,
            "faults": self.faults.count,
            "last_fault": self.faults.last,
        }
        diagnosis = diagnostic(self.get_fully_qualified_name(), status.state, status.state.value, values)
        self.diagnostics.publish(DiagnosticArray(header=header(now_ns, ""), status=[diagnosis]))

    @property
    def _dropped(self) -> int:
        worker = getattr(self, "_worker", None)  # none before the first activation
        return worker.dropped if worker else 0

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)
