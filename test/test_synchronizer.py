"""Images of several cameras become moments, whatever one of the cameras does."""

from collections.abc import Sequence

import numpy as np
import pytest

from vloc_ros.core.synchronizer import MAX_PENDING, Moment, Synchronizer, SyncOptions
from vloc_ros.errors import ConfigError

MS = 1_000_000
RIG = ("front", "left", "rear")
Arrival = tuple[str, int, int]  # camera, stamp and time of arrival in milliseconds


def moments_of(
    arrivals: Sequence[Arrival], tolerance_ms: int = 0, wait_ms: int = 100, cameras: Sequence[str] = RIG
) -> list[tuple[int, dict[str, int]]]:
    """When each moment was given, ms, and the stamps in it, ms. Polled every millisecond; no flush."""
    made: Synchronizer[str] = Synchronizer(cameras, SyncOptions(tolerance_ms / 1000, wait_ms / 1000))
    found: list[tuple[int, Moment[str]]] = []
    waiting = sorted(arrivals, key=lambda arrival: arrival[2])
    for now in range(waiting[0][2], waiting[-1][2] + wait_ms + 2):
        while waiting and waiting[0][2] == now:
            camera, stamp, _ = waiting.pop(0)
            found += [(now, each) for each in made.add(camera, stamp * MS, f"{camera} {stamp}", now * MS)]
        found += [(now, each) for each in made.poll(now * MS)]
    assert not made.is_waiting
    for _, moment in found:
        assert [image.item for image in moment.images.values()] == [
            f"{camera} {image.stamp_ns // MS}" for camera, image in moment.images.items()
        ]
        assert list(moment.images) == [camera for camera in cameras if camera in moment.images]
    return [(now, {c: image.stamp_ns // MS for c, image in moment.images.items()}) for now, moment in found]


def at_rate(camera: str, period: int, count: int, start: int = 0, delay: int = 10) -> list[Arrival]:
    return [(camera, start + k * period, start + k * period + delay) for k in range(count)]


def test_equal_stamps_are_one_moment_that_is_given_with_its_last_image() -> None:
    arrivals = [("rear", 5, 10), ("front", 5, 12), ("left", 5, 20)]
    assert moments_of(arrivals) == [(20, {"front": 5, "left": 5, "rear": 5})]


def test_the_stamp_is_that_of_the_rigs_first_camera_that_took_part() -> None:
    made: Synchronizer[int] = Synchronizer(RIG, SyncOptions(0.01))
    made.add("rear", 100 * MS, 0, 0)
    made.add("left", 103 * MS, 0, 0)
    (moment,) = made.flush()
    assert (moment.stamp_ns, len(moment)) == (103 * MS, 2)


def test_without_tolerance_other_stamps_are_other_moments_in_their_order() -> None:
    arrivals = [("left", 7, 10), ("front", 5, 12), ("rear", 7, 14)]
    stamps = [found for _, found in moments_of(arrivals)]
    assert stamps == [{"front": 5}, {"left": 7, "rear": 7}]


def test_within_the_tolerance_the_nearest_stamps_are_one_moment() -> None:
    arrivals = [
        *(("front", 33 * k, 33 * k + 5) for k in range(10)),
        *(("left", 33 * k + 4, 33 * k + 9) for k in range(10)),
        *(("rear", 33 * k - 6, 33 * k + 12) for k in range(10)),
    ]
    found = moments_of(arrivals, tolerance_ms=10)
    assert [stamps for _, stamps in found] == [
        {"front": 33 * k, "left": 33 * k + 4, "rear": 33 * k - 6} for k in range(10)
    ]
    assert [now for now, _ in found] == [33 * k + 12 for k in range(10)], "each with its last image, at once"


@pytest.mark.parametrize("offset", [11, 16, 25])
def test_stamps_farther_apart_than_the_tolerance_are_never_one_moment(offset: int) -> None:
    arrivals = [*at_rate("front", 100, 5), *at_rate("left", 100, 5, offset)]
    found = [stamps for _, stamps in moments_of(arrivals, tolerance_ms=10, cameras=RIG[:2])]
    assert [len(stamps) for stamps in found] == [1] * 10


def test_a_late_image_is_waited_for() -> None:
    arrivals = [*at_rate("front", 100, 4), *at_rate("left", 100, 4, delay=70), *at_rate("rear", 100, 4)]
    found = moments_of(arrivals)
    assert [len(stamps) for _, stamps in found] == [3] * 4
    assert [now for now, _ in found] == [70, 170, 270, 370]


def test_an_image_that_is_later_than_the_wait_is_dropped_and_counted() -> None:
    made: Synchronizer[int] = Synchronizer(RIG[:2], SyncOptions(wait_s=0.1))
    assert made.add("front", 0, 0, 0) == []
    assert [list(moment.images) for moment in made.poll(100 * MS)] == [["front"]]
    assert made.add("left", 0, 0, 150 * MS) == []
    assert made.late == {"front": 0, "left": 1}


def test_a_camera_that_falls_silent_costs_one_wait_and_comes_back_by_itself() -> None:
    left = [*at_rate("left", 50, 4), *at_rate("left", 50, 4, 500)]
    found = moments_of([*at_rate("front", 50, 16), *left], wait_ms=120, cameras=RIG[:2])
    assert [sorted(stamps) for _, stamps in found] == [
        ["front", "left"] if k < 4 or 11 <= k < 14 else ["front"] for k in range(16)
    ], "its first image after the silence came unexpected, the others in time"
    delays = [now - stamps["front"] for now, stamps in found]
    assert delays[:4] == [10] * 4
    assert delays[4] == 10 + 120, "the first one that it is missing in"
    assert delays[7:10] == [10] * 3, "and no more"
    assert delays[10:14] == [10] * 4


def test_a_camera_that_never_comes_costs_one_wait() -> None:
    found = moments_of([*at_rate("front", 200, 5), *at_rate("left", 200, 5)])
    assert [now - stamps["front"] for now, stamps in found] == [110, 10, 10, 10, 10]


def test_a_camera_at_a_third_of_the_rate_is_not_waited_for_when_it_is_not_due() -> None:
    found = moments_of([*at_rate("front", 33, 30), *at_rate("left", 99, 10)], wait_ms=90, cameras=RIG[:2])
    assert [len(stamps) for _, stamps in found] == [2, 1, 1] * 10
    assert {now - stamps["front"] for now, stamps in found[9:]} == {10}


def test_images_out_of_order_join_their_moments_while_these_wait() -> None:
    arrivals = [("front", 0, 1), ("front", 50, 2), ("left", 50, 3), ("left", 0, 4)]
    found = [stamps for _, stamps in moments_of(arrivals, cameras=RIG[:2])]
    assert found[0]["front"] == 0
    assert found[-1] == {"front": 50, "left": 50}
    stamps = [min(each.values()) for each in found]
    assert stamps == sorted(stamps)


def test_one_camera_is_never_waited_with() -> None:
    found = moments_of(at_rate("front", 33, 10), cameras=("front",))
    assert [now - stamps["front"] for now, stamps in found] == [10] * 10


def test_memory_is_bounded_whatever_comes() -> None:
    made: Synchronizer[int] = Synchronizer(RIG, SyncOptions(wait_s=10.0))
    given = sum(len(made.add("front", k * MS, k, 0)) for k in range(1000))
    assert len(made.flush()) == MAX_PENDING
    assert given == 1000 - MAX_PENDING


def test_when_stamps_go_back_it_begins_anew() -> None:
    made: Synchronizer[int] = Synchronizer(RIG[:2], SyncOptions())
    for second in (100, 101, 102):
        made.add("front", second * 1000 * MS, 0, 0)
        made.add("left", second * 1000 * MS, 0, 0)
    assert made.add("left", 5000 * MS, 1, 0) == []
    (moment,) = made.add("front", 5000 * MS, 2, 0)
    assert {camera: image.item for camera, image in moment.images.items()} == {"front": 2, "left": 1}


@pytest.mark.parametrize("seed", range(20))
def test_every_image_in_time_is_given_once_in_order_and_within_the_tolerance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tolerance, arrivals = int(rng.integers(0, 20)), list[Arrival]()
    for camera in RIG:
        period, delay = int(rng.integers(20, 80)), int(rng.integers(1, 60))
        stamps = [int(k * period + rng.integers(0, 5)) for k in range(20) if rng.random() < 0.8]
        came = 0
        for stamp in stamps:
            came = max(came, stamp + delay + int(rng.integers(0, 5)))
            arrivals.append((camera, stamp, came))
    found = moments_of(arrivals, tolerance_ms=tolerance, wait_ms=100)
    assert all(max(stamps.values()) - min(stamps.values()) <= tolerance for _, stamps in found)
    given = [(camera, stamp) for _, stamps in found for camera, stamp in stamps.items()]
    assert len(set(given)) == len(given)
    firsts = [min(stamps.values()) for _, stamps in found]
    assert firsts == sorted(firsts)
    lost = {(camera, stamp) for camera, stamp, _ in arrivals} - set(given)
    assert len(lost) <= 0.1 * len(arrivals), lost


@pytest.mark.parametrize("bad", [{"tolerance_s": -0.1}, {"wait_s": float("nan")}, {"wait_s": 11.0}])
def test_impossible_options_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"cameras: {next(iter(bad))} is "):
        SyncOptions(**bad)
