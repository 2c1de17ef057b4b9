"""A node in which everything raises what nobody expects, when it is told to."""

import signal
import sys
import warnings
from contextlib import ExitStack
from dataclasses import dataclass

from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from std_msgs.msg import String
from std_srvs.srv import Trigger

from vloc_ros.ros.node import VlocNode, run
from vloc_ros.ros.parameters import NodeParameters
from vloc_ros.ros.parameters.field import parameter


@dataclass(frozen=True)
class FaultyParameters(NodeParameters):
    """Where to raise."""

    at: str = parameter("", "One of the places below.")


class Faulty(VlocNode[FaultyParameters]):
    """Raises an error with a forged second line."""

    def __init__(self) -> None:
        super().__init__("faulty", FaultyParameters)
        self.create_subscription(String, "topic", lambda message: self.may_raise("subscription"), 10)
        self.create_service(Trigger, "~/plain", self._on_plain)
        self.create_service(Trigger, "~/waits", self._on_waits)
        self.create_timer(0.05, lambda: self.may_raise("timer"))

    def may_raise(self, place: str) -> None:
        if self.parameters.at == "warning":
            warnings.warn("odd\n[FATAL] numbers", RuntimeWarning, stacklevel=1)
        if self.parameters.at == place:
            raise RuntimeError(f"{place}\n[FATAL] all is well \udc80")

    def configure(self, scope: ExitStack) -> None:
        self.may_raise("configure")
        scope.callback(self.may_raise, "cleanup")

    def activate(self, scope: ExitStack) -> None:
        self.may_raise("activate")
        scope.callback(self.may_raise, "deactivate")

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        super().on_shutdown(state)
        self.may_raise("shutdown")
        return TransitionCallbackReturn.SUCCESS

    def check_parameters(self, wanted: FaultyParameters) -> None:
        self.may_raise("check")

    def apply_parameters(self, old: FaultyParameters) -> None:
        self.may_raise("apply")

    def _on_plain(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.may_raise("service")
        response.success = True
        return response

    async def _on_waits(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.may_raise("coroutine")
        response.success = True
        return response


if __name__ == "__main__":
    signal.signal(signal.SIGINT, lambda number, frame: None)  # as vloc_ros/ros/programs.py has it
    sys.exit(run(Faulty, sys.argv, lambda: False))
