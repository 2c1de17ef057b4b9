"""One line that shows what happens while it happens."""

import sys
import time
from collections import deque

from vloc_ros.demo.listener import Listener
from vloc_ros.tracking.status import NO_IMAGE_YET, Status

WINDOW_S = 2.0  # for the rate
WIDTH = 118  # what is longer is cut off


class LiveLine:
    """Rate, latency, inliers and state: rewritten in place on a terminal, otherwise a line a second."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._in_place = sys.stdout.isatty()
        self._shown_s = 0.0
        self._counts: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    def show(self, where: str) -> None:
        """Show what is known now; `where` in the drive we are stands in front."""
        now_s = time.monotonic()
        if now_s - self._shown_s < (0.1 if self._in_place else 1.0):
            return
        self._shown_s = now_s
        line = f"{where:<18}{self._rate(now_s):5.1f} fixes/s  {describe(self._listener.newest_status)}"
        print(f"\r{line:.{WIDTH}}\033[K" if self._in_place else f"{line:.{WIDTH}}\n", end="", flush=True)

    def end(self) -> None:
        """Leave the line as it is."""
        if self._in_place and self._shown_s:
            print(flush=True)

    def _rate(self, now_s: float) -> float:
        self._counts.append((now_s, self._listener.pose_count))
        while now_s - self._counts[0][0] > WINDOW_S:
            self._counts.popleft()
        (first_s, first), (last_s, last) = self._counts[0], self._counts[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else 0.0


def describe(status: Status | None) -> str:
    """A status in a few words."""
    if status is None:
        return "waiting for the relocalizer"
    image = status.image
    if image is None or image.figures is None or image.refusal:
        details = NO_IMAGE_YET if image is None else str(image.refusal)
    else:
        details = f"latency {image.latency_ms:4.0f} ms  {image.figures.inliers:>4} inliers"
    return f"{status.state.value:<15}{details}"
