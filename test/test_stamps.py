"""Times as nanoseconds, as text and as ROS messages have them: no way loses one."""

import numpy as np
import pytest

from vloc_ros.geometry.stamps import NS_PER_S, format_stamp, join_stamp, parse_stamp, split_stamp

NOW_NS = 1_764_345_600_123_456_789
ODD = [0, 1, -1, NS_PER_S - 1, NS_PER_S, -NS_PER_S, -NS_PER_S - 1, NOW_NS, 2**31 * NS_PER_S - 1, -(2**31) * NS_PER_S]


def stamps() -> list[int]:
    return [*ODD, *np.random.default_rng(0).integers(-(2**61), 2**61, 1000).tolist()]


def test_no_way_there_and_back_loses_a_nanosecond() -> None:
    for stamp_ns in stamps():
        assert parse_stamp(format_stamp(stamp_ns)) == stamp_ns
        assert join_stamp(*split_stamp(stamp_ns)) == stamp_ns


def test_a_stamp_is_seconds_with_nine_digits_behind_the_point() -> None:
    assert format_stamp(NOW_NS) == "1764345600.123456789"
    assert format_stamp(5) == "0.000000005"
    assert format_stamp(-5 * NS_PER_S) == "-5.000000000"
    assert format_stamp(-1) == "-0.000000001"


def test_nanoseconds_of_a_message_are_never_negative() -> None:
    for stamp_ns in stamps():
        seconds, nanoseconds = split_stamp(stamp_ns)
        assert 0 <= nanoseconds < NS_PER_S
        assert seconds == stamp_ns // NS_PER_S


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("soon", "stamp 'soon' is not a number"),
        ("", "stamp '' is not a number"),
        ("nan", "is not a number"),
        ("inf", "is not in seconds"),
        ("1764345600123", "is not in seconds: milliseconds?"),
        ("1764345600123456", "is not in seconds: microseconds?"),
        ("1764345600123456789", "is not in seconds: nanoseconds?"),
    ],
)
def test_what_is_no_time_in_seconds_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("?", r"\?")):
        parse_stamp(text)
