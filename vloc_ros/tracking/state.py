"""What a robot may believe of its localization."""

from enum import Enum


class State(Enum):
    """What a robot may believe of its localization."""

    UNINITIALIZED = "uninitialized"  # there is no map yet
    LOCALIZING = "localizing"  # no fix so far
    LOCALIZED = "localized"
    LOST = "lost"  # no fix for too long, or nothing left that could make one


def state_of(has_map: bool, seconds_since_fix: float | None, lost_after_s: float) -> State:
    """What may be believed; `seconds_since_fix` is None while there has not been any."""
    if not has_map:
        return State.UNINITIALIZED
    if seconds_since_fix is None:
        return State.LOCALIZING
    return State.LOST if seconds_since_fix > lost_after_s else State.LOCALIZED
