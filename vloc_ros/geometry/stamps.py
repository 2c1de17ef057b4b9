"""Times as whole nanoseconds since 1970, which no float can hold, and how they are written elsewhere."""

from decimal import Decimal, InvalidOperation

NS_PER_S = 1_000_000_000
RESTARTED_NS = NS_PER_S  # time that goes back by more is that of another run of a bag or a simulation
MAX_STAMP_S = 9_000_000_000  # as many nanoseconds as 64 bits can hold
UNITS = (("nanoseconds", 1e17), ("microseconds", 1e14), ("milliseconds", 1e11))  # and what today's time exceeds in it


def format_stamp(stamp_ns: int) -> str:
    """Seconds with nine digits behind the point, as TUM files, bags' images and statuses have them."""
    seconds, nanoseconds = split_stamp(abs(stamp_ns))
    return f"{'-' if stamp_ns < 0 else ''}{seconds}.{nanoseconds:09d}"


def parse_stamp(seconds: str) -> int:
    """Nanoseconds of a stamp that is written in seconds, the inverse of `format_stamp`. Raises ValueError, above all
    for one in another unit."""
    try:
        stamp = Decimal(seconds)
        is_time = abs(stamp) < MAX_STAMP_S
    except InvalidOperation as error:
        raise ValueError(f"stamp {seconds!r} is not a number") from error
    if not is_time:
        unit = next((f": {name}?" for name, least in UNITS if abs(stamp) > least), "")
        raise ValueError(f"stamp {seconds} is not in seconds{unit}")
    return int(stamp.scaleb(9))


def split_stamp(stamp_ns: int) -> tuple[int, int]:
    """Whole seconds, and the nanoseconds from there on (0 to 999,999,999), as ROS messages have them."""
    return divmod(stamp_ns, NS_PER_S)


def join_stamp(seconds: int, nanoseconds: int) -> int:
    """The inverse of `split_stamp`."""
    return int(seconds) * NS_PER_S + int(nanoseconds)
