"""Processor time of the relocalizer on a drive during which the robot stands half of the time, by its settings.

python benchmark/cpu_share.py --map maps/demo_room --rate 10

The same drive in the rendered room, over DDS, with odometry that drifts, once with each setting: it drives --steps
images and stands as many, in turn. `of a core` is the processor time of the relocalizer's process, all of its threads,
over the time that passed.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from inputs import plain_parser
from results import Results

from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.drive import plan_drive, robot_extrinsics
from vloc_ros.datasets.subset import Subset
from vloc_ros.demo.answers import Answer, Played
from vloc_ros.demo.listener import Listener
from vloc_ros.demo.player import DrivePlayer
from vloc_ros.demo.processes import Program, isolate
from vloc_ros.demo.run import spinning_node
from vloc_ros.demo.score import score
from vloc_ros.maps import read_map
from vloc_ros.ros.programs import as_arguments

SETTINGS: dict[str, dict[str, Any]] = {
    "every image by the networks": {"global_every": 1},
    "as it comes": {},
    "rate: adaptive": {"rate": "adaptive"},
    "every image by the networks, rate: adaptive": {"global_every": 1, "rate": "adaptive"},
}
COLUMNS = {
    "setting": "{name}",
    "of a core": "{share_percent:.0f} %",
    "over the first": "{ratio:.2f}",
    "driving": "{driving_percent:.0f} %",
    "standing": "{standing_percent:.0f} %",
    "images localized: driving": "{driving}",
    "standing ": "{standing}",
    "error of map -> base_link, p50 / p95": "{p50_cm:.2f} / {p95_cm:.2f} cm",
}


@dataclass(frozen=True)
class Step:
    """What one image cost: processor seconds and seconds until the next one."""

    stands: bool
    cpu_s: float
    elapsed_s: float


def main() -> None:
    parser = plain_parser(__doc__)
    parser.add_argument("--map", type=Path, default=Path("maps/demo_room"))
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--steps", type=int, default=50)
    options = parser.parse_args()
    read_map(options.map)  # whoever waits for a map that is none waits forever
    isolate()
    room = open_dataset("synthetic_room", None, "drive")
    indices, stands = standing_half(len(room), options.steps)
    data = f"Data: {len(indices)} images of synthetic_room, split drive, at {options.rate:g} a second; map "
    results = Results(data + options.map.name, COLUMNS)
    base_percent = 0.0
    with ExitStack() as scope:
        logs = Path(scope.enter_context(tempfile.TemporaryDirectory()))
        frames = Subset(room, indices)
        for name, parameters in SETTINGS.items():
            steps, answers = driven(frames, stands, parameters, logs, options)
            figures = figures_of(steps, answers)
            base_percent = base_percent or figures["share_percent"]
            results.add(name=name, ratio=figures["share_percent"] / base_percent, **figures)
    results.write(options.json)


def standing_half(count: int, steps: int) -> tuple[list[int], list[bool]]:
    """Rows of frames, and where the robot stands: after so many steps as long as that."""
    indices, stands = list[int](), list[bool]()
    for start in range(0, count, steps):
        way = list(range(start, min(start + steps, count)))
        indices += [*way, *[way[-1]] * len(way)]
        stands += [False] * len(way) + [True] * len(way)
    return indices, stands


def driven(
    frames: Subset, stands: Sequence[bool], parameters: dict[str, Any], logs: Path, options: argparse.Namespace
) -> tuple[list[Step], list[tuple[bool, Answer]]]:
    """Play the drive to a relocalizer with these parameters."""
    with ExitStack() as scope:
        node = spinning_node(scope, "cpu_share")
        player = DrivePlayer(node, frames, plan_drive(frames, robot_extrinsics()), options.rate)
        scope.callback(player.close)
        player.prepare(lambda count: None)
        listener = Listener(node, player.base_frame, ())
        arguments = as_arguments({**parameters, "map": options.map.resolve(), "threads": 1})
        program = Program("relocalizer", arguments, logs / "relocalizer.log")
        scope.callback(program.stop)
        for _ in player.stand():
            program.check()
            if player.may_start(listener):
                break
        played, at = list[Played](), list[tuple[float, float]]()
        for image in player.play():
            if played:
                listener.look_up(played[-1].stamp_ns)
            played.append(image)
            at.append((cpu_s(program), time.monotonic()))
        time.sleep(1.0)
        listener.look_up(played[-1].stamp_ns)
        answers = [listener.answer(image) for image in played]
    took = np.diff(at, axis=0)
    steps = [Step(stand, *each) for stand, each in zip(stands, took.tolist(), strict=False)]
    return steps, list(zip(stands, answers, strict=True))


def cpu_s(program: Program) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def figures_of(steps: Sequence[Step], answers: Sequence[tuple[bool, Answer]]) -> dict[str, Any]:
    def percent(chosen: Sequence[Step]) -> float:
        return 100 * sum(step.cpu_s for step in chosen) / sum(step.elapsed_s for step in chosen)

    found = score([answer for _, answer in answers], None).map_to_base
    assert found is not None
    return {
        "share_percent": percent(steps),
        "driving_percent": percent([step for step in steps if not step.stands]),
        "standing_percent": percent([step for step in steps if step.stands]),
        "driving": sum(answer.pose is not None for stand, answer in answers if not stand),
        "standing": sum(answer.pose is not None for stand, answer in answers if stand),
        "p50_cm": 100 * found.metres.p50,
        "p95_cm": 100 * found.metres.p95,
    }


if __name__ == "__main__":
    main()
