"""Which stamps an image cannot have."""

from vloc_ros.core.types import RejectionReason
from vloc_ros.tracking.status import RefusedError

MAX_FUTURE_S = 1.0  # stamps this far ahead come from another clock


def refuse_stamp(stamp_ns: int, now_ns: int) -> None:
    """Raises RefusedError for the stamp of an image that cannot be."""

    def refuse(detail: str) -> RefusedError:
        return RefusedError(RejectionReason.BAD_STAMP, detail)

    if stamp_ns == 0:
        raise refuse("the image's stamp is 0: its driver does not set it")
    if stamp_ns < 0:
        raise refuse(f"the image's stamp is negative: {stamp_ns * 1e-9:.3f} s")
    if now_ns == 0:
        raise refuse("use_sim_time is on, and nothing has come on /clock: is the simulation running?")
    ahead_s = (stamp_ns - now_ns) * 1e-9
    if ahead_s > MAX_FUTURE_S:
        raise refuse(f"the image is {ahead_s:.1f} s from the future: are the clocks in step?")
