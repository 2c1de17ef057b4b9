"""The filtered pose of a robot against the fixes that it is made of, on drives with odometry that drifts.

python benchmark/tracking.py --map maps/demo_room --dataset synthetic_room --split drive

Every image is localized once, and each drive is tracked with the odometry of several seeds, whose drift and noise are
drawn anew. `filtered`: the filter's pose at the stamp of an image, after that image. `map -> base_link`: what TF has at
that stamp: broadcast at 20 Hz, and without that image. Consecutive frames are a drive.
"""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise

import numpy as np
from in_turn import threads
from inputs import data_of, opened, parser_of
from results import Results

from vloc_ros.core.types import CameraImage, PoseEstimate
from vloc_ros.datasets import Dataset
from vloc_ros.datasets.drive import OdometryDrift, drifting_odometry, extrinsics_of, kidnapped_steps
from vloc_ros.evaluation.corruptions import noise_block
from vloc_ros.geometry.pose_error import NOT_WRONG_POSE, error_vector, pose_error
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import Matrix, invert, moved_covariance
from vloc_ros.localizer import Localizer
from vloc_ros.tracking.pose_tracker import PoseTracker
from vloc_ros.tracking.smoothing import Published
from vloc_ros.tracking.status import RefusedError
from vloc_ros.tracking.track import Fix, TrackingOptions

OPTIONS = TrackingOptions()
COVERED, DARK_S = 0.7, 3.0
BROADCAST_NS = NS_PER_S // 20
POSITION_NOISE_M, ROTATION_NOISE_DEG = 0.005, 0.3  # of the odometry after one metre, each axis, on top of its drift
COLUMNS = {
    "drive": "{drive}",
    "images": "{images}",
    "position error p95: fixes": "{fix_cm:.2f} cm",
    "filtered": "{filtered_cm:.2f} cm",
    "over fixes": "{filtered_ratio:.2f}",
    "map -> base_link": "{published_cm:.2f} cm",
    "over fixes ": "{published_ratio:.2f}",
    "largest error of map -> base_link": "{largest_cm:.1f} cm",
    "largest step": "{step_cm:.2f} cm",
    "NEES / 6: fixes": "{fix_nees:.2f}",
    "filtered ": "{nees:.2f}",
    "jumps": "{jumps:.1f}",
    "carried: images to recovery": "{recovery}",
    "wrong map -> odom before": "{wrong_before}",
}


@dataclass(frozen=True, eq=False)
class Drive:
    """Where a base truly was, and the fixes of its images; None where there is none."""

    stamps_ns: Sequence[int]
    map_from_base: Matrix
    fixes: Sequence[tuple[Matrix, Matrix] | None]

    def __len__(self) -> int:
        return len(self.stamps_ns)

    def part(self, keep: Sequence[int]) -> "Drive":
        """Some steps of it, at stamps that go on."""
        return Drive(self.stamps_ns[: len(keep)], self.map_from_base[keep], [self.fixes[k] for k in keep])


@dataclass
class Tracked:
    """What was measured along drives: errors (6,) with their covariances, and metres."""

    fixes: list[tuple[Matrix, Matrix]] = field(default_factory=list)
    filtered: list[tuple[Matrix, Matrix]] = field(default_factory=list)
    published_m: list[float] = field(default_factory=list)
    steps_m: list[float] = field(default_factory=list)
    jumps: list[int] = field(default_factory=list)
    recoveries: list[int] = field(default_factory=list)
    wrong_before: int = 0

    def figures(self) -> dict[str, object]:
        p95 = [
            float(np.percentile([np.linalg.norm(e[:3]) for e, _ in each], 95)) for each in (self.fixes, self.filtered)
        ]
        published = float(np.percentile(self.published_m, 95))
        carried = {"recovery": max(self.recoveries), "wrong_before": self.wrong_before} if self.recoveries else {}
        return {
            "fix_cm": 100 * p95[0],
            "filtered_cm": 100 * p95[1],
            "filtered_ratio": p95[1] / p95[0],
            "published_cm": 100 * published,
            "published_ratio": published / p95[0],
            "largest_cm": 100 * max(self.published_m),
            "step_cm": 100 * max(self.steps_m),
            "fix_nees": nees(self.fixes),
            "nees": nees(self.filtered),
            "jumps": float(np.mean(self.jumps)),
            **carried,
        }


def main() -> None:
    options, data, asked = asked_for(__doc__, seeds=10)
    results = Results(data, COLUMNS)
    for name, drives in asked.items():
        tracked = Tracked()
        for seed in range(options.seeds):
            for number, drive in enumerate(drives):
                track(drive, np.random.default_rng([seed, number]), tracked)
        results.add(drive=name, images=sum(map(len, drives)), **tracked.figures())
    results.write(options.json)


def asked_for(description: str | None, seeds: int) -> tuple[argparse.Namespace, str, dict[str, list[Drive]]]:
    """What the command line asks for, by default with so many seeds; what that is of, for people; and the drives."""
    parser = parser_of(description)
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--rate", type=float, default=10.0, help="images a second")
    options = parser.parse_args()
    localizer, frames = opened(options)
    with threads():
        clean, covered = (drives_of(localizer, frames, options.rate, hide) for hide in (0.0, COVERED))
    return options, data_of(options, len(frames)) + f", {options.seeds} seeds", scenarios(clean, covered)


def scenarios(clean: Sequence[Drive], covered: Sequence[Drive]) -> dict[str, list[Drive]]:
    """The drives as they are; with every second image covered and, where they are long enough, darkness in the middle;
    and carried elsewhere over a third of the way."""
    found = {"as it is": list(clean)}
    hard = []
    for plain, hidden in zip(clean, covered, strict=True):
        middle, half = len(plain) // 2, int(DARK_S / 2 * NS_PER_S / (plain.stamps_ns[1] - plain.stamps_ns[0]))
        dark = range(middle - half, middle + half) if len(plain) > 6 * half else range(0)
        fixes = [None if k in dark else (hidden if k % 2 else plain).fixes[k] for k in range(len(plain))]
        hard.append(Drive(plain.stamps_ns, plain.map_from_base, fixes))
    found[f"every second image covered by {COVERED:.0%}, {DARK_S:g} s of darkness"] = hard
    third = [[*range(len(d) // 3), *range(2 * len(d) // 3, len(d))] for d in clean]
    carried = [drive.part(keep) for drive, keep in zip(clean, third, strict=True)]
    if carried := [drive for drive in carried if kidnapped_steps(drive.map_from_base)]:
        found["carried away midway"] = carried
    return found


def drives_of(localizer: Localizer, frames: Dataset, rate_hz: float, hide: float) -> list[Drive]:
    """Runs of consecutive frames, localized."""
    camera_from_base = invert(extrinsics_of(frames))
    found = []
    for rows in consecutive(frames):
        truth = np.stack([frames.map_from_camera(k) for k in rows]) @ camera_from_base
        fixes = [fix_of(localizer, frames.frame(k).image, camera_from_base, hide, k) for k in rows]
        found.append(Drive([round((1 + k / rate_hz) * NS_PER_S) for k in range(len(rows))], truth, fixes))
    return found


def consecutive(frames: Dataset) -> list[list[int]]:
    """The rows of frames whose names' numbers follow each other."""
    names = [frames.frame(k).name for k in range(len(frames))]
    numbers = [int(re.findall(r"\d+", name)[-1]) for name in names]
    runs = groupby(range(len(frames)), lambda k: numbers[k] - k)
    return [list(rows) for _, rows in runs]


def fix_of(
    localizer: Localizer, image: CameraImage, camera_from_base: Matrix, hide: float, seed: int
) -> tuple[Matrix, Matrix] | None:
    """Pose and covariance of the base."""
    if hide:
        image = CameraImage(noise_block(image.rgb, np.random.default_rng(seed), hide), image.camera)
    result = localizer.localize(image)
    if not isinstance(result, PoseEstimate):
        return None
    base = result.map_from_camera @ camera_from_base
    return base, moved_covariance(result.covariance, base[:3, 3] - result.map_from_camera[:3, 3])


def odometry_of(drive: Drive, rng: np.random.Generator) -> Matrix:
    """`odom_from_base` (N, 4, 4) with the demo's drift times normal numbers, and noise."""
    kidnapped, usual = kidnapped_steps(drive.map_from_base), OdometryDrift()
    factors = rng.standard_normal(3)
    drift = OdometryDrift(*(factors * (usual.distance, usual.turn, usual.pull_deg_per_m)).tolist())
    exact = drifting_odometry(drive.map_from_base, kidnapped, drift)
    sigmas = np.repeat([POSITION_NOISE_M, np.radians(ROTATION_NOISE_DEG)], 3)
    found = [exact[0]]
    for before, after in pairwise(exact):
        step = invert(before) @ after
        noise = rng.standard_normal(6) * sigmas * np.sqrt(np.linalg.norm(step[:3, 3]))
        found.append(found[-1] @ perturb(step, noise))
    return np.stack(found)


def track(drive: Drive, rng: np.random.Generator, told: Tracked) -> None:
    """Once along a drive."""
    odometry, tracker, jumps = odometry_of(drive, rng), PoseTracker(), 0
    kidnapped = kidnapped_steps(drive.map_from_base)
    is_away, since, published = False, 0, None
    for k, stamp_ns in enumerate(drive.stamps_ns):
        is_away, since = (True, 0) if k in kidnapped else (is_away, since + 1)
        tracker.move(stamp_ns, odometry[k], OPTIONS)
        for now_ns in broadcasts(stamp_ns, drive.stamps_ns[1] - drive.stamps_ns[0]):
            last, published = published, broadcast(tracker, published, odometry[k], stamp_ns, now_ns)
            if last and published:
                told.steps_m.append(moved_m(published, last, odometry[k]))
        if published and not is_away:
            told.published_m.append(metres(published.map_from_odom @ odometry[k], drive.map_from_base[k]))
        before = tracker.begin(stamp_ns)
        if (found := drive.fixes[k]) is not None:
            told.fixes.append((error_vector(found[0], drive.map_from_base[k]), found[1]))
            try:
                tracker.follow(
                    before, Fix(stamp_ns, found[0], odometry[k], "map", covariance=found[1]), stamp_ns, OPTIONS
                )
            except RefusedError:
                jumps += 1
        estimate = tracker.estimate(stamp_ns, odometry[k], OPTIONS)
        if estimate is None:
            continue
        error = error_vector(estimate.map_from_base, drive.map_from_base[k])
        if is_away and tracker.fix and tracker.fix.stamp_ns == stamp_ns:  # a fix was believed
            if pose_error(estimate.map_from_base, drive.map_from_base[k]).within(NOT_WRONG_POSE):
                is_away = False
                told.recoveries.append(since + 1)
            else:
                told.wrong_before += 1
        if not is_away:
            told.filtered.append((error, estimate.covariance))
    told.jumps.append(jumps)


def broadcasts(stamp_ns: int, period_ns: int) -> range:
    """When something is broadcast in the time before a stamp."""
    return range(((stamp_ns - period_ns) // BROADCAST_NS + 1) * BROADCAST_NS, stamp_ns + 1, BROADCAST_NS)


def broadcast(
    tracker: PoseTracker, published: Published | None, odom_from_base: Matrix, stamp_ns: int, now_ns: int
) -> Published | None:
    """What is broadcast next; None before the first fix."""
    estimate = tracker.estimate(stamp_ns, odom_from_base, OPTIONS)
    if estimate is None:
        return None
    published = published or Published(estimate.map_from_odom, tracker.placements, now_ns)
    return published.next(estimate.map_from_odom, odom_from_base, tracker.placements, now_ns)


def moved_m(one: Published, other: Published, odom_from_base: Matrix) -> float:
    """How far the robot jumps from one to the other; 0 where it was placed anew."""
    if one.placements != other.placements:
        return 0.0
    return metres(one.map_from_odom @ odom_from_base, other.map_from_odom @ odom_from_base)


def metres(one: Matrix, other: Matrix) -> float:
    return float(np.linalg.norm(one[:3, 3] - other[:3, 3]))


def nees(errors: Sequence[tuple[Matrix, Matrix]]) -> float:
    """The mean normalized squared error over its six degrees of freedom: 1 where covariances are true."""
    return float(np.mean([error @ np.linalg.solve(covariance, error) for error, covariance in errors])) / 6


if __name__ == "__main__":
    main()
