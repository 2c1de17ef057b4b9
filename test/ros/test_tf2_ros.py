"""TF: what the nodes rely on, of the distribution's tf2_ros or of the overlay's."""

import gc
import weakref
from contextlib import suppress
from math import cos, pi, sin

import numpy as np
import pytest
import tf2_ros
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time
from support.tf_transforms import LATEST, START, at, filled, look_up, matrix, random_transform, transform
from tf2_ros.buffer import Buffer

from vloc_ros.geometry.transforms import Matrix


@pytest.fixture
def forked() -> tuple[Buffer, dict[str, Matrix]]:
    """map <- odom <- base <- camera and map <- odom <- wheel, and each frame's matrix to the map."""
    rng = np.random.default_rng(0)
    edges = [("map", "odom"), ("odom", "base"), ("base", "camera"), ("odom", "wheel")]
    messages = [random_transform(parent, child, rng) for parent, child in edges]
    map_from = {"map": np.eye(4)}
    for message in messages:
        map_from[message.child_frame_id] = map_from[message.header.frame_id] @ matrix(message)
    return filled(*messages), map_from


@pytest.mark.parametrize("target", ["map", "odom", "base", "camera", "wheel"])
@pytest.mark.parametrize("source", ["map", "odom", "base", "camera", "wheel"])
def test_any_two_frames_of_a_tree(forked: tuple[Buffer, dict[str, Matrix]], target: str, source: str) -> None:
    buffer, map_from = forked
    found = buffer.lookup_transform(target, source, at(START))
    np.testing.assert_allclose(matrix(found), np.linalg.inv(map_from[target]) @ map_from[source], atol=1e-12)
    np.testing.assert_allclose(matrix(found) @ look_up(buffer, source, target), np.eye(4), atol=1e-12)
    assert (found.header.frame_id, found.child_frame_id) == (target, source)
    assert Time.from_msg(found.header.stamp).nanoseconds == at(START).nanoseconds


def test_a_rotation_is_a_unit_quaternion_also_if_what_was_sent_is_not() -> None:
    message = transform("map", "base", yaw=1.0)
    message.transform.rotation.z *= 1.001
    message.transform.rotation.w *= 1.001
    rotation = filled(message).lookup_transform("map", "base", LATEST).transform.rotation
    np.testing.assert_allclose([rotation.z, rotation.w], [sin(0.5), cos(0.5)], atol=1e-12)


@pytest.mark.parametrize("yaw", [0.0, 1e-9, 1.0, 0.99 * pi, -0.99 * pi, 1.5 * pi])
def test_between_two_transforms_it_is_interpolated(yaw: float) -> None:
    buffer = filled(transform("map", "base", 100.0), transform("map", "base", 101.0, (4.0, 0.0, -2.0), yaw))
    half = matrix(transform("map", "base", xyz=(2.0, 0.0, -1.0), yaw=(yaw if yaw < pi else yaw - 2 * pi) / 2))
    np.testing.assert_allclose(look_up(buffer, "map", "base", at(100.5)), half, atol=1e-9)
    np.testing.assert_allclose(look_up(buffer, "base", "map", at(100.5)), np.linalg.inv(half), atol=1e-9)


def test_the_order_of_arrival_does_not_matter() -> None:
    messages = [transform("map", "base", 100.0 + t, (float(t), 0.0, 0.0)) for t in (3, 0, 2, 1, 2)]
    assert look_up(filled(*messages), "map", "base", at(101.25))[0, 3] == pytest.approx(1.25)


def test_between_two_parents_the_earlier_one_holds() -> None:
    buffer = filled(
        transform("map", "odom", 100.0),
        transform("map", "odom", 101.0),
        transform("odom", "base", 100.0, (1.0, 0.0, 0.0)),
        transform("map", "base", 101.0, (9.0, 0.0, 0.0)),
    )
    assert look_up(buffer, "odom", "base", at(100.9))[0, 3] == 1.0
    assert look_up(buffer, "map", "base", at(101.0))[0, 3] == 9.0


def test_time_zero_is_the_latest_that_all_frames_have() -> None:
    buffer = filled(
        transform("map", "odom", 100.0),
        transform("map", "odom", 103.0),
        transform("odom", "base", 100.0),
        transform("odom", "base", 101.0, (5.0, 0.0, 0.0)),
    )
    buffer.set_transform_static(transform("base", "camera", 0.0), "test")
    found = buffer.lookup_transform("map", "camera", LATEST)
    assert Time.from_msg(found.header.stamp).nanoseconds == at(101.0).nanoseconds
    assert found.transform.translation.x == 5.0


@pytest.mark.parametrize("seconds", [99.0, 102.0])
def test_outside_of_the_data_is_an_extrapolation(seconds: float) -> None:
    buffer = filled(transform("map", "base", 100.0), transform("map", "base", 101.0))
    with pytest.raises(tf2_ros.ExtrapolationException):
        buffer.lookup_transform("map", "base", at(seconds))
    with pytest.raises(tf2_ros.ExtrapolationException):
        buffer.lookup_transform("base", "map", at(seconds))
    assert not buffer.can_transform("map", "base", at(seconds))
    assert buffer.can_transform("map", "base", at(100.5))


def test_a_single_transform_holds_at_its_time_only() -> None:
    buffer = filled(transform("map", "base"))
    assert buffer.can_transform("map", "base", at(START))
    with pytest.raises(tf2_ros.ExtrapolationException):
        buffer.lookup_transform("map", "base", at(START + 1))


def test_what_lies_above_the_common_ancestor_is_not_needed() -> None:
    buffer = filled(transform("map", "odom", 1.0), transform("odom", "base"), transform("odom", "wheel"))
    assert buffer.can_transform("base", "wheel", at(START))
    assert not buffer.can_transform("map", "wheel", at(START))


def test_errors_say_what_is_wrong() -> None:
    buffer = filled(transform("map", "base"), transform("other_map", "other_base"))
    with pytest.raises(tf2_ros.LookupException, match="nowhere"):
        buffer.lookup_transform("map", "nowhere", LATEST)
    with pytest.raises(tf2_ros.ConnectivityException, match="other_base"):
        buffer.lookup_transform("map", "other_base", LATEST)
    with pytest.raises(tf2_ros.ConnectivityException):
        buffer.lookup_transform("map", "other_base", at(START))
    with pytest.raises(tf2_ros.InvalidArgumentException):
        buffer.lookup_transform("map", "/base", LATEST)
    with pytest.raises(tf2_ros.InvalidArgumentException):
        buffer.lookup_transform("", "base", LATEST)
    possible, why = buffer.can_transform("map", "nowhere", LATEST, return_debug_tuple=True)
    assert not possible
    assert "nowhere" in why
    for name in ("Lookup", "Connectivity", "Extrapolation", "InvalidArgument", "Timeout"):
        assert issubclass(getattr(tf2_ros, f"{name}Exception"), tf2_ros.TransformException)


BUFFER = [
    transform("map", "base", 100.0),
    transform("map", "base", 101.0),
    transform("map", "once", 100.0),
    transform("other_map", "other_base"),
]
# geometry2 0.36, jazzy
TEXTS = [
    ("map", "nowhere", LATEST, '"nowhere" passed to lookupTransform argument source_frame does not exist. '),
    ("nowhere", "map", LATEST, '"nowhere" passed to lookupTransform argument target_frame does not exist. '),
    (
        "",
        "map",
        LATEST,
        'Invalid argument "" passed to lookupTransform argument target_frame - in tf2 frame_ids cannot be empty',
    ),
    (
        "map",
        "/base",
        LATEST,
        'Invalid argument "/base" passed to lookupTransform argument source_frame - '
        "in tf2 frame_ids cannot start with a '/'",
    ),
    (
        "map",
        "other_base",
        LATEST,
        "Could not find a connection between 'map' and 'other_base' because they are not part of the same tree."
        "Tf has two or more unconnected trees.",
    ),
    (
        "map",
        "base",
        at(102.5),
        "Lookup would require extrapolation into the future.  Requested time 102.500000 but the latest data is at time "
        "101.000000, when looking up transform from frame [base] to frame [map]",
    ),
    (
        "base",
        "map",
        at(99.5),
        "Lookup would require extrapolation into the past.  Requested time 99.500000 but the earliest data is at time "
        "100.000000, when looking up transform from frame [map] to frame [base]",
    ),
    (
        "map",
        "once",
        at(101.0),
        "Lookup would require extrapolation at time 101.000000, but only time 100.000000 is in the buffer, when "
        "looking up transform from frame [once] to frame [map]",
    ),
]


@pytest.mark.parametrize(("target", "source", "when", "text"), TEXTS)
def test_errors_have_the_texts_that_people_search_for(target: str, source: str, when: Time, text: str) -> None:
    buffer = filled(*BUFFER)
    with pytest.raises(tf2_ros.TransformException) as caught:
        buffer.lookup_transform(target, source, when)
    assert str(caught.value) == text
    if "lookupTransform" not in text:  # what is no frame is told in other words
        assert buffer.can_transform(target, source, when, return_debug_tuple=True) == (False, text)


def test_a_loop_is_told_with_its_frames() -> None:
    buffer = filled(*(transform(parent, child) for parent, child in ("ab", "bc", "ca", "de")))
    for when in (LATEST, at(START)):
        with pytest.raises(tf2_ros.LookupException) as caught:
            buffer.lookup_transform("a", "e", when)
        first, *frames = str(caught.value).strip().splitlines()
        assert first == "The tf tree is invalid because it contains a loop."
        assert sorted(frames) == [
            f"Frame {child} exists with parent {parent}." for parent, child in ("ca", "ab", "bc", "de")
        ]


def scaled(message: TransformStamped, squared_length: float) -> TransformStamped:
    rotation = message.transform.rotation
    rotation.z, rotation.w = rotation.z * squared_length**0.5, rotation.w * squared_length**0.5
    return message


@pytest.mark.parametrize("squared_length", [0.0, 0.98, 0.9899, 1.0101, 1.02, 4.0, float("inf"), float("nan")])
def test_a_quaternion_that_is_not_of_unit_length_is_ignored(squared_length: float) -> None:
    assert not filled(scaled(transform("map", "base", yaw=1.0), squared_length)).can_transform("map", "base", LATEST)


@pytest.mark.parametrize("squared_length", [0.9901, 1.0, 1.0099])
def test_a_quaternion_of_almost_unit_length_is_used(squared_length: float) -> None:
    """It turns by its angle, and scales what lies behind it by its squared length: upstream's arithmetic."""
    message = scaled(transform("map", "base", yaw=1.0), squared_length)
    buffer = filled(message, transform("base", "camera", xyz=(2.0, 0.0, 0.0)))
    expected = matrix(
        transform("map", "camera", xyz=(2 * squared_length * cos(1), 2 * squared_length * sin(1), 0), yaw=1)
    )
    np.testing.assert_allclose(look_up(buffer, "map", "camera"), expected, atol=1e-12)


def bad_transforms() -> list[TransformStamped]:
    return [
        transform("map", "base", xyz=(float("nan"), 0.0, 0.0)),
        transform("base", "/base"),
        transform("", "base"),
        transform("map", ""),
        scaled(transform("map", "base"), 0.0),
    ]


@pytest.mark.parametrize("number", range(5))
def test_what_is_no_transform_is_ignored(number: int) -> None:
    buffer = filled(bad_transforms()[number])
    assert not buffer.can_transform("map", "base", LATEST)
    with pytest.raises(tf2_ros.LookupException):
        buffer.lookup_transform("base", "map", LATEST)


def test_what_is_ignored_is_told_in_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    filled(*bad_transforms(), transform("map", "ba\nse", xyz=(float("nan"), 0.0, 0.0)))
    told = capfd.readouterr().err
    for code in ("NAN_INPUT", "SELF_TRANSFORM", "NO_FRAME_ID", "NO_CHILD_FRAME_ID", "DENORMALIZED_QUATERNION"):
        assert f"TF_{code}: Ignoring transform " in told
    assert told.count("\n") == 6


def test_the_cache_keeps_ten_seconds_or_what_it_is_told() -> None:
    seconds = (100.0, 104.0, 111.0, 112.0)
    buffer = filled(*(transform("map", "base", t) for t in seconds))
    assert not buffer.can_transform("map", "base", at(100.5))
    assert buffer.can_transform("map", "base", at(104.5))
    short = filled(*(transform("map", "base", t) for t in seconds), cache_time=Duration(seconds=2))
    assert not short.can_transform("map", "base", at(105.0))
    assert short.can_transform("map", "base", at(111.5))
    short.set_transform(transform("map", "base", 100.0), "too late")
    assert not short.can_transform("map", "base", at(105.0))


def test_clear_forgets_what_moves_and_keeps_what_is_static() -> None:
    buffer = filled(transform("map", "base", 100.0), transform("map", "base", 101.0))
    buffer.set_transform_static(transform("base", "camera", xyz=(1.0, 2.0, 3.0)), "test")
    assert buffer.can_transform("map", "camera", at(100.5))
    buffer.clear()
    with pytest.raises(tf2_ros.TransformException):
        buffer.lookup_transform("map", "base", LATEST)
    with pytest.raises(tf2_ros.ExtrapolationException):
        buffer.lookup_transform("map", "base", at(100.5))
    np.testing.assert_array_equal(look_up(buffer, "base", "camera", at(7.0))[:3, 3], [1.0, 2.0, 3.0])
    buffer.set_transform(transform("map", "base", 5.0), "a bag that starts again")
    assert buffer.can_transform("map", "camera", at(5.0))


def test_between_two_times_through_a_fixed_frame() -> None:
    buffer = filled(transform("odom", "base", 100.0), transform("odom", "base", 101.0, (3.0, 0.0, 0.0), pi / 2))
    found = buffer.lookup_transform_full("base", at(101.0), "base", at(100.0), "odom")
    np.testing.assert_allclose(matrix(found) @ [0, 0, 0, 1], [0.0, 3.0, 0.0, 1.0], atol=1e-12)
    assert Time.from_msg(found.header.stamp).nanoseconds == at(101.0).nanoseconds


class Held:
    """What a caller may have in its hands."""


@pytest.mark.parametrize(("target", "stamp_s"), [("odom", 150.0), ("map", 150.0), ("map", 100.0), ("nowhere", 100.0)])
def test_a_look_up_keeps_nothing_of_who_asked_whether_it_succeeds_or_not(target: str, stamp_s: float) -> None:
    """An exception that is left in a cycle holds all frames above it, with their images and networks, until the garbage
    collector comes."""
    moving = [transform("odom", "base", stamp) for stamp in (100.0, 200.0)]
    buffer = filled(transform("map", "odom", 100.0), *moving)

    def ask() -> "weakref.ref[Held]":
        held = Held()
        with suppress(tf2_ros.TransformException):
            buffer.lookup_transform(target, "base", at(stamp_s), Duration(nanoseconds=1))
        return weakref.ref(held)

    gc.disable()
    try:
        assert ask()() is None
    finally:
        gc.enable()
