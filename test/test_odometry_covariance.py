"""What odometry says of its own noise: believed where it is plausible, and then what the filter adds."""

import math

import numpy as np
import pytest

from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.transforms import Matrix, moved_covariance
from vloc_ros.tracking.odometry_covariance import (
    GAP_NS,
    KEPT_NS,
    UNKNOWN,
    OdometryCovariances,
    OdometryReading,
    Source,
    Verdict,
)
from vloc_ros.tracking.pose_filter import FilterOptions, Measurement, begin, predicted

STEP_NS = NS_PER_S // 50
STEP = perturb(np.eye(4), np.array([0.01, 0, 0, 0, 0, 0.01]))
NOISE = np.diag([2e-6, 1e-6, 0, 0, 0, 4e-7])  # new at every step, along the axes of odom
SILENT = np.zeros((6, 6))
TWIST = np.diag([0.1**2, 0.05**2, UNKNOWN, UNKNOWN, UNKNOWN, 0.04**2])  # as drivers of wheels have it


def told(
    covariances: OdometryCovariances,
    count: int,
    pose: Matrix = SILENT,
    twist: Matrix = SILENT,
    noise: Matrix = SILENT,
) -> list[Verdict]:
    """A robot that drives a curve; the verdicts that were new."""
    odom_from_base, covariance, verdicts = np.eye(4), pose, []
    for number in range(count):
        if number:
            lever = odom_from_base[:3, :3] @ STEP[:3, 3]
            odom_from_base = odom_from_base @ STEP
            if noise.any():
                covariance = moved_covariance(covariance, lever) + noise
        found = covariances.add(OdometryReading(number * STEP_NS, odom_from_base, covariance, twist))
        verdicts += [found] if found else []
    return verdicts


def test_the_growth_of_the_pose_covariance_is_what_was_added() -> None:
    covariances = OdometryCovariances()
    (verdict,) = told(covariances, 100, noise=NOISE, twist=TWIST)
    assert verdict.source is Source.POSE
    for steps in (1, 10):
        found = covariances.between(30 * STEP_NS, (30 + steps) * STEP_NS)
        assert found is not None
        np.testing.assert_allclose(np.diag(found.covariance)[[2, 3, 4]], 0, atol=1e-18)
        assert found.covariance[5, 5] == pytest.approx(steps * 4e-7, rel=1e-6)
        assert found.covariance[0, 0] == pytest.approx(steps * 2e-6, rel=0.02), "and a little by the headings"
        assert found.known.tolist() == [True, True, False, False, False, True]


def test_a_constant_pose_covariance_says_nothing_and_the_twist_is_used() -> None:
    covariances = OdometryCovariances()
    (verdict,) = told(covariances, 100, np.diag([1e-3, 1e-3, 1e6, 1e6, 1e6, 1e-2]), TWIST)
    assert verdict.source is Source.TWIST
    assert "twist covariance" in str(verdict)
    found = covariances.between(10 * STEP_NS, 60 * STEP_NS)
    assert found is not None
    seconds = STEP_NS / NS_PER_S
    assert found.covariance[5, 5] == pytest.approx(50 * (0.04 * seconds) ** 2)
    assert np.trace(found.covariance[:2, :2]) == pytest.approx(50 * (0.1**2 + 0.05**2) * seconds**2)
    quarter = covariances.between(10 * STEP_NS + STEP_NS // 4, 10 * STEP_NS + STEP_NS // 2)
    assert quarter is not None
    assert quarter.covariance[5, 5] == pytest.approx((0.04 * seconds) ** 2 / 4)


@pytest.mark.parametrize(
    ("pose", "twist", "why"),
    [
        (SILENT, SILENT, "twist covariance says nothing"),
        (np.eye(6) * 1e-12, np.eye(6) * 1e-12, "twist covariance is not plausible"),
        (np.eye(6) * 1e9, np.eye(6) * 1e9, "twist covariance says nothing"),
        (np.full((6, 6), math.nan), np.diag([-1.0] * 6), "twist covariance says nothing"),
        (np.eye(6) * 100, np.eye(6) * 900, "twist covariance is not plausible"),
    ],
)
def test_what_is_not_plausible_is_not_used(pose: Matrix, twist: Matrix, why: str) -> None:
    covariances = OdometryCovariances()
    (verdict,) = told(covariances, 100, pose, twist)
    assert verdict.source is Source.OPTIONS
    assert why in str(verdict)
    assert covariances.between(0, STEP_NS) is None


def test_nothing_is_said_of_times_without_messages() -> None:
    covariances = OdometryCovariances()
    told(covariances, 100, twist=TWIST)
    end_ns = 99 * STEP_NS
    assert covariances.between(end_ns, end_ns + GAP_NS // 2) is not None, "a message that is late"
    assert covariances.between(end_ns, end_ns + 2 * GAP_NS) is None
    assert covariances.between(-STEP_NS, end_ns) is None
    covariances.add(OdometryReading(end_ns + 2 * GAP_NS, np.eye(4), SILENT, TWIST))
    assert covariances.between(0, end_ns) is None, "after a gap, all begins anew"


def test_a_long_drive_fills_no_memory() -> None:
    covariances = OdometryCovariances()
    steps = 3 * KEPT_NS // STEP_NS
    told(covariances, steps, twist=TWIST)
    newest_ns = (steps - 1) * STEP_NS
    assert covariances.between(newest_ns - KEPT_NS, newest_ns) is not None
    assert covariances.between(0, STEP_NS) is None


def test_the_filter_adds_what_odometry_says_along_the_axes_of_the_map() -> None:
    covariances, seconds = OdometryCovariances(), STEP_NS / NS_PER_S
    told(covariances, 100, twist=np.diag([0.2**2, 1e-9, 0, 0, 0, 0.04**2]))
    left = perturb(np.eye(4), np.array([0, 0, 0, 0, 0, math.pi / 2]))  # odom's x is the map's y
    start = begin(Measurement(0, left, np.eye(4), np.eye(6) * 1e-6), FilterOptions())
    said, by_options, without = (
        predicted(start, stamp_ns, STEP, options).covariance
        for stamp_ns, options in (
            (20 * STEP_NS, FilterOptions(said=covariances)),
            (20 * STEP_NS, FilterOptions()),
            (0, FilterOptions(said=covariances)),
        )
    )
    assert said[1, 1] - without[1, 1] == pytest.approx(20 * (0.2 * seconds) ** 2, rel=0.05)
    assert said[0, 0] - without[0, 0] < 0.05 * (said[1, 1] - without[1, 1])
    assert said[5, 5] - without[5, 5] == pytest.approx(20 * (0.04 * seconds) ** 2)
    assert said[2, 2] == pytest.approx(by_options[2, 2]), "of heights it says nothing"
