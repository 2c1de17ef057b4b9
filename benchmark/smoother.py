"""What a smoother over the last seconds would add to the filter, on drives with odometry that drifts.

python benchmark/smoother.py --map maps/demo_room --dataset synthetic_room --split drive

For linear models and normal errors, a smoother's newest pose is the filter's. What it may do better: judge by what came
after it how far a fix is off, and so how little it counts (Student's t). `smoother`: after every image, the fixes of
the last seconds are smoothed forward and backward, weighed anew by what they are off then, and filtered again, three
times. `1 s ago`: of the image of a second before, which is no pose that a robot drives by.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from results import Results
from tracking import OPTIONS, Drive, asked_for, nees, odometry_of

from vloc_ros.geometry.pose_error import error_vector
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import Matrix
from vloc_ros.tracking.pose_filter import (
    DEGREES_OF_FREEDOM,
    POSE,
    SIZE,
    Estimate,
    Measurement,
    begin,
    corrected,
    predicted,
)

WINDOW_S, ROUNDS, STEP = 3.0, 3, 1e-3
COLUMNS = {
    "drive": "{drive}",
    "position error p95: filter": "{filter_cm:.2f} cm",
    "smoother": "{smoother_cm:.2f} cm",
    "NEES / 6: filter": "{filter_nees:.2f}",
    "smoother ": "{smoother_nees:.2f}",
    "1 s ago, p95: filter": "{filter_past_cm:.2f} cm",
    "smoother  ": "{smoother_past_cm:.2f} cm",
}
Errors = list[tuple[Matrix, Matrix]]


def main() -> None:
    options, data, asked = asked_for(__doc__, seeds=3)
    results = Results(f"{data}, {WINDOW_S:g} s", COLUMNS)
    for name, drives in list(asked.items())[:2]:
        results.add(drive=name, **figures(drives, options.seeds))
    results.write(options.json)


def figures(drives: Sequence[Drive], seeds: int) -> dict[str, float]:
    found: tuple[Errors, Errors, Errors, Errors] = ([], [], [], [])
    for seed in range(seeds):
        for number, drive in enumerate(drives):
            compare(drive, odometry_of(drive, np.random.default_rng([seed, number])), *found)
    filtered, smoothed, filtered_past, smoothed_past = found
    return {
        "filter_cm": p95_cm(filtered),
        "smoother_cm": p95_cm(smoothed),
        "filter_nees": nees(filtered),
        "smoother_nees": nees(smoothed),
        "filter_past_cm": p95_cm(filtered_past),
        "smoother_past_cm": p95_cm(smoothed_past),
    }


def compare(
    drive: Drive, odometry: Matrix, filtered: Errors, smoothed: Errors, filtered_past: Errors, smoothed_past: Errors
) -> None:
    """Once along a drive: the filter as it is, and at every fix a smoother that begins with what the filter said before
    the window."""
    told: list[tuple[int, Measurement, Estimate]] = []
    for k, (stamp_ns, fix) in enumerate(zip(drive.stamps_ns, drive.fixes, strict=True)):
        if fix is None:
            continue
        seen = Measurement(stamp_ns, fix[0], odometry[k], fix[1])
        estimate = told[-1][2] if told else begin(seen, OPTIONS.filter)
        if told:
            estimate = corrected(predicted(estimate, stamp_ns, odometry[k], OPTIONS.filter), seen, OPTIONS.filter)
        told.append((k, seen, estimate))
        inside = [each for each in told if stamp_ns - each[1].stamp_ns <= WINDOW_S * NS_PER_S]
        if len(inside) < 3:
            continue
        track = forward_backward(inside[0][2], [each[1] for each in inside[1:]])
        filtered.append(off(estimate, drive.map_from_base[k]))
        smoothed.append(off(track[-1], drive.map_from_base[k]))
        past = [n for n, each in enumerate(inside) if stamp_ns - each[1].stamp_ns >= NS_PER_S]
        if past and past[-1]:
            row, _, then = inside[past[-1]]
            filtered_past.append(off(then, drive.map_from_base[row]))
            smoothed_past.append(off(track[past[-1] - 1], drive.map_from_base[row]))


def forward_backward(start: Estimate, fixes: Sequence[Measurement]) -> list[Estimate]:
    """The smoothed estimate of each fix, of the newest last."""
    weighed = list(fixes)
    for _ in range(ROUNDS):
        before, after, transitions = forward(start, weighed)
        smoothed = backward(before, after, transitions)
        weighed = [
            replace(fix, covariance=fix.covariance / weight(fix, each))
            for fix, each in zip(fixes, smoothed, strict=True)
        ]
    return smoothed


def forward(start: Estimate, fixes: Sequence[Measurement]) -> tuple[list[Estimate], list[Estimate], list[Matrix]]:
    """Before and after each fix, and how errors have moved to there."""
    before, after, transitions, estimate = [], [], [], start
    for fix in fixes:
        transitions.append(transition(estimate, fix))
        before.append(predicted(estimate, fix.stamp_ns, fix.odom_from_base, OPTIONS.filter))
        estimate = corrected(before[-1], fix, OPTIONS.filter)
        after.append(estimate)
    return before, after, transitions


def backward(before: list[Estimate], after: list[Estimate], transitions: list[Matrix]) -> list[Estimate]:
    """Rauch, Tung and Striebel's pass."""
    smoothed = [after[-1]]
    for k in range(len(after) - 2, -1, -1):
        here, expected, later = after[k], before[k + 1], smoothed[0]
        gain = np.linalg.solve(expected.whole_covariance, transitions[k + 1] @ here.whole_covariance).T
        change = later.whole_covariance - expected.whole_covariance
        covariance = here.whole_covariance + gain @ change @ gain.T
        smoothed.insert(0, replace(moved(here, gain @ between(later, expected)), whole_covariance=covariance))
    return smoothed


def weight(fix: Measurement, smoothed: Estimate) -> float:
    """Of Student's t for what a fix is off from the smoothed pose."""
    error = error_vector(fix.map_from_base, smoothed.map_from_base)
    square = float(error @ np.linalg.solve(fix.covariance + smoothed.covariance, error))
    return (DEGREES_OF_FREEDOM + 6) / (DEGREES_OF_FREEDOM + max(6.0, square))


def transition(estimate: Estimate, fix: Measurement) -> Matrix:
    """How errors of an estimate move to a fix (14, 14), by differences."""
    there = predicted(estimate, fix.stamp_ns, fix.odom_from_base, OPTIONS.filter)
    columns = [
        between(predicted(moved(estimate, STEP * axis), fix.stamp_ns, fix.odom_from_base, OPTIONS.filter), there) / STEP
        for axis in np.eye(SIZE)
    ]
    return np.stack(columns, axis=1)


def moved(estimate: Estimate, error: Matrix) -> Estimate:
    return replace(
        estimate,
        map_from_base=perturb(estimate.map_from_base, error[POSE]),
        fix_error=estimate.fix_error + error[6:12],
        scale=estimate.scale + float(error[12]),
        pull_rad_per_m=estimate.pull_rad_per_m + float(error[13]),
    )


def between(one: Estimate, other: Estimate) -> Matrix:
    """The error (14,) by which one differs from another."""
    learned = [one.scale - other.scale, one.pull_rad_per_m - other.pull_rad_per_m]
    pose = error_vector(one.map_from_base, other.map_from_base)
    return np.concatenate([pose, one.fix_error - other.fix_error, learned])


def off(estimate: Estimate, truth: Matrix) -> tuple[Matrix, Matrix]:
    return error_vector(estimate.map_from_base, truth), estimate.covariance


def p95_cm(errors: Errors) -> float:
    return 100 * float(np.percentile([np.linalg.norm(error[:3]) for error, _ in errors], 95))


if __name__ == "__main__":
    main()
