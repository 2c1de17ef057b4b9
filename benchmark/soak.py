"""Runs both nodes for a long time and watches their memory, their messages and their logs.

python benchmark/soak.py --minutes 30 --rate 10

A robot drives to and fro in the synthetic room, with images, odometry and TF, as in `vloc demo`.
"""

import argparse
import os
import re
import threading
import time
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from results import Results, add_json

from vloc_ros.datasets import Dataset, open_dataset
from vloc_ros.datasets.drive import OdometryDrift, plan_drive, robot_extrinsics
from vloc_ros.datasets.subset import WithoutDepth
from vloc_ros.datasets.types import Frame
from vloc_ros.demo.player import DrivePlayer
from vloc_ros.demo.run import demonstrate
from vloc_ros.demo.score import SHIPPED_MAP
from vloc_ros.shipped import shipped

NODES = ("map_server", "relocalizer")
SAMPLE_S = 10.0
WARM_UP_S = 60.0  # caches fill
TROUBLE = re.compile(r"Traceback|\[ERROR\]|\[FATAL\]")


class ToAndFro(WithoutDepth):
    """Frames with names by their place; an image is made once."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{k:07d}" for k in range(len(self)))

    @cached_property
    def _made(self) -> Callable[[int], Frame]:
        return cache(self.parent.frame)

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        return self._made(self.indices[index])


def to_and_fro(frames: Dataset, length: int) -> ToAndFro:
    """A data set walked to its end and back again, `length` frames in all."""
    last = len(frames) - 1
    return ToAndFro(frames, [last - abs(last - index % (2 * last)) for index in range(length)])


class Memory(threading.Thread):
    """Samples the resident memory of the nodes, children of this process."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.samples_mb: dict[str, list[tuple[float, float]]] = {node: [] for node in NODES}

    def run(self) -> None:
        started_s = time.monotonic()
        while True:
            time.sleep(SAMPLE_S)
            for node, pid in children().items():
                resident = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
                if resident is not None:
                    self.samples_mb[node].append((time.monotonic() - started_s, float(resident[1]) / 1e3))


def children() -> dict[str, int]:
    """Process ids of the nodes that this process started."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue  # gone
        for node in NODES:
            if parent == os.getpid() and node.encode() in words:
                found[node] = int(entry.name)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--out", type=Path, default=Path("out"))
    add_json(parser)
    options = parser.parse_args()
    room = open_dataset("synthetic_room", None, "drive")
    dataset = to_and_fro(room, round(options.minutes * 60 * options.rate))
    drive = plan_drive(dataset, robot_extrinsics(), drift=OdometryDrift(distance=0.01, turn=0.01, pull_deg_per_m=0.5))
    memory = Memory()
    memory.start()
    demonstrate(
        shipped("maps/demo_room"),
        lambda node: DrivePlayer(node, dataset, drive, options.rate),
        SHIPPED_MAP,
        options.out,
    )
    columns = {
        "node": "{node}",
        "resident memory at the start": "{first_mb:.1f} MB",
        "at the end": "{last_mb:.1f} MB",
        "growth": "{growth_percent:.2f} %",
        "errors or tracebacks in the log": "{errors}",
    }
    images = f"{len(dataset):,} images in {options.minutes:g} minutes"
    results = Results(f"Data: the synthetic room, {images}", columns)
    for node in NODES:
        settled = [mb for at_s, mb in memory.samples_mb[node] if at_s > WARM_UP_S]
        first, last = float(np.mean(settled[:6])), float(np.mean(settled[-6:]))
        troubles = len(TROUBLE.findall((options.out / f"{node}.log").read_text()))
        growth = 100 * (last / first - 1)
        results.add(node=node, first_mb=first, last_mb=last, growth_percent=growth, errors=troubles)
    results.write(options.json)


if __name__ == "__main__":
    main()
