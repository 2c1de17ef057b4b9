"""Whether a bag that is played faster gives the same: fixes, filtered poses and map -> odom, by stamp.

python benchmark/replay_rates.py --map maps/demo_room --speeds 1 3

The demo's drive is written as a bag and played to the relocalizer with /clock and use_sim_time, at each speed twice:
what one speed gives twice says how much of a difference is of the speed. Fixes are compared; filtered poses and map ->
odom as they were last before the next odometry came, if the fix came a fifth of a second before that: one that comes
later, in the time of the bag, is applied later, and no track can know it before. After the first image that only one of
two runs has localized, their tracks know different things, and so do images that are searched near them: what comes
after that is not compared.
"""

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from inputs import add_counts, plain_parser
from rclpy.node import Node
from rclpy.qos import QoSProfile
from results import Results
from tf2_msgs.msg import TFMessage
from tf_now import spinning

from vloc_ros.bags.camera_topics import choose_camera
from vloc_ros.bags.reader import open_bag
from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.bag_export import WriteOptions, write_dataset
from vloc_ros.datasets.drive import MAP_FRAME, OdometryDrift, extrinsics_of
from vloc_ros.datasets.subset import Subset
from vloc_ros.demo.bag import BagPlayer
from vloc_ros.demo.processes import Program, isolate
from vloc_ros.geometry.transforms import Matrix, rotation_angle
from vloc_ros.ros.conversions import from_pose, to_matrix, to_stamp_ns
from vloc_ros.ros.diagnostics import from_message
from vloc_ros.ros.node import LATCHED
from vloc_ros.ros.programs import as_arguments
from vloc_ros.tracking.state import State

FOLLOWED = 4  # broadcasts at 20 Hz
BEFORE_S = 2.0  # whoever has subscribed is not known to all at once
AFTER_S = 2.0  # the last image may take so long
QOS = QoSProfile(depth=1000)
COLUMNS = {
    "speeds": "{speeds}",
    "images localized in both": "{both}",
    "in one only": "{one_only}",
    "before the first of those": "{compared}",
    "fixes: largest difference": "{fix_mm:.2g} mm, {fix_deg:.2g} deg",
    "of them equal": "{fix_equal}",
    "filtered poses: largest difference": "{filtered_mm:.2g} mm, {filtered_deg:.2g} deg",
    "standard deviations": "{sigma_mm:.2g} mm",
    "of them equal ": "{filtered_equal} of {filtered}",
    "map -> odom": "{tf_mm:.2g} mm, {tf_deg:.2g} deg",
}
EQUAL_MM, EQUAL_DEG = 1e-6, 1e-6  # a nanometre: what messages keep


@dataclass(frozen=True, eq=False)
class Settled:
    """What was last said of a stamp before the odometry of the next one came; `since_fix`: how many filtered poses have
    come since its fix, None before it."""

    filtered: Matrix
    sigma_m: float
    map_from_odom: Matrix | None
    since_fix: int | None

    @property
    def has_fix(self) -> bool:
        """So that map -> odom has followed, too."""
        return self.since_fix is not None and self.since_fix >= FOLLOWED


@dataclass
class Run:
    """All that was heard while a bag was played."""

    fixes: dict[int, Matrix] = field(default_factory=dict)
    settled: dict[int, Settled] = field(default_factory=dict)


class Ear(Node):
    """Hears a relocalizer; one thread."""

    def __init__(self) -> None:
        super().__init__("ear")
        self.run, self.state = Run(), State.UNINITIALIZED
        self._map_from_odom: Matrix | None = None
        self.create_subscription(PoseWithCovarianceStamped, "relocalizer/pose", self._on_pose, QOS)
        self.create_subscription(PoseWithCovarianceStamped, "relocalizer/filtered_pose", self._on_filtered, QOS)
        self.create_subscription(DiagnosticStatus, "relocalizer/status", self._on_status, LATCHED)
        self.create_subscription(TFMessage, "/tf", self._on_tf, QOS)

    def _on_pose(self, message: PoseWithCovarianceStamped) -> None:
        self.run.fixes[to_stamp_ns(message.header.stamp)] = from_pose(message.pose.pose)

    def _on_filtered(self, message: PoseWithCovarianceStamped) -> None:
        stamp_ns, sigma_m = to_stamp_ns(message.header.stamp), float(np.sqrt(message.pose.covariance[0]))
        before = self.run.settled.get(stamp_ns)
        since_fix = 0 if stamp_ns in self.run.fixes else None
        if before and before.since_fix is not None:
            since_fix = before.since_fix + 1
        self.run.settled[stamp_ns] = Settled(from_pose(message.pose.pose), sigma_m, self._map_from_odom, since_fix)

    def _on_tf(self, message: TFMessage) -> None:
        for each in message.transforms:
            if each.header.frame_id == MAP_FRAME:
                self._map_from_odom = to_matrix(each.transform)

    def _on_status(self, message: DiagnosticStatus) -> None:
        self.state = from_message(message).state


def main() -> None:
    parser = plain_parser(__doc__)
    parser.add_argument("--map", type=Path, required=True)
    add_counts(parser, "--speeds", [1, 3], help="times as fast as recorded")
    parser.add_argument("--rate", type=float, default=1.0, help="images a second in the bag")
    parser.add_argument("--images", type=int, default=60, help="the first ones of the drive")
    options = parser.parse_args()
    isolate()
    whole = open_dataset("synthetic_room", None, "drive")
    drive = Subset(whole, tuple(range(options.images)))
    with tempfile.TemporaryDirectory() as folder:
        bag = Path(folder) / "drive"
        write_dataset(bag, drive, extrinsics_of(whole), WriteOptions(rate_hz=options.rate, drift=OdometryDrift()))
        speeds = [speed for speed in options.speeds for _ in range(2)]
        runs = [play(bag, options.map, speed, Path(folder) / f"{number}.log") for number, speed in enumerate(speeds)]
    about = f"Data: {len(drive)} images of synthetic_room, split drive, {options.rate:g} a second"
    results = Results(f"{about}; map {options.map.name}", COLUMNS)
    for (one, other), (first, second) in zip(pairwise(speeds), pairwise(runs), strict=True):
        results.add(speeds=f"{one} and {other}", **differences(first, second))
    results.write(options.json)


def play(path: Path, map_dir: Path, speed: float, log: Path) -> Run:
    """Once, to a relocalizer of its own."""
    with ExitStack() as scope:
        bag = scope.enter_context(open_bag(path))
        rclpy.init()
        scope.callback(rclpy.try_shutdown)
        node, ear = rclpy.create_node("player"), Ear()
        player = BagPlayer(node, bag, {"": choose_camera(bag, "", "")}, speed=speed)
        words = [*player.relocalizer_arguments, *as_arguments({"map": map_dir.resolve(), "tf_timeout": 2.0})]
        program = Program("relocalizer", words, log)
        scope.callback(program.stop)
        for each in (node, ear):
            scope.enter_context(spinning(each))
        started_s = time.monotonic()
        for _ in player.stand():
            program.check()
            is_ready = ear.state is not State.UNINITIALIZED and node.count_subscribers(player.image_topic)
            if not is_ready:
                started_s = time.monotonic()
            elif time.monotonic() - started_s > BEFORE_S:
                break
        for _ in player.play():
            program.check()
        time.sleep(AFTER_S)
        return ear.run


def differences(one: Run, other: Run) -> dict[str, float]:
    both = sorted(one.fixes.keys() & other.fixes.keys())
    first_ns = min(one.fixes.keys() ^ other.fixes.keys(), default=max(both) + 1)
    compared = [stamp for stamp in both if stamp < first_ns]
    fixes = apart([(one.fixes[stamp], other.fixes[stamp]) for stamp in compared])
    settled = [
        (one.settled[stamp], other.settled[stamp])
        for stamp in compared
        if all(stamp in run.settled and run.settled[stamp].has_fix for run in (one, other))
    ]
    filtered = apart([(a.filtered, b.filtered) for a, b in settled])
    drifts = [
        (a.map_from_odom, b.map_from_odom)
        for a, b in settled
        if a.map_from_odom is not None and b.map_from_odom is not None
    ]
    tf = apart(drifts)
    return {
        "both": len(both),
        "compared": len(compared),
        "one_only": len(one.fixes.keys() ^ other.fixes.keys()),
        **named("fix", fixes),
        "fix_equal": equal(fixes),
        "filtered": len(settled),
        **named("filtered", filtered),
        "filtered_equal": equal(filtered),
        "sigma_mm": 1e3 * max((abs(a.sigma_m - b.sigma_m) for a, b in settled), default=0.0),
        **named("tf", tf),
    }


def apart(pairs: Sequence[tuple[Matrix, Matrix]]) -> Matrix:
    """Millimetres and degrees between the two of each pair (N, 2)."""
    found = [
        (1e3 * np.linalg.norm(a[:3, 3] - b[:3, 3]), np.degrees(rotation_angle(a[:3, :3], b[:3, :3]))) for a, b in pairs
    ]
    return np.array(found).reshape(-1, 2)


def named(what: str, found: Matrix) -> dict[str, float]:
    millimetres, degrees = found.max(axis=0, initial=0.0)
    return {f"{what}_mm": float(millimetres), f"{what}_deg": float(degrees)}


def equal(found: Matrix) -> int:
    return int(((found[:, 0] <= EQUAL_MM) & (found[:, 1] <= EQUAL_DEG)).sum())


if __name__ == "__main__":
    main()
