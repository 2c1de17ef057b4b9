"""Which faults strike the robot of `soak.py`, and when: drawn from a seed, so that a run can be repeated."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

MEAN_GAP_S = 30.0  # from the beginning of a fault to that of the next one; they may overlap
NODES = ("map_server", "relocalizer")


class Kind(Enum):
    """What goes wrong."""

    KILLED = "node killed"
    LATE_TF = "late TF"
    COVERED = "camera covered"
    MAP_SWITCH = "map switched"
    CARRIED = "robot carried"


# Seconds that a fault of a kind lasts, at least and at most.
LASTS_S = {
    Kind.KILLED: (1.0, 10.0),
    Kind.LATE_TF: (5.0, 20.0),
    Kind.COVERED: (0.5, 15.0),
    Kind.MAP_SWITCH: (20.0, 60.0),
    Kind.CARRIED: (0.0, 0.0),
}
LATE_S = (0.1, 3.0)  # TF, at least and at most; the relocalizer waits for 0.2 s


@dataclass(frozen=True)
class Fault:
    """One fault, in seconds of the drive. `late_s`: of TF; `node`: one of NODES, that is killed."""

    kind: Kind
    begin_s: float
    end_s: float
    late_s: float = 0.0
    node: str = ""


def plan_faults(seed: int, length_s: float) -> tuple[Fault, ...]:
    """The faults of a drive, by their beginning. Each kind comes once, in random order, before any comes again: what
    memory a kind takes is taken early."""
    rng = np.random.default_rng(seed)
    faults, at_s, kinds = list[Fault](), 0.0, list[Kind]()
    while True:
        at_s += float(rng.exponential(MEAN_GAP_S))
        if not kinds:
            kinds = [list(Kind)[index] for index in rng.permutation(len(Kind))]
        kind = kinds.pop()
        end_s = at_s + float(rng.uniform(*LASTS_S[kind]))
        if end_s > length_s:
            return tuple(faults)
        late_s = float(rng.uniform(*LATE_S)) if kind is Kind.LATE_TF else 0.0
        node = NODES[int(rng.integers(len(NODES)))] if kind is Kind.KILLED else ""
        faults.append(Fault(kind, at_s, end_s, late_s, node))


def active(faults: Sequence[Fault], kind: Kind, at_s: float) -> list[Fault]:
    """Those of a kind that last at this moment."""
    return [fault for fault in faults if fault.kind is kind and fault.begin_s <= at_s < fault.end_s]


def begun(faults: Sequence[Fault], kind: Kind, since_s: float, until_s: float) -> list[Fault]:
    """Those of a kind that begin after the first moment, and at the second one at the latest."""
    return [fault for fault in faults if fault.kind is kind and since_s < fault.begin_s <= until_s]


def drive_indices(frames: int, length: int, rate_hz: float, faults: Sequence[Fault]) -> list[int]:
    """Which frame of the drive is shown at each of `length` steps: to its end and back again, and half of the drive
    farther where somebody carries the robot."""
    last, place, indices = frames - 1, 0, list[int]()
    for step in range(length):
        place += 1
        place += frames // 2 * len(begun(faults, Kind.CARRIED, (step - 1) / rate_hz, step / rate_hz))
        indices.append(last - abs(last - place % (2 * last)))
    return indices
