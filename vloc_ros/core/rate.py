"""How often something is done at most."""

from vloc_ros.geometry.stamps import NS_PER_S


class RateLimit:
    """Says which of many things to do, so that it is `max_rate_hz` of them a second on average and not more.

    Half a period early or late is on time: so jitter costs nothing, and of 30 a second 20 are done where 20 are
    allowed, two of three.
    """

    def __init__(self) -> None:
        self._due_ns = 0

    def lets_through(self, now_ns: int, max_rate_hz: float) -> bool:
        """Whether to do what comes at `now_ns`. A rate of 0 is no limit. When time goes back, it begins anew."""
        if max_rate_hz <= 0:
            return True
        period_ns = round(NS_PER_S / max_rate_hz)
        early_ns = self._due_ns - now_ns
        if period_ns / 2 < early_ns <= period_ns * 3 / 2:
            return False
        is_on_time = abs(early_ns) <= period_ns / 2
        self._due_ns = (self._due_ns if is_on_time else now_ns) + period_ns
        return True
