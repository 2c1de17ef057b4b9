"""Runs the nodes for hours on a robot that drives to and fro while faults strike it, and says every minute how it is.

python benchmark/soak.py --minutes 120 --rate 5 --seed 1

The robot drives in the synthetic room, with images, odometry and TF, as in `vloc demo`. Faults are drawn from the seed:
nodes are killed, TF is late, the camera is covered, the map server changes to another map and back, somebody carries
the robot away. Two pairs of map server and relocalizer listen: one is never killed, so that its memory can be followed
from the beginning to the end; the other, in the namespace /killed, is. `OUT/minutes.jsonl` gets a line a minute.
"""

import argparse
import json
import re
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rclpy.node import Node
from results import Results, add_json
from soak_faults import NODES, Fault, Kind, active, begun, drive_indices, plan_faults
from soak_robot import Ears, Nodes, Sensors, troubles

from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.drive import Drive, OdometryDrift, plan_drive, robot_extrinsics
from vloc_ros.datasets.subset import WithoutDepth
from vloc_ros.demo.player import ticks
from vloc_ros.demo.processes import isolate
from vloc_ros.demo.run import spinning_node
from vloc_ros.ros.map_services import load_map_type
from vloc_ros.shipped import shipped

KEPT, KILLED = "", "/killed"  # namespaces
MAPS = tuple(map(shipped, ("maps/demo_room", "maps/demo_floors")))  # both know the room
SAMPLE_S, MINUTE_S = 10.0, 60.0
SETTLED_S, WINDOW_S = 600.0, 600.0  # what comes before the first does not count; at most so long is averaged
MIB = 2**20


@dataclass(frozen=True)
class Sample:
    """Of a process, at a moment of the drive."""

    at_s: float
    resident_mb: float
    threads: int
    descriptors: int


@dataclass
class Soak:
    """The run: what is driven, by whom it is heard, and what was counted."""

    faults: Sequence[Fault]
    sensors: Sensors
    nodes: dict[str, Nodes]
    ears: dict[str, Ears]
    load_map: Any
    samples: dict[str, list[Sample]] = field(default_factory=lambda: {name: [] for name in NODES})
    ended: list[str] = field(default_factory=list)
    struck: Counter[str] = field(default_factory=Counter)
    dead: list[Fault] = field(default_factory=list)
    served: Path = MAPS[0]

    def step(self, step: int, before_s: float, now_s: float) -> None:
        """Publish, and let faults begin and end."""
        late = active(self.faults, Kind.LATE_TF, now_s)
        is_covered = bool(active(self.faults, Kind.COVERED, now_s))
        self.sensors.publish(step, max((fault.late_s for fault in late), default=0.0), is_covered)
        self._serve(MAPS[bool(active(self.faults, Kind.MAP_SWITCH, now_s))])
        for fault in [fault for fault in self.dead if fault.end_s <= now_s]:
            self._revive(fault)
        for fault in begun(self.faults, Kind.KILLED, before_s, now_s):
            self._kill(fault)
        for kind in Kind:
            self.struck[kind.value] += len(begun(self.faults, kind, before_s, now_s))

    def watch(self, at_s: float) -> None:
        """Take a sample of the nodes that are never killed, and see whether all live that should."""
        for nodes in self.nodes.values():
            self.ended += nodes.ended()
        for name, program in self.nodes[KEPT].programs.items():
            self.samples[name].append(sample(program.pid, at_s))

    def minute(self, at_s: float) -> dict[str, Any]:
        """What there is to say of the time so far."""
        kept, newest = self.ears[KEPT].states, {name: vars(found[-1]) for name, found in self.samples.items()}
        return {
            "minute": round(at_s / MINUTE_S),
            **newest,
            "map": self.served.name,
            "fixes": {namespace or "kept": ears.fixes for namespace, ears in self.ears.items()},
            "seconds": {state.value: round(seconds) for state, seconds in kept.seconds.items()},
            "struck": dict(self.struck),
            "faults": sum(ears.faults for ears in self.ears.values()),
            "ended": self.ended,
            "unexplained": [text for ears in self.ears.values() for text in ears.states.unexplained],
        }

    def _serve(self, wanted: Path) -> None:
        if wanted != self.served and self.load_map.service_is_ready():
            self.load_map.call_async(load_map_type().Request(map_url=str(wanted)))
            self.served = wanted

    def _kill(self, fault: Fault) -> None:
        if fault.node in self.nodes[KILLED].programs:
            if fault.node == "relocalizer":
                self.ears[KILLED].lost_node()
            self.nodes[KILLED].kill(fault.node)
            self.dead.append(fault)

    def _revive(self, fault: Fault) -> None:
        self.dead.remove(fault)
        self.nodes[KILLED].start(fault.node)
        if fault.node == "relocalizer":
            self.ears[KILLED].new_node()


def sample(pid: int, at_s: float) -> Sample:
    """What the kernel says of a process."""
    folder = Path(f"/proc/{pid}")
    text = (folder / "status").read_text()
    kib, threads = (int(re.findall(rf"^{name}:\s+(\d+)", text, re.MULTILINE)[0]) for name in ("VmRSS", "Threads"))
    return Sample(at_s, kib * 1024 / MIB, threads, len(list((folder / "fd").iterdir())))


def growth(samples: Sequence[Sample]) -> tuple[Sample, Sample]:
    """Medians of the first and the last ten minutes of those that count; of shorter runs, a sixth is left out and the
    thirds of the rest are compared."""
    length_s = samples[-1].at_s
    settled_s = min(SETTLED_S, length_s / 6)
    window_s = min(WINDOW_S, (length_s - settled_s) / 3)
    counted = [one for one in samples if one.at_s >= settled_s]
    first = [one for one in counted if one.at_s <= settled_s + window_s]
    last = [one for one in counted if one.at_s >= length_s - window_s]
    return median(first), median(last)


def median(samples: Sequence[Sample]) -> Sample:
    """Of each figure by itself."""
    columns = zip(*((s.at_s, s.resident_mb, s.threads, s.descriptors) for s in samples), strict=True)
    at_s, resident_mb, threads, descriptors = (statistics.median(column) for column in columns)
    return Sample(at_s, resident_mb, round(threads), round(descriptors))


def drive_of(options: argparse.Namespace, faults: Sequence[Fault]) -> tuple[WithoutDepth, Drive]:
    """The frames of the room, and the drive over them."""
    room = open_dataset("synthetic_room", None, "drive")
    length = round(options.minutes * 60 * options.rate)
    indices = drive_indices(len(room), length, options.rate, faults)
    drift = OdometryDrift(distance=0.01, turn=0.01, pull_deg_per_m=0.5)
    planned = plan_drive(WithoutDepth(room, indices), robot_extrinsics(), drift=drift)
    by_frame = Drive(
        tuple(indices), planned.map_from_base, planned.odom_from_base, planned.base_from_camera, planned.kidnapped
    )
    return WithoutDepth(room, range(len(room))), by_frame


def soak(options: argparse.Namespace, run: Soak) -> None:
    """Drive to the end, with a line a minute."""
    begun_s, before_s, sampled_s, told_s = time.monotonic(), -1.0, 0.0, 0.0
    with (options.out / "minutes.jsonl").open("w") as lines:
        for step, _ in zip(range(round(options.minutes * 60 * options.rate)), ticks(options.rate), strict=False):
            drive_s, real_s = step / options.rate, time.monotonic() - begun_s
            run.step(step, before_s, drive_s)
            before_s = drive_s
            if real_s >= sampled_s + SAMPLE_S:
                run.watch(real_s)
                sampled_s = real_s
            if real_s >= told_s + MINUTE_S:
                told_s = real_s
                print(json.dumps(run.minute(real_s)), file=lines, flush=True)
                print(spoken(run.minute(real_s)), flush=True)


def spoken(minute: dict[str, Any]) -> str:
    """A minute for people."""
    nodes = ", ".join(
        f"{name} {minute[name]['resident_mb']:.1f} MiB {minute[name]['threads']} threads "
        f"{minute[name]['descriptors']} descriptors"
        for name in NODES
    )
    states = " ".join(f"{state} {seconds} s" for state, seconds in minute["seconds"].items())
    struck = ", ".join(f"{kind} {count}" for kind, count in minute["struck"].items())
    bad = f"faults {minute['faults']}, ended {len(minute['ended'])}, unexplained {len(minute['unexplained'])}"
    return f"minute {minute['minute']}: {nodes}; {states}; {struck}; {bad}"


def report(options: argparse.Namespace, run: Soak) -> None:
    """Two tables: the nodes that were never killed, and the states that both relocalizers were in."""
    struck = ", ".join(f"{count} times {kind}" for kind, count in run.struck.items())
    minutes = run.samples["relocalizer"][-1].at_s / MINUTE_S
    data = f"Data: the synthetic room at {options.rate:g} Hz for {minutes:.0f} minutes, seed {options.seed}: {struck}"
    columns = {
        "node": "{node}",
        "resident memory after ten minutes": "{first_mb:.1f} MiB",
        "at the end": "{last_mb:.1f} MiB",
        "growth": "{growth_percent:.2f} %",
        "threads": "{threads_first} / {threads_last}",
        "descriptors": "{descriptors_first} / {descriptors_last}",
        "unhandled exceptions": "{exceptions}",
    }
    results = Results(data, columns)
    for name in NODES:
        first, last = growth(run.samples[name])
        exceptions, errors = troubles(sorted(options.out.glob(f"*_{name}_*.log")))
        of_it = sum(text.endswith(name) for text in run.ended)
        faults = sum(ears.faults for ears in run.ears.values()) if name == "relocalizer" else 0
        results.add(
            node=name, first_mb=first.resident_mb, last_mb=last.resident_mb,
            growth_percent=100 * (last.resident_mb / first.resident_mb - 1),
            threads_first=first.threads, threads_last=last.threads,
            descriptors_first=first.descriptors, descriptors_last=last.descriptors,
            exceptions=exceptions + faults + of_it, errors=errors,
        )  # fmt: skip
    results.write(options.json)
    columns = {
        "relocalizer": "{relocalizer}",
        "seconds in each state": "{states}",
        "how often one followed another": "{followed}",
        "fixes": "{fixes}",
        "states that nothing explains": "{unexplained}",
    }
    results = Results(data, columns)
    for namespace, ears in run.ears.items():
        log = ears.states
        results.add(
            relocalizer="killed now and then" if namespace else "never killed",
            states=", ".join(f"{state.value} {seconds:.0f}" for state, seconds in log.seconds.items()),
            followed=", ".join(
                f"{before.value if before else 'start'} -> {state.value} {count}"
                for (before, state), count in log.followed.items()
            ),
            fixes=ears.fixes, unexplained=len(log.unexplained), what=log.unexplained,
        )  # fmt: skip
    results.write(options.json and options.json.with_name(f"{options.json.stem}_states.json"))


def start(scope: ExitStack, options: argparse.Namespace, faults: Sequence[Fault]) -> Soak:
    """All nodes, which end with `scope`."""
    isolate()
    node: Node = spinning_node(scope, "soak")
    frames, drive = drive_of(options, faults)
    sensors = Sensors(node, frames, drive)
    ears = {namespace: Ears(node, namespace) for namespace in (KEPT, KILLED)}
    load_map = node.create_client(load_map_type(), "/vloc_map_server/load_map")
    nodes = {
        KEPT: Nodes(KEPT, MAPS[0], options.out),
        KILLED: Nodes(KILLED, MAPS[0], options.out, max_rate_hz=1.0, tf_mode="none"),
    }
    for each in nodes.values():
        scope.callback(each.stop)
    return Soak(faults, sensors, nodes, ears, load_map)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--rate", type=float, default=5.0, help="images a second (default: %(default)g)")
    parser.add_argument("--seed", type=int, default=1, help="of the faults (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/soak"))
    add_json(parser)
    options = parser.parse_args()
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as scope:
        run = start(scope, options, plan_faults(options.seed, options.minutes * 60))
        with suppress(KeyboardInterrupt):  # whoever has seen enough gets the report of it
            soak(options, run)
    report(options, run)


if __name__ == "__main__":
    main()
