"""Rates, percentiles and levels."""

import pytest

pytest.importorskip("tf2_ros", reason="ROS 2 is not installed")

from diagnostic_msgs.msg import DiagnosticStatus

from vloc_ros.ros.diagnostics import LEVELS, Statistics, status_message
from vloc_ros.ros.outcome import NOTHING_YET, Outcome
from vloc_ros.tracking.pose_tracker import State

SECOND_NS = 1_000_000_000


def outcome(latency_ms: float, rejection: str = "") -> Outcome:
    return Outcome(stamp_ns=1, latency_ms=latency_ms, result=None, rejection=rejection)


def test_only_localized_is_ok() -> None:
    assert set(LEVELS) == set(State)
    assert [state for state, level in LEVELS.items() if level == DiagnosticStatus.OK] == [State.LOCALIZED]


def test_a_status_holds_values_as_text() -> None:
    status = status_message("/relocalizer", State.LOST, "lost: why", {"inliers": 5, "rejection": ""})
    assert (status.name, status.message, status.level) == ("/relocalizer", "lost: why", LEVELS[State.LOST])
    assert [(pair.key, pair.value) for pair in status.values] == [("inliers", "5"), ("rejection", "")]


def test_before_the_first_image_there_are_no_percentiles() -> None:
    values = Statistics().values(SECOND_NS)
    assert values == {"images": "0", "fixes": "0", "rejections": "0", "rate_hz": "0.0"}
    assert NOTHING_YET.status_values()["rejection"] == NOTHING_YET.summary == "no image yet"


def test_counts_rate_and_percentiles() -> None:
    statistics = Statistics()
    for k in range(100):
        statistics.add(k * SECOND_NS // 10, outcome(float(k), rejection="jump" if k % 4 == 0 else ""))
    values = statistics.values(99 * SECOND_NS // 10)
    assert (values["images"], values["fixes"], values["rejections"]) == ("100", "75", "25")
    assert float(values["rate_hz"]) == pytest.approx(10, abs=0.3)
    assert float(values["latency_ms_p50"]) == pytest.approx(49.5)
    assert float(values["latency_ms_p95"]) == pytest.approx(94, abs=1)
    assert "localize_ms_p50" not in values, "no image got so far"


def test_a_clock_that_goes_back_counts_nothing_from_the_future() -> None:
    statistics = Statistics()
    statistics.add(100 * SECOND_NS, outcome(1.0))
    assert statistics.values(50 * SECOND_NS)["rate_hz"] == "0.0"


def test_every_status_has_the_same_keys() -> None:
    assert outcome(1.0).status_values().keys() == NOTHING_YET.status_values().keys()
