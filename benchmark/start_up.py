"""How long the relocalizer takes from the start of its process to its first fix, the map server running and images
coming at 10 Hz: with no compiled code from earlier starts (cold), and with it (warm).

python benchmark/start_up.py [--starts 3] [--map maps/demo_room] [--code FOLDER ...]

`--code`: check-outs to compare, started in turn; by default the one that this file is in. Only topics are looked at, so
that they may be of different ages. The stages overlap: each is said in seconds since the start.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

from vloc_ros.datasets import open_dataset
from vloc_ros.ros.conversions import header, to_image
from vloc_ros.ros.demo.player import to_camera_info
from vloc_ros.ros.demo.processes import isolate
from vloc_ros.ros.node import LATCHED

ROOT = Path(__file__).resolve().parents[1]
RATE_HZ = 10.0
TIMEOUT_S = 180.0
STAGES = ("node", "map", "fix")  # its first status; one that names a map; its first pose


@dataclass(frozen=True)
class Start:
    """Seconds since the start of the process, by stage, and the processor time that it had used up at the end."""

    seconds: dict[str, float]
    processor_s: float


class Camera(Node):
    """Publishes one image again and again, and notes when the relocalizer says what."""

    def __init__(self) -> None:
        super().__init__("start_up")
        image = open_dataset("synthetic_room", None, "small").frame(0).image
        self._image, self._info = to_image(header(0, "camera"), image.rgb), to_camera_info(image.camera)
        self._images = self.create_publisher(Image, "image", qos_profile_sensor_data)
        self._infos = self.create_publisher(CameraInfo, "camera_info", qos_profile_sensor_data)
        self.create_subscription(DiagnosticStatus, "relocalizer/status", self._on_status, LATCHED)
        self.create_subscription(PoseStamped, "relocalizer/camera_pose", lambda _: self._reached("fix"), 10)
        self.create_timer(1 / RATE_HZ, self._publish)
        self.begin()

    def begin(self) -> None:
        """A process starts now."""
        self.seconds: dict[str, float] = {}
        self.is_fixed = Event()
        self._began_s = time.monotonic()

    def _publish(self) -> None:
        self._image.header = self._info.header = header(int(self.get_clock().now().nanoseconds), "camera")
        self._infos.publish(self._info)
        self._images.publish(self._image)

    def _on_status(self, message: DiagnosticStatus) -> None:
        self._reached("node")
        if any(pair.key == "map_id" and pair.value for pair in message.values):
            self._reached("map")

    def _reached(self, stage: str) -> None:
        self.seconds.setdefault(stage, time.monotonic() - self._began_s)
        if stage == "fix":
            self.is_fixed.set()


@contextmanager
def program(code: Path, name: str, parameters: dict[str, object], cache: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A node of a check-out, in a process of its own."""
    given = [word for key, value in parameters.items() for word in ("-p", f"{key}:={value}")]
    command = [sys.executable, "-m", "vloc_ros.ros.programs", name, "--ros-args", *given]
    path = os.pathsep.join(str(folder) for folder in (code, code / "ros_overlay"))
    environment = {**os.environ, "PYTHONPATH": path, "NUMBA_CACHE_DIR": str(cache)}
    process = subprocess.Popen(command, env=environment, cwd=code, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def processor_s(pid: int) -> float:
    """Processor time that a process has used up."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(camera: Camera, code: Path, cache: Path) -> Start:
    """One start. Raises TimeoutError when no fix comes."""
    with program(code, "relocalizer", {"tf_mode": "map_to_camera", "threads": 1}, cache) as process:
        camera.begin()
        if not camera.is_fixed.wait(TIMEOUT_S):
            raise TimeoutError(f"{code}: no fix within {TIMEOUT_S:g} s")
        return Start(camera.seconds, processor_s(process.pid))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=3, help="of each kind")
    parser.add_argument("--map", type=Path, default=ROOT / "maps" / "demo_room", help="map directory")
    parser.add_argument("--code", type=Path, nargs="+", default=[ROOT], help="check-outs to compare")
    options = parser.parse_args()
    isolate()
    rclpy.init()
    camera, executor = Camera(), SingleThreadedExecutor()
    executor.add_node(camera)
    Thread(target=executor.spin, daemon=True).start()
    starts: dict[tuple[Path, str], list[Start]] = {}
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        with program(ROOT, "map_server", {"map": options.map.resolve()}, cache / "server"):
            for number in range(options.starts):
                for index, code in enumerate(options.code):
                    for kind in ("cold", "warm"):  # with what the cold one has just kept
                        start = measured(camera, code.resolve(), cache / f"{index}_{number}")
                        starts.setdefault((code, kind), []).append(start)
    report(starts)
    executor.shutdown()
    rclpy.try_shutdown()


def report(starts: dict[tuple[Path, str], list[Start]]) -> None:
    print(
        f"medians of {len(next(iter(starts.values())))} starts; seconds since the start of the process until its first"
    )
    print(f"{'':40s} {'':5s}" + "".join(f"{stage:>8s}" for stage in STAGES) + "   (min to max)   processor time")
    for (code, kind), of_kind in starts.items():
        times = np.array([[start.seconds.get(stage, np.nan) for stage in STAGES] for start in of_kind])
        used = np.median([start.processor_s for start in of_kind])
        medians = "".join(f"{value:8.2f}" for value in np.median(times, axis=0))
        print(f"{code!s:40s} {kind:5s}{medians}   ({times[:, -1].min():.2f} to {times[:, -1].max():.2f})   {used:.2f}")


if __name__ == "__main__":
    main()
