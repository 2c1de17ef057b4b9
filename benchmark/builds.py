"""Image stamp to pose of today's relocalizer and of another check-out's, in turn.

python benchmark/builds.py --against CHECKOUT --map maps/demo_room room_pram --rounds 3 --seconds 20

For --seconds each, --rounds times, raw 640x480 images of the rendered room are published at --rate to one relocalizer
and then to the other, with the same parameters: so other load on the machine affects both alike. `answered`: the share
of the images that got a pose; the others were left out for newer ones.
"""

import argparse
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import rclpy
from inputs import plain_parser
from raw_images import PARAMETERS, Camera
from results import ROOT, Results
from tf_now import spinning

from vloc_ros.demo.player import ticks
from vloc_ros.demo.processes import Program, isolate
from vloc_ros.maps import read_map
from vloc_ros.ros.programs import as_arguments

SETTLED_S = 3.0  # after the first pose, until it counts
COLUMNS = {
    "map": "{map}",
    "relocalizer": "{build}",
    "images": "{published:,}",
    "answered": "{answered_percent:.0f} %",
    "stamp to pose, p50 / p95": "{p50_ms:.1f} / {p95_ms:.1f} ms",
    "over the other": "{p50_ratio:.2f} / {p95_ratio:.2f}",
}


def main() -> None:
    parser = plain_parser(__doc__)
    parser.add_argument("--against", type=Path, required=True, help="a check-out of another commit")
    parser.add_argument("--map", nargs="+", type=Path, default=[Path("maps/demo_room")])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=30.0, help="images a second (default: %(default)g)")
    options = parser.parse_args()
    for map_dir in options.map:
        read_map(map_dir)  # whoever waits for a map that is none waits forever
    isolate()
    asked = f"{options.rate:g} a second, {options.rounds} times {options.seconds:g} s"
    results = Results(f"Data: raw 640x480 images of the synthetic room, {asked}", COLUMNS)
    builds = {"today's": ROOT, "the other": options.against.resolve()}
    with ExitStack() as scope:
        logs = Path(scope.enter_context(tempfile.TemporaryDirectory()))
        rclpy.init()
        scope.callback(rclpy.try_shutdown)
        camera = Camera()
        scope.enter_context(spinning(camera))
        for map_dir in options.map:
            found: dict[str, list[tuple[int, np.ndarray]]] = {name: [] for name in builds}
            for number in range(options.rounds):
                for name in sorted(builds, reverse=bool(number % 2)):
                    found[name].append(once(camera, map_dir, builds[name], logs, options))
            told = {name: figures(rounds) for name, rounds in found.items()}
            other = told["the other"]
            ratios = {f"{p}_ratio": told["today's"][f"{p}_ms"] / other[f"{p}_ms"] for p in ("p50", "p95")}
            results.add(map=map_dir.name, build="today's", **told["today's"], **ratios)
            results.add(map=map_dir.name, build="the other", **other)
    results.write(options.json)


def once(
    camera: Camera, map_dir: Path, checkout: Path, logs: Path, options: argparse.Namespace
) -> tuple[int, np.ndarray]:
    """How many images were published, and the latencies of the answers in milliseconds."""
    arguments = as_arguments({**PARAMETERS, "map": map_dir.resolve(), "threads": 1})
    program = Program("relocalizer", arguments, logs / "relocalizer.log", {"PYTHONPATH": str(checkout)})
    try:
        camera.latencies_ms.clear()
        while not camera.latencies_ms:
            program.check()
            camera.publish()
            time.sleep(0.5)
        played(camera, SETTLED_S, options.rate)
        camera.latencies_ms.clear()
        before = camera.published
        played(camera, options.seconds, options.rate)
        published = camera.published - before
        time.sleep(1.0)
        return published, np.array(camera.latencies_ms)
    finally:
        program.stop()


def played(camera: Camera, seconds: float, rate_hz: float) -> None:
    end_s = time.monotonic() + seconds
    for _ in ticks(rate_hz):
        if time.monotonic() > end_s:
            return
        camera.publish()


def figures(rounds: list[tuple[int, np.ndarray]]) -> dict[str, float]:
    """Of all rounds together."""
    latencies, published = np.concatenate([each for _, each in rounds]), sum(count for count, _ in rounds)
    p50, p95 = np.percentile(latencies, (50, 95))
    return {
        "published": published,
        "answered_percent": 100 * len(latencies) / published,
        "p50_ms": float(p50),
        "p95_ms": float(p95),
    }


if __name__ == "__main__":
    main()
