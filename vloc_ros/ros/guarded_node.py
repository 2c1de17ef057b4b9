"""A lifecycle node that outlives whatever it is sent, asked or told."""

from contextlib import suppress
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn

from vloc_ros.errors import printable
from vloc_ros.ros.conversions import header
from vloc_ros.ros.faults import Callback, Faults, refused

TRANSITIONS = {
    Transition.TRANSITION_CONFIGURE: "configure",
    Transition.TRANSITION_CLEANUP: "cleanup",
    Transition.TRANSITION_ACTIVATE: "activate",
    Transition.TRANSITION_DEACTIVATE: "deactivate",
    Transition.TRANSITION_UNCONFIGURED_SHUTDOWN: "shutdown",
    Transition.TRANSITION_INACTIVE_SHUTDOWN: "shutdown",
    Transition.TRANSITION_ACTIVE_SHUTDOWN: "shutdown",
}
# The states in which there is nothing left to do for a transition.
DONE_IN = {
    "configure": ("inactive", "active"),
    "cleanup": ("unconfigured",),
    "activate": ("active",),
    "deactivate": ("inactive",),
    "shutdown": ("finalized",),
}


class GuardedNode(LifecycleNode):
    """Every callback of its subscriptions, services and timers is guarded, those that rclpy makes for itself, too: an
    exception becomes one line in the log, a count in `faults`, a diagnostic, and the refusal of a service.

    So it is in transitions, of which rclpy swallows exceptions; and a transition that is not possible in the present
    state is refused, which ends the process in rclpy 7.1.
    """

    def __init__(self, name: str) -> None:
        self.faults = Faults(self._log_fault, self._report_fault)  # first, for rclpy makes guarded things at once
        self._started_because = ""
        for transition in ("on_configure", "on_cleanup", "on_activate", "on_deactivate", "on_shutdown", "on_error"):
            guarded = self.faults.around(transition, getattr(self, transition), _failed_transition)
            setattr(self, transition, guarded)
        super().__init__(name)
        self.diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._change_state = self._service_change_state.callback
        self._service_change_state.callback = self.faults.around("change_state", self._on_change_state, refused)

    @property
    def state_label(self) -> str:
        """Of the lifecycle: unconfigured, inactive, active or finalized, or a transition's."""
        return str(self._state_machine.current_state[1])

    def explain_start(self, because: str) -> None:
        """Why the node has started without anybody asking, for a lifecycle manager that asks then."""
        self._started_because = f", {because}"

    @property
    def is_simulated(self) -> bool:
        """Whether time is that of /clock."""
        return bool(self.get_clock().ros_time_is_active)

    def now_ns(self) -> int:
        """On the node's clock, that of the simulation if there is one."""
        return int(self.get_clock().now().nanoseconds)

    def create_subscription(self, msg_type: Any, topic: str, callback: Callback, *rest: Any, **options: Any) -> Any:
        """As rclpy's, guarded."""
        guarded = self.faults.around(f"subscription {topic}", callback)
        return super().create_subscription(msg_type, topic, guarded, *rest, **options)

    def create_service(self, srv_type: Any, srv_name: str, callback: Callback, *rest: Any, **options: Any) -> Any:
        """As rclpy's, guarded: a failure is answered with `success: false`."""
        guarded = self.faults.around(f"service {srv_name}", callback, refused)
        return super().create_service(srv_type, srv_name, guarded, *rest, **options)

    def create_timer(self, timer_period_sec: float, callback: Callback, *rest: Any, **options: Any) -> Any:
        """As rclpy's, guarded."""
        guarded = self.faults.around(f"timer {getattr(callback, '__name__', '')}", callback)
        return super().create_timer(timer_period_sec, guarded, *rest, **options)

    def _on_change_state(self, request: ChangeState.Request, response: ChangeState.Response) -> ChangeState.Response:
        asked, state = request.transition, self.state_label
        possible = {int(key): str(label) for key, label, *_ in self._state_machine.available_transitions}
        if asked.label in possible.values() or (not asked.label and asked.id in possible):
            self._started_because = ""
            return self._change_state(request, response)
        label = printable(asked.label or TRANSITIONS.get(asked.id, f"make transition {asked.id}"))
        if state in DONE_IN.get(label, ()):
            self.get_logger().info(f"asked to {label}: the node is {state} already{self._started_because}")
        else:
            choice = " and ".join(sorted(possible.values())) or "nothing"
            self.get_logger().warning(f"asked to {label}: not possible in the state {state}, which allows {choice}")
        response.success = False
        return response

    def _log_fault(self, line: str, origin: str) -> None:
        if not self.context.ok():
            return  # interrupted: what was just being made or published could not be any more
        self.get_logger().error(line)
        self.get_logger().debug(origin.encode(errors="backslashreplace").decode())

    def _report_fault(self, line: str) -> None:
        with suppress(Exception):  # in the middle of the start or of the end there is no publisher
            name = self.get_fully_qualified_name()
            values = {"state": self.state_label, "faults": str(self.faults.count)}
            status = DiagnosticStatus(
                level=DiagnosticStatus.ERROR,
                name=f"{name}: faults",
                message=line,
                values=[KeyValue(key=key, value=value) for key, value in values.items()],
            )
            self.diagnostics.publish(DiagnosticArray(header=header(self.now_ns(), ""), status=[status]))


def _failed_transition(line: str, arguments: tuple[Any, ...]) -> TransitionCallbackReturn:
    return TransitionCallbackReturn.ERROR
