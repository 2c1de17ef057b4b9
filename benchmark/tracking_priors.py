"""What the track's prior costs and saves, and how soon a track that was given a wrong one is right again.

OMP_NUM_THREADS=1 python benchmark/tracking_priors.py --map MAP --dataset synthetic_room --split drive

Each image is localized in turn without a prior and with the filter's, from odometry that drifts as the demo's does.
Then, at so many places of the drive, the track is put --metres and --degrees off and is as sure of that as after a good
fix; `right again`: images until the filtered pose is right, the first right one included; `wrong published`: fixes that
the track believed meanwhile, wrong by more than that allows, with a confidence above 0.5.
"""

import time

import numpy as np
from in_turn import threads
from inputs import data_of, opened, parser_of
from results import Results
from tracking import OPTIONS, Drive, consecutive, odometry_of

from vloc_ros.core.query import Query
from vloc_ros.core.types import PoseEstimate
from vloc_ros.datasets import Dataset
from vloc_ros.datasets.drive import extrinsics_of
from vloc_ros.geometry.pose_error import NOT_WRONG_POSE, RIGHT_POSE, pose_error
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import Matrix, invert, moved_covariance
from vloc_ros.localizer import Localizer
from vloc_ros.tracking.pose_tracker import PoseTracker
from vloc_ros.tracking.prior import GlobalTurns, prior_of
from vloc_ros.tracking.status import RefusedError
from vloc_ros.tracking.track import Fix

SURE = np.diag([0.01**2] * 3 + [np.radians(0.3) ** 2] * 3)
SIGHTS = 10  # images after a wrong prior
COLUMNS = {
    "images": "{images}",
    "CPU an image: global": "{global_ms:.1f} ms",
    "tracking": "{tracking_ms:.1f} ms",
    "over global": "{ratio:.2f}",
    "median error: global": "{global_cm:.2f} cm",
    "tracking ": "{tracking_cm:.2f} cm",
    "refused: global": "{global_refused}",
    "tracking  ": "{tracking_refused}",
    "wrong priors": "{wrong_priors}",
    "right again: most images": "{most_images}",
    "mean": "{mean_images:.1f}",
    "wrong published": "{wrong_published}",
}


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--every", type=int, default=1, help="play every so-many-th frame")
    parser.add_argument("--global-every", type=int, default=5)
    parser.add_argument("--wrong", type=int, default=10, help="so many wrong priors")
    parser.add_argument("--metres", type=float, default=1.0)
    parser.add_argument("--degrees", type=float, default=30.0)
    options = parser.parse_args()
    localizer, frames = opened(options)
    localizer.warm_up()
    results = Results(data_of(options, len(frames)), COLUMNS)
    with threads():
        robots = [Robot(localizer, frames, rows[:: options.every]) for rows in consecutive(frames)]
        saved = np.concatenate([compared(robot, options.global_every) for robot in robots])
        rng, found = np.random.default_rng(0), []
        for number in range(options.wrong):
            robot = robots[number % len(robots)]
            offset = wrong_step(rng, options.metres, np.radians(options.degrees))
            start = int(rng.integers(max(1, len(robot.rows) - SIGHTS)))
            found.append(recovered(robot, start, offset, options.global_every))
    results.add(**saved_figures(saved), **recovery_figures(found))
    results.write(options.json)


class Robot:
    """A run of frames, and a track along it that is asked as the node asks its."""

    def __init__(self, localizer: Localizer, frames: Dataset, rows: list[int]) -> None:
        self.localizer, self.frames, self.rows = localizer, frames, rows
        self.base_from_camera = extrinsics_of(frames)
        truth = np.stack([frames.map_from_camera(row) for row in rows]) @ invert(self.base_from_camera)
        self.stamps_ns = [round((1 + k / 10) * NS_PER_S) for k in range(len(rows))]
        self.drive = Drive(self.stamps_ns, truth, [])
        self.odometry = odometry_of(self.drive, np.random.default_rng(0))

    def query(self, tracker: PoseTracker, k: int, turns: GlobalTurns) -> Query:
        """With the track's prior unless it is the turn of a global one, or the track is in doubt."""
        query, believed = Query.of(self.frames.frame(self.rows[k]).image), tracker.believed()
        if turns.is_next() or believed is None or tracker.is_contradicted:
            return query
        estimate = tracker.estimate(self.stamps_ns[k], self.odometry[k], OPTIONS)
        assert estimate is not None
        manifest = self.localizer.landmark_map.manifest
        prior = prior_of(estimate, self.base_from_camera, None, manifest, None)
        return Query(query.views, query.stamp_ns, prior)

    def follow(self, tracker: PoseTracker, k: int, result: PoseEstimate) -> bool:
        """Whether the track believes it."""
        base = result.map_from_camera @ invert(self.base_from_camera)
        covariance = moved_covariance(result.covariance, base[:3, 3] - result.map_from_camera[:3, 3])
        fix = Fix(self.stamps_ns[k], base, self.odometry[k], "map", covariance=covariance)
        try:
            tracker.follow(tracker.begin(fix.stamp_ns), fix, fix.stamp_ns, OPTIONS)
        except RefusedError:
            return False
        return True


def compared(robot: Robot, global_every: int) -> Matrix:
    """Of each image milliseconds of the processor and cm, global and tracking (N, 4); infinite cm: refused."""
    tracker, turns, found = PoseTracker(), GlobalTurns(global_every), []
    for k, row in enumerate(robot.rows):
        tracker.move(robot.stamps_ns[k], robot.odometry[k], OPTIONS)
        asked = {"tracking": robot.query(tracker, k, turns), "global": Query.of(robot.frames.frame(row).image)}
        told = {}
        for name in sorted(asked, reverse=bool(k % 2)):
            start = time.process_time()
            result = robot.localizer.localize(asked[name])
            cm = np.inf
            if isinstance(result, PoseEstimate):
                cm = 100 * pose_error(result.map_from_camera, robot.frames.map_from_camera(row)).translation_m
                if name == "tracking":
                    robot.follow(tracker, k, result)
            told[name] = 1e3 * (time.process_time() - start), cm
        found.append((*told["global"], *told["tracking"]))
    return np.array(found)


def wrong_step(rng: np.random.Generator, metres: float, radians: float) -> Matrix:
    """So far in any direction, and turned so far about the vertical."""
    direction = rng.standard_normal(3) * (1, 1, 0)
    turn = np.array([0, 0, radians * rng.choice([-1, 1])])
    return np.concatenate([metres * direction / np.linalg.norm(direction), turn])


def recovered(robot: Robot, start: int, offset: Matrix, global_every: int) -> tuple[int, int]:
    """Images until the filtered pose is right, and wrong fixes that were believed."""
    tracker, turns, wrong = PoseTracker(), GlobalTurns(global_every), 0
    truth = robot.drive.map_from_base
    believed = Fix(robot.stamps_ns[start], perturb(truth[start], offset), robot.odometry[start], "map", covariance=SURE)
    tracker.follow(tracker.begin(believed.stamp_ns), believed, believed.stamp_ns, OPTIONS)
    for count, k in enumerate(range(start + 1, min(start + 1 + SIGHTS, len(robot.rows))), start=1):
        tracker.move(robot.stamps_ns[k], robot.odometry[k], OPTIONS)
        result = robot.localizer.localize(robot.query(tracker, k, turns))
        if isinstance(result, PoseEstimate) and robot.follow(tracker, k, result):
            error = pose_error(result.map_from_camera, robot.frames.map_from_camera(robot.rows[k]))
            wrong += bool(not error.within(NOT_WRONG_POSE) and (result.confidence or 0.0) > 0.5)
        estimate = tracker.estimate(robot.stamps_ns[k], robot.odometry[k], OPTIONS)
        assert estimate is not None
        if pose_error(estimate.map_from_base, truth[k]).within(RIGHT_POSE):
            return count, wrong
    return SIGHTS + 1, wrong


def saved_figures(found: Matrix) -> dict[str, object]:
    global_ms, global_cm, tracking_ms, tracking_cm = found.T
    return {
        "images": len(found),
        "global_ms": float(np.median(global_ms)),
        "tracking_ms": float(np.median(tracking_ms)),
        "ratio": float(np.mean(tracking_ms) / np.mean(global_ms)),
        "global_cm": float(np.median(global_cm)),
        "tracking_cm": float(np.median(tracking_cm)),
        "global_refused": int(np.isinf(global_cm).sum()),
        "tracking_refused": int(np.isinf(tracking_cm).sum()),
    }


def recovery_figures(found: list[tuple[int, int]]) -> dict[str, object]:
    images, wrong = np.array(found).T
    return {
        "wrong_priors": len(found),
        "most_images": int(images.max()),
        "mean_images": float(images.mean()),
        "wrong_published": int(wrong.sum()),
    }


if __name__ == "__main__":
    main()
