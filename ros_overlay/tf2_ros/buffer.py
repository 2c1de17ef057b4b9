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
from tf2_ros.exceptions import TransformException

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
        get_logger("tf2_buffer").warning("the clock has jumped, the buffer is cleared")
        self.clear()

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration = NO_WAIT
    ) -> TransformStamped:
        """The transform that takes points of the source frame to the target frame; the latest for a time of 0.

        Waits for it until `timeout`, by the machine's clock. Raises TransformException.
        """
        return _wait(lambda: self.lookup_transform_core(target_frame, source_frame, time), timeout)

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
        return _wait(lambda: self.lookup_transform_full_core(*frames_and_times), timeout)

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time,
        timeout: Duration = NO_WAIT,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Whether `lookup_transform` would give a result; with `return_debug_tuple`, also why not."""
        problem = ""
        try:
            self.lookup_transform(target_frame, source_frame, time, timeout)
        except TransformException as error:
            problem = str(error)
        return (not problem, problem) if return_debug_tuple else not problem


def _wait(look_up: Callable[[], TransformStamped], timeout: Duration) -> TransformStamped:
    deadline = system_time.monotonic() + timeout.nanoseconds * 1e-9
    while True:
        try:
            return look_up()
        except TransformException:
            if system_time.monotonic() >= deadline:
                raise
        system_time.sleep(POLL_SECONDS)
