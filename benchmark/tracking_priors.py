"""What the track's prior costs and saves, and how soon a track that was given a wrong one is right again.

OMP_NUM_THREADS=1 python benchmark/tracking_priors.py --map MAP --dataset synthetic_room --split drive

Each image is localized in turn without a prior and as the node does it while tracking: by following the points of an
earlier one, and every --global-every-th then globally too, or else near the filter's prior; odometry drifts as the
demo's does. The pose of an image is the one that the node publishes; processor time is that of all that is done for it.
NEES / 6: 1 where covariances are true; `filtered`: of the filter of these fixes.
Then, at so many places of the drive, the track is put --metres and --degrees off and is as sure of that as after a good
fix; `right again`: images until the filtered pose is right, the first right one included; `wrong published`: fixes that
the track believed meanwhile, wrong by more than that allows, with a confidence above 0.5. As often, a robot that has
been tracked for some images is carried to another run of frames, which its odometry does not notice.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from in_turn import threads
from inputs import add_counts, data_of, opened, parser_of
from results import Results
from tracking import OPTIONS, Drive, consecutive, nees, odometry_of

from vloc_ros.core.query import Query
from vloc_ros.core.types import PoseEstimate, Rejection
from vloc_ros.datasets import Dataset
from vloc_ros.datasets.drive import extrinsics_of
from vloc_ros.geometry.pose_error import NOT_WRONG_POSE, RIGHT_POSE, error_vector, pose_error
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import Matrix, invert, moved_covariance
from vloc_ros.localizer import Localizer
from vloc_ros.tracking.pose_tracker import PoseTracker
from vloc_ros.tracking.search_planner import SearchPlanner
from vloc_ros.tracking.status import RefusedError
from vloc_ros.tracking.track import Fix, FramesAtStamp

SURE = np.diag([0.01**2] * 3 + [np.radians(0.3) ** 2] * 3)
SIGHTS, TRACKED = 10, 5  # images after a wrong prior, and before a robot is carried
COLUMNS = {
    "frames": "every {every}.",
    "images": "{images}",
    "CPU an image, mean: global": "{global_ms:.1f} ms",
    "tracking": "{tracking_ms:.1f} ms",
    "over global": "{ratio:.2f}",
    "median error: global": "{global_cm:.2f} cm",
    "tracking ": "{tracking_cm:.2f} cm",
    "p95: global": "{global_p95_cm:.2f} cm",
    "tracking  ": "{tracking_p95_cm:.2f} cm",
    "filtered, p95: global": "{global_filtered_cm:.2f} cm",
    "tracking   ": "{tracking_filtered_cm:.2f} cm",
    "NEES / 6: global": "{global_nees:.2f}",
    "tracking    ": "{tracking_nees:.2f}",
    "NEES / 6, filtered: global": "{global_filtered_nees:.2f}",
    "tracking     ": "{tracking_filtered_nees:.2f}",
    "refused: global": "{global_refused}",
    "tracking      ": "{tracking_refused}",
    "followed": "{followed} of {images}",
    "checked": "{checked}",
    "wrong priors": "{wrong_priors}",
    "right again: most images": "{most_images}",
    "mean": "{mean_images:.1f}",
    "wrong published": "{wrong_published}",
    "carried: right again, most images": "{carried_images}",
    "wrong published ": "{carried_wrong}",
}


def main() -> None:
    parser = parser_of(__doc__)
    add_counts(parser, "--every", [1, 2, 3], help="play every so-many-th frame")
    parser.add_argument("--global-every", type=int, default=10)
    parser.add_argument("--wrong", type=int, default=10, help="so many wrong priors")
    parser.add_argument("--metres", type=float, default=1.0)
    parser.add_argument("--degrees", type=float, default=30.0)
    options = parser.parse_args()
    localizer, frames = opened(options)
    localizer.warm_up()
    results = Results(data_of(options, len(frames)), COLUMNS)
    with threads():
        for every in options.every:
            robots = [Robot(localizer, frames, rows[::every]) for rows in consecutive(frames)]
            told = {name: Told() for name in ("global", "tracking")}
            for robot in robots:
                compare(robot, options.global_every, told)
            recoveries = recovery_figures(*recoveries_of(robots, options))
            results.add(every=every, **saved_figures(told), **recoveries)
    results.write(options.json)


@dataclass
class Told:
    """Of each image milliseconds of the processor, cm (infinite: refused); how many were followed, and checked; errors
    (6,) and covariances (6, 6) of fixes and filtered poses."""

    ms: list[float] = field(default_factory=list)
    cm: list[float] = field(default_factory=list)
    followed: int = 0
    checked: int = 0
    fixes: list[tuple[Matrix, Matrix]] = field(default_factory=list)
    filtered: list[tuple[Matrix, Matrix]] = field(default_factory=list)


class Robot:
    """A run of frames, and the odometry along it."""

    def __init__(self, localizer: Localizer, frames: Dataset, rows: list[int], carried_at: int = 0) -> None:
        """`carried_at`: the row before which the robot was carried away; 0 for none."""
        self.localizer, self.frames, self.rows = localizer, frames, rows
        self.base_from_camera = extrinsics_of(frames)
        truth = np.stack([frames.map_from_camera(row) for row in rows]) @ invert(self.base_from_camera)
        self.stamps_ns = [round((1 + k / 10) * NS_PER_S) for k in range(len(rows))]
        self.drive = Drive(self.stamps_ns, truth, [])
        self.odometry = odometry_of(self.drive, np.random.default_rng(0))
        if carried_at:
            before, after = self.odometry[carried_at - 1 : carried_at + 1]
            self.odometry[carried_at:] = before @ invert(after) @ self.odometry[carried_at:]


@dataclass(frozen=True)
class Step:
    """What became of an image: the result that is published if it is believed, and whether the networks checked it."""

    result: PoseEstimate | Rejection
    is_believed: bool
    is_checked: bool
    ms: float


class Tracking:
    """A track along a robot's frames that is asked as the node asks its."""

    def __init__(self, robot: Robot, global_every: int) -> None:
        self.robot, self.tracker = robot, PoseTracker()
        self._planner = SearchPlanner(self.tracker, global_every)

    def step(self, k: int) -> Step:
        """The next image."""
        robot = self.robot
        query = Query.of(robot.frames.frame(robot.rows[k]).image)
        query = replace(query, stamp_ns=robot.stamps_ns[k])
        frames = FramesAtStamp(robot.base_from_camera, robot.odometry[k])
        landmark_map = robot.localizer.landmark_map
        query = self._planner.planned(query, landmark_map, lambda: frames, OPTIONS)
        start = time.process_time()
        result = robot.localizer.localize(query)
        self._planner.answered(query, result)
        is_believed, check = self._follow(k, query, result, self.tracker.follow), None
        if is_believed and isinstance(result, PoseEstimate) and (check := self._planner.check_of(query, result)):
            self._follow(k, check, robot.localizer.localize(check), self.tracker.check)
        return Step(result, is_believed, check is not None, 1e3 * (time.process_time() - start))

    def _follow(
        self, k: int, query: Query, result: PoseEstimate | Rejection, follow: Callable[..., bool | None]
    ) -> bool:
        """Whether the track believes it."""
        robot = self.robot
        if isinstance(result, Rejection):
            self._planner.drop()
            return False
        base, covariance = based(robot, result)
        fix = Fix(robot.stamps_ns[k], base, robot.odometry[k], "map", covariance=covariance)
        try:
            is_news = bool(follow(self.tracker.begin(fix.stamp_ns), fix, fix.stamp_ns, OPTIONS))
        except RefusedError:
            self._planner.drop()
            return False
        self._planner.add(query, result, robot.localizer.landmark_map, is_news)
        return True


def based(robot: Robot, result: PoseEstimate) -> tuple[Matrix, Matrix]:
    """Pose and covariance of the base."""
    base = result.map_from_camera @ invert(robot.base_from_camera)
    return base, moved_covariance(result.covariance, base[:3, 3] - result.map_from_camera[:3, 3])


def compare(robot: Robot, global_every: int, told: dict[str, Told]) -> None:
    """Each image globally and tracking."""
    tracks = {"global": Tracking(robot, 1), "tracking": Tracking(robot, global_every)}
    for k, truth in enumerate(robot.drive.map_from_base):
        for name in sorted(tracks, reverse=bool(k % 2)):
            track, found = tracks[name], told[name]
            track.tracker.move(robot.stamps_ns[k], robot.odometry[k], OPTIONS)
            step = track.step(k)
            result = step.result
            found.ms.append(step.ms)
            found.checked += step.is_checked
            found.cm.append(np.inf)
            if isinstance(result, PoseEstimate):
                base, covariance = based(robot, result)
                found.cm[-1] = 100 * pose_error(base, truth).translation_m
                found.followed += result.is_followed
                found.fixes.append((error_vector(base, truth), covariance))
            if estimate := track.tracker.estimate(robot.stamps_ns[k], robot.odometry[k], OPTIONS):
                found.filtered.append((error_vector(estimate.map_from_base, truth), estimate.covariance))


def wrong_step(rng: np.random.Generator, metres: float, radians: float) -> Matrix:
    """So far in any direction, and turned so far about the vertical."""
    direction = rng.standard_normal(3) * (1, 1, 0)
    turn = np.array([0, 0, radians * rng.choice([-1, 1])])
    return np.concatenate([metres * direction / np.linalg.norm(direction), turn])


def recoveries_of(
    robots: list[Robot], options: argparse.Namespace
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Of robots that were given wrong priors, and of carried ones: images until they are right again, wrong fixes."""
    rng, given, carried = np.random.default_rng(0), [], []
    for number in range(options.wrong):
        robot, there = robots[number % len(robots)], robots[(number + 1) % len(robots)]
        offset = wrong_step(rng, options.metres, np.radians(options.degrees))
        start = int(rng.integers(max(1, len(robot.rows) - SIGHTS)))
        given.append(recovered(robot, start, offset, options.global_every))
        rows = robot.rows[start : start + TRACKED] + there.rows[-SIGHTS:]
        carried.append(found_again(Robot(robot.localizer, robot.frames, rows, TRACKED), options.global_every))
    return given, carried


def found_again(robot: Robot, global_every: int) -> tuple[int, int]:
    """The same of a robot that is carried away after TRACKED images."""
    track = Tracking(robot, global_every)
    for k in range(TRACKED):
        track.tracker.move(robot.stamps_ns[k], robot.odometry[k], OPTIONS)
        track.step(k)
    return right_again(track, range(TRACKED, len(robot.rows)))


def recovered(robot: Robot, start: int, offset: Matrix, global_every: int) -> tuple[int, int]:
    """The same of one that is told at a start that it is elsewhere."""
    track, wrong = Tracking(robot, global_every), perturb(robot.drive.map_from_base[start], offset)
    believed = Fix(robot.stamps_ns[start], wrong, robot.odometry[start], "map", covariance=SURE)
    track.tracker.follow(track.tracker.begin(believed.stamp_ns), believed, believed.stamp_ns, OPTIONS)
    return right_again(track, range(start + 1, min(start + 1 + SIGHTS, len(robot.rows))))


def right_again(track: "Tracking", steps: range) -> tuple[int, int]:
    """Images until the filtered pose is right, and wrong fixes that were believed."""
    robot, tracker, wrong = track.robot, track.tracker, 0
    truth = robot.drive.map_from_base
    for count, k in enumerate(steps, start=1):
        tracker.move(robot.stamps_ns[k], robot.odometry[k], OPTIONS)
        step = track.step(k)
        if step.is_believed and isinstance(result := step.result, PoseEstimate):
            error = pose_error(result.map_from_camera, robot.frames.map_from_camera(robot.rows[k]))
            wrong += bool(not error.within(NOT_WRONG_POSE) and (result.confidence or 0.0) > 0.5)
        estimate = tracker.estimate(robot.stamps_ns[k], robot.odometry[k], OPTIONS)
        if estimate is not None and pose_error(estimate.map_from_base, truth[k]).within(RIGHT_POSE):
            return count, wrong
    return SIGHTS + 1, wrong


def saved_figures(told: dict[str, Told]) -> dict[str, object]:
    figures: dict[str, object] = {
        "images": len(told["global"].ms),
        "ratio": float(np.mean(told["tracking"].ms) / np.mean(told["global"].ms)),
        "followed": told["tracking"].followed,
        "checked": told["tracking"].checked,
    }
    for name, each in told.items():
        figures |= {
            f"{name}_ms": float(np.mean(each.ms)),
            f"{name}_cm": float(np.median(each.cm)),
            f"{name}_p95_cm": float(np.percentile(each.cm, 95, method="lower")),
            f"{name}_filtered_cm": 100 * float(np.percentile([np.linalg.norm(e[:3]) for e, _ in each.filtered], 95)),
            f"{name}_nees": nees(each.fixes),
            f"{name}_filtered_nees": nees(each.filtered),
            f"{name}_refused": int(np.isinf(each.cm).sum()),
        }
    return figures


def recovery_figures(given: list[tuple[int, int]], carried: list[tuple[int, int]]) -> dict[str, object]:
    images, wrong = np.array(given).T
    return {
        "wrong_priors": len(given),
        "carried_images": max(images for images, _ in carried),
        "carried_wrong": sum(wrong for _, wrong in carried),
        "most_images": int(images.max()),
        "mean_images": float(images.mean()),
        "wrong_published": int(wrong.sum()),
    }


if __name__ == "__main__":
    main()
