"""The node that turns camera images into poses."""

import traceback
from collections import deque
from contextlib import ExitStack

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.parameter import Parameter
from rclpy.task import Future
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import UInt8MultiArray
from std_srvs.srv import Empty, SetBool, Trigger
from tf2_ros import Buffer

from vloc_ros.core.rate import RateLimit
from vloc_ros.core.tracking import State
from vloc_ros.errors import VlocError
from vloc_ros.maps import StoredMap, read_map
from vloc_ros.ros import initialpose
from vloc_ros.ros.camera_input import CameraInput
from vloc_ros.ros.conversions import header
from vloc_ros.ros.diagnostics import Statistics, status_message
from vloc_ros.ros.foreign_maps import WHERE, ForeignMaps
from vloc_ros.ros.frames import receiving_transforms
from vloc_ros.ros.node import LATCHED, VlocNode, resolve_map
from vloc_ros.ros.outcome import NOTHING_YET
from vloc_ros.ros.parameters import RelocalizerParameters
from vloc_ros.ros.relocalization import Relocalization
from vloc_ros.ros.worker import NewestWins

STEADY = ClockType.STEADY_TIME  # goes on when the simulation is paused
TRIGGER_TIMEOUT_S = 5.0


class Relocalizer(VlocNode[RelocalizerParameters]):
    """Images, camera info, TF and a map in; pose, transform and status out.

    The executor only receives and answers. Maps are opened in one thread and images localized in another: what an
    image goes through is in `relocalization.py`.
    """

    def __init__(self) -> None:
        super().__init__("relocalizer", RelocalizerParameters)
        self._triggers: deque[Future] = deque()  # calls of ~/trigger that wait for an image
        self._served_map: UInt8MultiArray | None = None  # the last one that the map server sent
        self._wanted_map: StoredMap | None = None  # read by the check of a parameter that is about to be set

    def configure(self, scope: ExitStack) -> None:
        self._outcome, self._statistics = NOTHING_YET, Statistics()
        buffer = Buffer()
        scope.enter_context(receiving_transforms(self, buffer))
        self._status = self.create_publisher(DiagnosticStatus, "~/status", LATCHED)
        scope.callback(self.destroy_publisher, self._status)
        self._diagnostics = self.publisher(scope, DiagnosticArray, "/diagnostics", 10)
        self._relocalization = Relocalization(self, buffer, scope)
        self._loader = NewestWins("map loader", self._open, self._log_defect)
        scope.callback(self._loader.close)
        self._foreign_maps = ForeignMaps(expected=not self.parameters.map)
        scope.callback(self._foreign_maps.close)  # before the loader, which may be waiting for it
        if self.parameters.map:
            self._relocalization.use(read_map(resolve_map(self.parameters.map)), self.parameters.map)
        take_hint = self._relocalization.take_hint
        for subscription in (
            self.create_subscription(UInt8MultiArray, "map/data", self._on_map_data, LATCHED),
            self.create_subscription(PoseWithCovarianceStamped, initialpose.TOPIC, take_hint, initialpose.QOS),
        ):
            scope.callback(self.destroy_subscription, subscription)
        self._publish_status()

    def activate(self, scope: ExitStack) -> None:
        self._relocalization.recover()
        self._worker = NewestWins("localizer", self._localize, self._log_defect)
        scope.callback(self._worker.close)
        self._rate = RateLimit()
        CameraInput(self, scope, self._on_image, self._relocalization.add_camera_info)
        for service in (
            # In a group of its own: it waits for an image, which must be able to arrive meanwhile.
            self.create_service(Trigger, "~/trigger", self._on_trigger, callback_group=ReentrantCallbackGroup()),
            self.create_service(SetBool, "~/set_enabled", self._on_set_enabled),
            self.create_service(Empty, "~/reinitialize_global_localization", self._on_reinitialize),
        ):
            scope.callback(self.destroy_service, service)
        for timer in (
            self.create_timer(1 / self.parameters.tf_publish_rate, self._relocalization.broadcast_drift),
            self.create_timer(1.0, self._report, clock=Clock(clock_type=STEADY)),
        ):
            scope.callback(self.destroy_timer, timer)
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True)
        jumps = self.get_clock().create_jump_callback(threshold, post_callback=self._on_clock_jump)
        scope.callback(jumps.unregister)

    def check_parameters(self, wanted: RelocalizerParameters) -> None:
        changed = wanted.map and wanted.map != self.parameters.map
        self._wanted_map = read_map(resolve_map(wanted.map)) if changed else None

    def apply_parameters(self, old: RelocalizerParameters) -> None:
        if self._wanted_map is not None:
            self._loader.put((self._wanted_map, self.parameters.map))
        elif old.map and not self.parameters.map and self._served_map is not None:
            self._loader.put(self._served_map)

    def _on_map_data(self, message: UInt8MultiArray) -> None:
        self._served_map = message
        if not self.parameters.map:
            self._loader.put(message)

    def _open(self, received: tuple[StoredMap, str] | UInt8MultiArray) -> None:
        """In the loader's thread: check a map and use it, or say what is wrong with it and keep the one before."""
        try:
            if isinstance(received, tuple):
                stored, where = received
            else:
                stored, where = self._foreign_maps.read(received, self.parameters), WHERE
            self._relocalization.use(stored, where)
        except VlocError as error:
            kept = self._relocalization.map_id
            self.get_logger().error(f"{error}; {f'still using map {kept}' if kept else 'there is no other map'}")

    def _on_image(self, message: Image | CompressedImage) -> None:
        limited = self._rate.lets_through(self._now_ns(), self.parameters.max_rate_hz)
        if self._triggers or (self.parameters.enabled and limited):
            self._worker.put(message)

    def _localize(self, message: Image | CompressedImage) -> None:
        """In the worker's thread."""
        triggers = [self._triggers.popleft() for _ in range(len(self._triggers))]
        self._outcome = self._relocalization.localize(message)
        self._statistics.add(self._now_ns(), self._outcome)
        self._publish_status()
        for trigger in triggers:
            trigger.set_result(self._outcome)
        if self._relocalization.failure and self.executor:
            self.executor.create_task(self._stop_after_failure)

    def _stop_after_failure(self) -> None:
        """A GPU that is gone does not come back by trying again with every image: whoever activates the node again
        decides when to."""
        if self._relocalization.failure and self.is_active:
            self.get_logger().error("deactivating; activate the node again to open the network anew")
            self.trigger_deactivate()

    async def _on_trigger(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Answers with what becomes of the next image; the executor goes on meanwhile."""
        trigger = Future(executor=self.executor)
        give_up = self.create_timer(TRIGGER_TIMEOUT_S, lambda: trigger.set_result(None), clock=Clock(clock_type=STEADY))
        self._triggers.append(trigger)
        outcome = await trigger
        self.destroy_timer(give_up)
        response.success = outcome is not None and not outcome.rejection
        response.message = f"no image within {TRIGGER_TIMEOUT_S:g} s" if outcome is None else outcome.summary
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
        values = {
            **self._relocalization.status_values(),
            **self._outcome.status_values(),
            "dropped": self._dropped,
        }
        state = self._relocalization.state()
        is_news = self._outcome.rejection or state is State.LOCALIZED
        message = f"{state.value}: {self._outcome.summary if is_news else 'no image since the last fix'}"
        self._status.publish(status_message(self.get_fully_qualified_name(), state, message, values))

    def _report(self) -> None:
        """Once a second: diagnostics, and the status again, should the robot have become lost without an image."""
        self._publish_status()
        state, now_ns = self._relocalization.state(), self._now_ns()
        values = {
            **self._relocalization.status_values(),
            **self._statistics.values(now_ns),
            "dropped": self._dropped,
            "backend": self._relocalization.backend,
        }
        status = status_message(self.get_fully_qualified_name(), state, state.value, values)
        self._diagnostics.publish(DiagnosticArray(header=header(now_ns, ""), status=[status]))

    @property
    def _dropped(self) -> int:
        worker = getattr(self, "_worker", None)  # none before the first activation
        return worker.dropped if worker else 0

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _log_defect(self, error: Exception) -> None:
        """What no input should be able to cause: told with its origin, and the node lives on."""
        if not self.context.ok():
            return  # interrupted in the middle of an image: nothing can be published any more
        self.get_logger().error("".join(traceback.format_exception(error)).strip())
