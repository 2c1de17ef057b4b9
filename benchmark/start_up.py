"""How long the relocalizer takes from the start of its process to its first fix, a map server running and images
coming at 10 Hz: with no compiled code from earlier starts (cold), and with it (warm); and the time of its parts alone.

python benchmark/start_up.py [--starts 3] [--map maps/demo_room] [--code FOLDER ...]

`--code`: check-outs to compare, started in turn; by default the one that this file is in. Only topics are looked at, so
that they may be of different ages. On a machine that is busy with other things, processor times say more than seconds.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
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
from results import Results, add_json
from sensor_msgs.msg import CameraInfo, Image

from vloc_ros.datasets import open_dataset
from vloc_ros.demo.player import to_camera_info
from vloc_ros.demo.processes import Program, isolate
from vloc_ros.ros.conversions import header, to_image
from vloc_ros.ros.node import LATCHED
from vloc_ros.ros.programs import as_arguments

ROOT = Path(__file__).resolve().parents[1]
RATE_HZ = 10.0
TIMEOUT_S = 180.0
# A map is checked within so many seconds even on a machine that does much else; older nodes do not know the last one.
PARAMETERS = {"tf_mode": "map_to_camera", "threads": 1, "map_check_timeout": TIMEOUT_S}
# What a start consists of, one after the other in one process, as wall and processor times.
PARTS = """
import sys, time
def timed(name, function):
    began = time.perf_counter(), time.process_time()
    result = function()
    print(name, time.perf_counter() - began[0], time.process_time() - began[1])
    return result
timed("imports", lambda: __import__("vloc_ros.ros.relocalizer"))
from vloc_ros.localizer import load_localizer
localizer = timed("map_and_network", lambda: load_localizer(sys.argv[1]))
timed("warm_up", localizer.warm_up)
"""


@dataclass(frozen=True)
class Start:
    """Seconds since the start of the process until its first status and its first pose, processor time until then, and
    (wall, processor) seconds of the parts."""

    node_s: float
    fix_s: float
    processor_s: float
    parts: dict[str, tuple[float, float]]


class Camera(Node):
    """Publishes one image again and again, and notes when the relocalizer says what."""

    def __init__(self) -> None:
        super().__init__("start_up")
        image = open_dataset("synthetic_room", None, "small").frame(0).image
        self._image, self._info = to_image(header(0, "camera"), image.rgb), to_camera_info(image.camera)
        self._images = self.create_publisher(Image, "image", qos_profile_sensor_data)
        self._infos = self.create_publisher(CameraInfo, "camera_info", qos_profile_sensor_data)
        self.create_subscription(DiagnosticStatus, "relocalizer/status", lambda _: self._reached("node"), LATCHED)
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

    def _reached(self, stage: str) -> None:
        self.seconds.setdefault(stage, time.monotonic() - self._began_s)
        if stage == "fix":
            self.is_fixed.set()


def environment_of(code: Path, cache: Path) -> dict[str, str]:
    path = os.pathsep.join(str(folder) for folder in (code, code / "ros_overlay"))
    return {**os.environ, "PYTHONPATH": path, "NUMBA_CACHE_DIR": str(cache), "OMP_NUM_THREADS": "1"}


@contextmanager
def program(code: Path, name: str, parameters: Mapping[str, object], cache: Path) -> Iterator[Program]:
    """A node of a check-out, in a process of its own."""
    node = Program(name, as_arguments(parameters), cache / f"{name}.log", environment_of(code, cache))
    try:
        yield node
    finally:
        node.kill()


def parts(code: Path, cache: Path, map_dir: Path) -> dict[str, tuple[float, float]]:
    """(wall, processor) seconds of each of PARTS."""
    command = [sys.executable, "-c", PARTS, str(map_dir)]
    result = subprocess.run(
        command, env=environment_of(code, cache), cwd=code, stdout=subprocess.PIPE, text=True, check=True
    )
    rows = [line.split() for line in result.stdout.splitlines()]
    return {name: (float(wall), float(processor)) for name, wall, processor in rows}


def processor_s(pid: int) -> float:
    """Processor time that a process has used up."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(camera: Camera, code: Path, caches: tuple[Path, Path], map_dir: Path) -> Start:
    """One start, and its parts, which have a cache of their own. Raises TimeoutError when no fix comes."""
    with program(code, "relocalizer", PARAMETERS, caches[0]) as process:
        camera.begin()
        if not camera.is_fixed.wait(TIMEOUT_S):
            raise TimeoutError(f"{code}: no fix within {TIMEOUT_S:g} s")
        used_s = processor_s(process.pid)
    return Start(camera.seconds["node"], camera.seconds["fix"], used_s, parts(code, caches[1], map_dir))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=3, help="of each kind")
    parser.add_argument("--map", type=Path, default=ROOT / "maps" / "demo_room", help="map directory")
    parser.add_argument("--code", type=Path, nargs="+", default=[ROOT], help="check-outs to compare")
    add_json(parser)
    options = parser.parse_args()
    map_dir = options.map.resolve()
    isolate()
    rclpy.init()
    camera, executor = Camera(), SingleThreadedExecutor()
    executor.add_node(camera)
    spinning = Thread(target=executor.spin)
    spinning.start()
    starts: dict[tuple[Path, str], list[Start]] = {}
    with tempfile.TemporaryDirectory() as folder, program(ROOT, "map_server", {"map": map_dir}, Path(folder)):
        try:
            for number in range(options.starts):
                for index, code in enumerate(options.code):
                    caches = Path(folder) / f"{index}_{number}", Path(folder) / f"{index}_{number}_parts"
                    for kind in ("cold", "warm"):  # with what the cold one has just kept
                        start = measured(camera, code.resolve(), caches, map_dir)
                        starts.setdefault((code, kind), []).append(start)
        finally:
            executor.shutdown()
            spinning.join()
            camera.destroy_node()
            rclpy.try_shutdown()
    report(starts, options.json)


def report(starts: dict[tuple[Path, str], list[Start]], path: Path | None) -> None:
    """Medians; of each part, processor time alone."""
    names = list(next(iter(starts.values()))[0].parts)
    columns = {
        "code": "{code}",
        "start": "{start}",
        "first status": "{status_s:.2f} s",
        "first fix, median (least to most)": "{fix_s:.2f} s ({least_s:.2f} to {most_s:.2f})",
        "processor time until then": "{processor_s:.2f} s",
        **{f"of that: {name.replace('_', ' ')}": f"{{{name}_s:.2f}} s" for name in names},
    }
    count = len(next(iter(starts.values())))
    results = Results(f"Data: the synthetic room at 10 Hz, map server running; medians of {count} starts", columns)
    for (code, kind), of_kind in starts.items():
        fixes = [start.fix_s for start in of_kind]
        results.add(
            code=code.resolve().name,
            start=kind,
            status_s=float(np.median([start.node_s for start in of_kind])),
            fix_s=float(np.median(fixes)),
            least_s=min(fixes),
            most_s=max(fixes),
            processor_s=float(np.median([start.processor_s for start in of_kind])),
            **{f"{name}_s": float(np.median([start.parts[name][1] for start in of_kind])) for name in names},
        )
    results.write(path)


if __name__ == "__main__":
    main()
