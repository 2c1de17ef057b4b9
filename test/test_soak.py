"""The soak's faults follow from its seed, and its check of states finds what is wrong and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from soak_faults import Kind, active, drive_indices, plan_faults
from soak_states import StateLog

from vloc_ros.core.types import RejectionReason
from vloc_ros.tracking.state import State
from vloc_ros.tracking.status import ImageReport, Refusal, Status

HOUR_S = 3600.0
REFUSED = Refusal(RejectionReason.NO_POSE, "dark")


def status(state: State, image_s: float | None = None, is_fix: bool = True, **values: object) -> Status:
    image = None
    if image_s is not None:
        image = ImageReport(int(image_s * 1e9), latency_ms=50.0, refusal=None if is_fix else REFUSED)
    return replace(Status(state, map_id="a", image=image), **values)  # type: ignore[arg-type]


def told(*statuses: tuple[float, Status]) -> StateLog:
    log = StateLog()
    for now_s, one in statuses:
        log.heard(one, now_s)
    return log


def test_the_same_seed_gives_the_same_faults_and_another_one_others() -> None:
    assert plan_faults(1, HOUR_S) == plan_faults(1, HOUR_S) != plan_faults(2, HOUR_S)


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_comes_before_any_comes_again_and_all_end_in_time(seed: int) -> None:
    faults = plan_faults(seed, HOUR_S)
    assert {fault.kind for fault in faults[: len(Kind)]} == set(Kind)
    begins = [fault.begin_s for fault in faults]
    assert begins == sorted(begins)
    assert all(fault.begin_s <= fault.end_s <= HOUR_S for fault in faults)
    assert all(active(faults, fault.kind, fault.begin_s) for fault in faults if fault.kind is not Kind.CARRIED)


def test_the_drive_goes_on_frame_by_frame_but_where_the_robot_is_carried() -> None:
    faults = plan_faults(3, 600.0)
    indices = np.array(drive_indices(150, 3000, 5.0, faults))
    assert indices.min() >= 0
    assert indices.max() == 149
    jumps = np.flatnonzero(np.abs(np.diff(indices)) > 1) + 1
    carried = [fault.begin_s for fault in faults if fault.kind is Kind.CARRIED]
    assert len(jumps) <= len(carried)  # a jump over the end of the drive may land nearby
    assert all(min(abs(jump / 5.0 - at_s) for at_s in carried) <= 0.2 for jump in jumps)


def test_a_whole_life_is_explained() -> None:
    log = told(
        (0.0, status(State.UNINITIALIZED)),
        (1.0, status(State.LOCALIZING)),
        (2.1, status(State.LOCALIZED, 2.0)),
        (3.1, status(State.LOCALIZED, 3.0, is_fix=False)),
        (4.3, status(State.LOST, 4.2, is_fix=False)),
        (5.1, status(State.LOCALIZED, 5.0)),
        (5.2, status(State.LOST, 5.0, sigma_m=2.0)),
        (7.1, status(State.LOST, 5.0)),  # said by a process that had to wait
        (7.2, status(State.LOCALIZING, 5.0, map_id="b")),
    )
    assert log.unexplained == []
    assert log.followed[State.LOCALIZED, State.LOST] == 2
    assert log.seconds[State.LOCALIZED] == pytest.approx(2.3)
    log.restarted()
    log.heard(status(State.UNINITIALIZED), 7.3)
    assert log.unexplained == []


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param((9.0, status(State.UNINITIALIZED)), id="the map went away"),
        pytest.param((9.0, status(State.LOCALIZING, 8.9, is_fix=False)), id="the track was reset by nobody"),
        pytest.param((20.0, status(State.LOCALIZED, 2.5, is_fix=False)), id="localized for too long without images"),
        pytest.param((9.0, status(State.LOST, 8.9)), id="lost with a fix just now"),
    ],
)
def test_a_state_that_cannot_be_is_found(wrong: tuple[float, Status]) -> None:
    log = told((1.0, status(State.LOCALIZING)), (2.1, status(State.LOCALIZED, 2.0)), wrong)
    assert len(log.unexplained) == 1


def test_localized_by_an_old_fix_needs_another_one_soon() -> None:
    first = (1.0, status(State.LOCALIZING)), (2.1, status(State.LOCALIZED, 2.0))
    old = (9.0, status(State.LOCALIZED, 8.9, is_fix=False)), (10.1, status(State.LOCALIZED, 10.0, is_fix=False))
    assert len(told(*first, *old).unexplained) == 1


@pytest.mark.parametrize("state", [State.LOST, State.LOCALIZED])
def test_without_any_fix_nothing_is_lost_or_localized(state: State) -> None:
    first = (1.0, status(State.LOCALIZING))
    assert len(told(first, (2.0, status(state)), (3.1, status(state))).unexplained) == 1


def test_a_fix_may_be_heard_after_the_state_that_it_made() -> None:
    log = told((1.0, status(State.UNINITIALIZED, map_id="")), (2.0, status(State.LOCALIZED, 1.5, is_fix=False)))
    log.fixed(2.1)
    log.heard(status(State.LOCALIZED, 2.0), 3.1)
    assert log.unexplained == []
