"""For tests: a relocalizer whose context is shut down as a signal does it, and whose executor is not woken by that."""

import sys
import threading
import time

import rclpy

from vloc_ros.ros.programs import relocalizer


def shut_down() -> None:
    while not rclpy.ok():
        time.sleep(0.01)
    time.sleep(2.0)  # until nothing is left to be done
    rclpy.get_default_context().handle.shutdown()


if __name__ == "__main__":
    threading.Thread(target=shut_down, daemon=True).start()
    sys.exit(relocalizer(sys.argv))
