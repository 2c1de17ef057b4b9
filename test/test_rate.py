"""A limit of the rate: never more on average, and no less than it must be."""

import numpy as np
import pytest

from vloc_ros.core.rate import RateLimit

MS = 1_000_000


def let_through(arrivals_ns: list[int], max_rate_hz: float) -> list[int]:
    limit = RateLimit()
    return [now_ns for now_ns in arrivals_ns if limit.lets_through(now_ns, max_rate_hz)]


def jittered(rate_hz: float, seconds: float, jitter: float, start_s: float = 1e9) -> list[int]:
    """Arrivals at a rate, each early or late by up to `jitter` of a period."""
    count = int(rate_hz * seconds)
    steps = np.arange(count) + np.random.default_rng(3).uniform(-jitter, jitter, count)
    return [int((start_s + step / rate_hz) * 1e9) for step in np.sort(steps)]


def test_without_a_limit_everything_is_done() -> None:
    arrivals = jittered(30, 2, 0.4)
    assert let_through(arrivals, 0.0) == arrivals


@pytest.mark.parametrize("max_rate_hz", [1, 3, 7, 10, 20, 29, 30, 31, 100])
@pytest.mark.parametrize("jitter", [0.0, 0.2, 0.45])
def test_the_rate_is_what_is_allowed_or_what_there_is(max_rate_hz: float, jitter: float) -> None:
    arrivals = jittered(30, 40, jitter)
    done = len(let_through(arrivals, max_rate_hz)) / 40
    assert done <= max_rate_hz + 2 / 40
    assert done >= 0.8 * min(max_rate_hz, 30)


@pytest.mark.parametrize(("max_rate_hz", "expected"), [(10, 10), (15, 15), (20, 20), (30, 30)])
def test_a_steady_camera_is_thinned_out_evenly(max_rate_hz: float, expected: float) -> None:
    assert len(let_through(jittered(30, 40, 0.0), max_rate_hz)) == pytest.approx(40 * expected, abs=2)


def test_no_burst_after_a_pause() -> None:
    burst = [10**18 + 10_000 * MS + k * 10 * MS for k in range(20)]
    assert len(let_through([10**18, *burst], 10.0)) <= 1 + 3


def test_when_time_goes_back_it_begins_anew() -> None:
    assert let_through([10**18, 10**17, 10**17 + MS], 1.0) == [10**18, 10**17]


def test_a_higher_rate_holds_at_once() -> None:
    limit = RateLimit()
    assert limit.lets_through(10**18, 0.01)
    assert not limit.lets_through(10**18 + 100 * MS, 0.01)
    assert limit.lets_through(10**18 + 100 * MS, 10.0)
