"""What the relocalizer says of itself: the status of the last image, and rates and latencies once a second."""

from collections import deque
from collections.abc import Mapping

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from vloc_ros.tracking.state import State
from vloc_ros.tracking.status import ImageReport, Status

WINDOW = 200  # images that percentiles are taken over
LEVELS = {
    State.UNINITIALIZED: DiagnosticStatus.WARN,
    State.LOCALIZING: DiagnosticStatus.WARN,
    State.LOCALIZED: DiagnosticStatus.OK,
    State.LOST: DiagnosticStatus.ERROR,
}


def to_message(status: Status, node: str) -> DiagnosticStatus:
    """A status of the node of this name, for ~/status."""
    return diagnostic(node, status.state, status.message, status.to_values())


def from_message(message: DiagnosticStatus) -> Status:
    """The status in a message on ~/status. Raises ValueError."""
    return Status.from_values({pair.key: pair.value for pair in message.values})


def diagnostic(name: str, state: State, message: str, values: Mapping[str, object]) -> DiagnosticStatus:
    """A DiagnosticStatus with `values` as text; its level follows from the state."""
    return DiagnosticStatus(
        level=LEVELS[state],
        name=name,
        message=message,
        hardware_id="",
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )


class Statistics:
    """Counts since the start, and rates and percentiles of the last images. One thread adds, another reads."""

    def __init__(self) -> None:
        self._images = self._fixes = 0
        self._latencies_ms: deque[float] = deque(maxlen=WINDOW)
        self._localize_ms: deque[float] = deque(maxlen=WINDOW)
        self._done_ns: deque[int] = deque(maxlen=WINDOW)

    def add(self, now_ns: int, image: ImageReport) -> None:
        """Count an image that was worked on until `now_ns`."""
        self._images += 1
        self._fixes += image.refusal is None
        self._done_ns.append(now_ns)
        self._latencies_ms.append(image.latency_ms)
        if image.localize_ms is not None:
            self._localize_ms.append(image.localize_ms)

    def values(self, now_ns: int) -> dict[str, str]:
        """For a DiagnosticStatus."""
        recent = sum(1 for done in tuple(self._done_ns) if 0 <= now_ns - done <= 5_000_000_000)
        return {
            "images": str(self._images),
            "fixes": str(self._fixes),
            "rejections": str(self._images - self._fixes),
            "rate_hz": f"{recent / 5:.1f}",
            **_percentiles("latency_ms", self._latencies_ms),
            **_percentiles("localize_ms", self._localize_ms),
        }


def _percentiles(name: str, values: deque[float]) -> dict[str, str]:
    if not values:
        return {}
    p50, p95 = np.percentile(tuple(values), (50, 95))
    return {f"{name}_p50": f"{p50:.1f}", f"{name}_p95": f"{p95:.1f}"}
