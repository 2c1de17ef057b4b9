"""What is said again and again is said once in a while."""

import math
import threading
import time
from collections.abc import Hashable


class Throttle:
    """Says of anything whether it was last said more than `again_after_s` ago, and then takes it as said; any thread
    may ask."""

    def __init__(self, again_after_s: float) -> None:
        self._again_after_s = again_after_s
        self._lock = threading.Lock()
        self._said_s: dict[Hashable, float] = {}

    def is_due(self, about: Hashable) -> bool:
        """Whether to say it now."""
        now_s = time.monotonic()
        with self._lock:
            is_due = now_s - self._said_s.get(about, -math.inf) > self._again_after_s
            if is_due:
                self._said_s[about] = now_s
        return is_due
