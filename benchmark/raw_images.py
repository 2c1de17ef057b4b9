"""Raw images at the rate of a camera for minutes: what gets lost on the way, what the node has no time for, and memory.

python benchmark/raw_images.py --minutes 10 --rate 30

A process publishes rendered 640x480 images with their camera_info over Fast DDS with `config/fastdds.xml`, best effort
as cameras do, of the demo's drive to and fro: 0.39 m and 24 degrees a second, at 30 a second. An image is lost on the
way if the node neither localized it nor left it out for a newer one, because it was still at work.
"""

import argparse
import re
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from inputs import plain_parser
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from results import Results
from sensor_msgs.msg import CameraInfo, Image
from tf_now import spinning

from vloc_ros.datasets.synthetic_room import open_synthetic_room
from vloc_ros.demo.player import ticks, to_camera_info
from vloc_ros.demo.processes import Program, isolate
from vloc_ros.ros.conversions import header, to_image, to_stamp_ns
from vloc_ros.ros.programs import as_arguments

IMAGES = 60  # rendered, and shown to and fro
LAP = 450  # images of the whole drive, 15 s at 30 a second
WARM_UP_S = 60.0  # caches fill
SAMPLE_S = 5.0
PARAMETERS = {"tf_mode": "map_to_camera", "max_jump_m": 1e6, "max_jump_deg": 180.0}  # every pose is published
COLUMNS = {
    "images published": "{published:,}",
    "lost on the way": "{lost:,}",
    "left out for a newer one": "{dropped:,}",
    "localized": "{localized:,}",
    "stamp to pose, p50 / p95": "{p50_ms:.0f} / {p95_ms:.0f} ms",
    "resident memory after each minute": "{by_minute}",
    "growth": "{growth_percent:.2f} %",
}


class Camera(Node):
    """Publishes images as a driver does, and hears what becomes of them."""

    def __init__(self) -> None:
        super().__init__("camera")
        room = open_synthetic_room(None, "drive")
        room = replace(room, poses=room.plan.drive.poses(LAP)[:IMAGES])
        there = [room.frame(k).image for k in range(IMAGES)]
        self._images = there + there[-2:0:-1]
        self._messages = [to_image(header(0, "camera"), image.rgb) for image in self._images]
        self._image = self.create_publisher(Image, "image", qos_profile_sensor_data)
        self._info = self.create_publisher(CameraInfo, "camera_info", qos_profile_sensor_data)
        self.published = 0
        self.latencies_ms: list[float] = []
        self.counts: Mapping[str, str] = {}  # the relocalizer's diagnostics
        self.create_subscription(PoseStamped, "relocalizer/camera_pose", self._on_pose, 100)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def publish(self) -> None:
        """The next image, as of now."""
        at = self.published % len(self._messages)
        message, info = self._messages[at], to_camera_info(self._images[at].camera)
        message.header = info.header = header(int(self.get_clock().now().nanoseconds), "camera")
        self._info.publish(info)
        self._image.publish(message)
        self.published += 1

    def count(self, name: str) -> int:
        """Of the diagnostics."""
        return int(self.counts.get(name, 0))

    def _on_pose(self, message: PoseStamped) -> None:
        now_ns = self.get_clock().now().nanoseconds
        self.latencies_ms.append((now_ns - to_stamp_ns(message.header.stamp)) * 1e-6)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.endswith("relocalizer"):
                self.counts = {pair.key: pair.value for pair in status.values}


def resident_mb(program: Program) -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{program.pid}/status").read_text())
    assert found is not None
    return float(found[1]) / 1e3


def measured(camera: Camera, relocalizer: Program, options: argparse.Namespace) -> dict[str, float | str]:
    """Publish for `minutes` and count."""
    while not camera.latencies_ms:  # until the first pose
        camera.publish()
        time.sleep(0.5)
    time.sleep(2.0)
    begun = {name: camera.count(name) for name in ("images", "dropped")}
    camera.latencies_ms.clear()
    camera.published, started_s, samples = 0, time.monotonic(), list[tuple[float, float]]()
    for _ in ticks(options.rate):
        if (elapsed_s := time.monotonic() - started_s) > 60 * options.minutes:
            break
        camera.publish()
        if not samples or elapsed_s - samples[-1][0] > SAMPLE_S:
            samples.append((elapsed_s, resident_mb(relocalizer)))
    time.sleep(3.0)
    counted = {name: camera.count(name) - begun[name] for name in begun}
    settled = [mb for at_s, mb in samples if at_s > WARM_UP_S] or [mb for _, mb in samples]
    first, last = float(np.mean(settled[:6])), float(np.mean(settled[-6:]))
    minutes = [mb for (at_s, mb), (later_s, _) in pairwise(samples) if at_s // 60 < later_s // 60]
    p50, p95 = np.percentile(camera.latencies_ms, (50, 95))
    return {
        "published": camera.published,
        "lost": camera.published - sum(counted.values()),
        "dropped": counted["dropped"],
        "localized": counted["images"],
        "p50_ms": float(p50),
        "p95_ms": float(p95),
        "by_minute": ", ".join(f"{mb:.0f}" for mb in [*minutes, last]) + " MB",
        "growth_percent": 100 * (last / first - 1),
    }


def main() -> None:
    parser = plain_parser(__doc__)
    parser.add_argument("--map", type=Path, default=Path("maps/demo_room"))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=30.0, help="images a second (default: %(default)g)")
    options = parser.parse_args()
    isolate()
    often = f"{options.rate:g} a second for {options.minutes:g} minutes"
    results = Results(f"Data: raw 640x480 images of the synthetic room, {often}", COLUMNS)
    with ExitStack() as scope:
        logs = Path(scope.enter_context(tempfile.TemporaryDirectory()))
        parameters = {**PARAMETERS, "map": options.map.resolve(), "threads": 1}
        relocalizer = Program("relocalizer", as_arguments(parameters), logs / "relocalizer.log")
        scope.callback(relocalizer.stop)
        rclpy.init()
        scope.callback(rclpy.try_shutdown)
        camera = Camera()
        scope.enter_context(spinning(camera))  # answers are heard when they come, and not between two images
        results.add(**measured(camera, relocalizer, options))
        results.write(options.json)


if __name__ == "__main__":
    main()
