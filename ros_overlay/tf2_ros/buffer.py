"""The buffer of a node: look-ups that wait, and a clear when time jumps back."""

import time as system_time
from collections.abc import Callable

from geometry_msgs.msg import TransformStamped
from rclpy.clock import Clock, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.time import Time

from tf2_ros.buffer_core import BufferCore
from tf2_ros.buffer_interface import BufferInterface

NO_WAIT = Duration()
POLL_SECONDS = 0.02  # as upstream waits, so that latencies are the same


class Buffer(BufferCore, BufferInterface):
    """Transforms of the last `cache_time`, 10 s by default, cleared when the clock of `node` jumps back."""

    def __init__(self, cache_time: Duration | None = None, node: Node | None = None) -> None:
        super().__init__(cache_time)
        self.clock = node.get_clock() if node is not None else Clock()
        back_by_a_second = JumpThreshold(min_forward=None, min_backward=Duration(seconds=-1), on_clock_change=True)
        self.jump_handle = self.clock.create_jump_callback(back_by_a_second, post_callback=self.time_jump_callback)

    def time_jump_callback(self, time_jump: TimeJump) -> None:
        get_logger("tf2_buffer").warning("Detected jump back in time. Clearing tf buffer.")
        self.clear()

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration = NO_WAIT
    ) -> TransformStamped:
        """The transform that takes points of the source frame to the target frame; the latest for a time of 0.

        Waits for it until `timeout`, by the machine's clock. Raises TransformException.
        """
        self.can_transform(target_frame, source_frame, time, timeout)
        return self.lookup_transform_core(target_frame, source_frame, time)

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
    ) -> TransformStamped:
        """The same between two times, through a frame that is fixed between them."""
        frames_and_times = (target_frame, target_time, source_frame, source_time, fixed_frame)
        _wait(lambda: self.can_transform_full_core(*frames_and_times), timeout)
        return self.lookup_transform_full_core(*frames_and_times)

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time,
        timeout: Duration = NO_WAIT,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Whether `lookup_transform` would give a result; with `return_debug_tuple`, also why not."""
        possible, why = _wait(lambda: self.can_transform_core(target_frame, source_frame, time), timeout)
        return (possible, why) if return_debug_tuple else possible


def _wait(ask: Callable[[], tuple[bool, str]], timeout: Duration) -> tuple[bool, str]:
    """The answer, as soon as it is yes, and at the latest when the time is over."""
    deadline = system_time.monotonic() + timeout.nanoseconds * 1e-9
    while not (answer := ask())[0] and system_time.monotonic() < deadline:
        system_time.sleep(POLL_SECONDS)
    return answer
