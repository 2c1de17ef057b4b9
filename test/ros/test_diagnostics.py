"""Rates, percentiles and levels."""

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from vloc_ros.core.types import RejectionReason
from vloc_ros.ros.diagnostics import LEVELS, Statistics, diagnostic, from_message, to_message
from vloc_ros.tracking.state import State
from vloc_ros.tracking.status import FixFigures, ImageReport, Refusal, Status

SECOND_NS = 1_000_000_000


JUMP = Refusal(RejectionReason.JUMP)


def report(latency_ms: float, refusal: Refusal | None = None) -> ImageReport:
    return ImageReport(stamp_ns=1, latency_ms=latency_ms, refusal=refusal)


def test_only_localized_is_ok() -> None:
    assert set(LEVELS) == set(State)
    assert [state for state, level in LEVELS.items() if level == DiagnosticStatus.OK] == [State.LOCALIZED]


def test_a_status_holds_values_as_text() -> None:
    status = diagnostic("/relocalizer", State.LOST, "lost: why", {"inliers": 5, "rejection": ""})
    assert (status.name, status.message, status.level) == ("/relocalizer", "lost: why", LEVELS[State.LOST])
    assert [(pair.key, pair.value) for pair in status.values] == [("inliers", "5"), ("rejection", "")]


def test_before_the_first_image_there_are_no_percentiles() -> None:
    values = Statistics().values(SECOND_NS)
    assert values == {"images": "0", "fixes": "0", "rejections": "0", "rate_hz": "0.0"}
    nothing_yet = Status(State.LOCALIZING)
    assert nothing_yet.to_values()["rejection"] == "no image yet"
    assert nothing_yet.message == "localizing: no image yet"


def test_counts_rate_and_percentiles() -> None:
    statistics = Statistics()
    for k in range(100):
        statistics.add(k * SECOND_NS // 10, report(float(k), JUMP if k % 4 == 0 else None))
    values = statistics.values(99 * SECOND_NS // 10)
    assert (values["images"], values["fixes"], values["rejections"]) == ("100", "75", "25")
    assert float(values["rate_hz"]) == pytest.approx(10, abs=0.3)
    assert float(values["latency_ms_p50"]) == pytest.approx(49.5)
    assert float(values["latency_ms_p95"]) == pytest.approx(94, abs=1)
    assert "localize_ms_p50" not in values, "no image got so far"


def test_a_clock_that_goes_back_counts_nothing_from_the_future() -> None:
    statistics = Statistics()
    statistics.add(100 * SECOND_NS, report(1.0))
    assert statistics.values(50 * SECOND_NS)["rate_hz"] == "0.0"


def test_every_status_has_the_same_keys() -> None:
    full = Status(State.LOST, "f6ad628cb93c", "map", report(1.0, JUMP), dropped=3)
    assert full.to_values().keys() == Status(State.UNINITIALIZED).to_values().keys()


def test_a_status_survives_its_message() -> None:
    image = ImageReport(10**18 + 1, 51.5, 31.2, FixFigures(12, 0.75, 0.5, 0.9), "hall")
    for sent in (Status(State.LOCALIZED, "f6ad628cb93c", "map_hall", image, dropped=3), Status(State.UNINITIALIZED)):
        message = to_message(sent, "/robot/relocalizer")
        assert (message.name, message.level) == ("/robot/relocalizer", LEVELS[sent.state])
        assert message.message == sent.message
        assert from_message(message) == sent
