"""Trees of frames over time: set transforms, look up transforms between any two frames of a tree.

What is accepted and what is said are upstream's (geometry2, jazzy), so that whoever looks for a text finds it there.
"""

from collections.abc import Callable, Iterator
from math import isnan
from threading import RLock

from builtin_interfaces.msg import Time as TimeMessage
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from rclpy.duration import Duration
from rclpy.logging import get_logger
from rclpy.time import Time
from std_msgs.msg import Header

from tf2_ros.cache import Cache, Sample, seconds
from tf2_ros.exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TransformException,
)
from tf2_ros.rigid import IDENTITY, Rigid, normalized, squared_length

LENGTH_TOLERANCE = 10e-3  # of a quaternion's squared length
UNKNOWN = "does not exist"


class BufferCore:
    """Keeps the transforms of the last `cache_time`, 10 s by default."""

    def __init__(self, cache_time: Duration | None = None) -> None:
        self._duration_ns: int = (cache_time or Duration(seconds=10)).nanoseconds
        self._caches: dict[str, Cache] = {}
        self._frames: set[str] = set()  # every name ever seen: clear() does not forget them
        self._lock = RLock()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """What cannot be used is logged as an error and ignored."""
        self._set(transform, authority, static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        self._set(transform, authority, static=True)

    def clear(self) -> None:
        """Forget all but the static transforms."""
        with self._lock:
            for cache in self._caches.values():
                cache.clear()

    def lookup_transform_core(self, target_frame: str, source_frame: str, time: Time) -> TransformStamped:
        """The transform that takes points of the source frame to the target frame. Raises TransformException."""
        found, stamp_ns = self._look_up(target_frame, source_frame, _nanoseconds(time))
        return _message(found, target_frame, source_frame, stamp_ns)

    def lookup_transform_full_core(
        self, target_frame: str, target_time: Time, source_frame: str, source_time: Time, fixed_frame: str
    ) -> TransformStamped:
        """The same between two times, through a frame that is fixed between them."""
        for argument, frame in (("target", target_frame), ("source", source_frame), ("fixed", fixed_frame)):
            self._check_frame(argument, frame)
        fixed_from_source, _ = self._look_up(fixed_frame, source_frame, _nanoseconds(source_time))
        target_from_fixed, stamp_ns = self._look_up(target_frame, fixed_frame, _nanoseconds(target_time))
        return _message(target_from_fixed.after(fixed_from_source), target_frame, source_frame, stamp_ns)

    def can_transform_core(self, target_frame: str, source_frame: str, time: Time) -> tuple[bool, str]:
        """Whether `lookup_transform_core` would give a result, and why not."""
        if target_frame == source_frame:
            return True, ""
        frames = {"target": target_frame, "source": source_frame}
        return self._can(frames, lambda: self.lookup_transform_core(target_frame, source_frame, time))

    def can_transform_full_core(
        self, target_frame: str, target_time: Time, source_frame: str, source_time: Time, fixed_frame: str
    ) -> tuple[bool, str]:
        """The same of `lookup_transform_full_core`."""
        arguments = (target_frame, target_time, source_frame, source_time, fixed_frame)
        frames = {"target": target_frame, "source": source_frame, "fixed": fixed_frame}
        return self._can(frames, lambda: self.lookup_transform_full_core(*arguments))

    def _can(self, frames: dict[str, str], look_up: Callable[[], TransformStamped]) -> tuple[bool, str]:
        for argument, frame in frames.items():
            if fault := self._frame_fault(frame):
                why = "frame does not exist" if fault is UNKNOWN else fault
                return False, f'Invalid frame ID "{frame}" passed to canTransform argument {argument}_frame - {why}'
        try:
            look_up()
        except TransformException as error:
            return False, str(error)
        return True, ""

    def _set(self, message: TransformStamped, authority: str, static: bool) -> None:
        parent, child = message.header.frame_id.removeprefix("/"), message.child_frame_id.removeprefix("/")
        transform = _rigid(message.transform)
        faults = list(_faults(parent, child, transform, authority))
        for fault in faults:
            get_logger("tf2").error(_printable(fault))
        if faults:
            return
        sample = Sample(_nanoseconds(message.header.stamp), parent, transform)
        with self._lock:
            self._frames |= {parent, child}
            cache = self._caches.get(child)
            if cache is None or cache.static != static:
                cache = self._caches[child] = Cache(self._duration_ns, static)
            if not cache.insert(sample):
                old = f"for frame {child} at time {seconds(sample.stamp_ns)} according to authority {authority}"
                get_logger("tf2").warning(
                    f"{_printable(f'TF_OLD_DATA ignoring data from the past {old}')}\n"
                    "Possible reasons are listed at http://wiki.ros.org/tf/Errors%20explained"
                )

    def _check_frame(self, argument: str, frame: str) -> None:
        fault = self._frame_fault(frame)
        passed = f"passed to lookupTransform argument {argument}_frame"
        if fault is UNKNOWN:
            raise LookupException(f'"{frame}" {passed} does not exist. ')
        if fault:
            raise InvalidArgumentException(f'Invalid argument "{frame}" {passed} - {fault}')

    def _frame_fault(self, frame: str) -> str:
        if not frame:
            return "in tf2 frame_ids cannot be empty"
        if frame.startswith("/"):
            return "in tf2 frame_ids cannot start with a '/'"
        return "" if frame in self._frames else UNKNOWN

    def _look_up(self, target: str, source: str, stamp_ns: int) -> tuple[Rigid, int]:
        """Transform and its time, which is the latest common one for `stamp_ns` 0."""
        with self._lock:
            if target == source:
                latest = self._caches[target].latest() if target in self._caches else None
                return IDENTITY, stamp_ns or (latest.stamp_ns if latest else 0)
            self._check_frame("target", target)
            self._check_frame("source", source)
            stamp_ns = stamp_ns or self._latest_common_ns(target, source)
            found = self._walk(target, source, stamp_ns)
            return found._replace(rotation=normalized(found.rotation)), stamp_ns

    def _walk(self, target: str, source: str, stamp_ns: int) -> Rigid:
        """Up from both frames, as far as the data go, to where the paths meet."""
        from_source, source_error = self._ancestors(source, stamp_ns)
        from_target, target_error = self._ancestors(target, stamp_ns)
        for ancestor, ancestor_from_target in from_target.items():
            if ancestor in from_source:
                return ancestor_from_target.inverse().after(from_source[ancestor])
        error = target_error or source_error or _unconnected(target, source)
        if isinstance(error, ExtrapolationException):
            between = f"when looking up transform from frame [{source}] to frame [{target}]"
            error = ExtrapolationException(f"{error}, {between}")
        try:
            raise error
        finally:  # its traceback holds this frame and all above it, with all that they hold: no cycle must be left
            del error, source_error, target_error

    def _ancestors(self, frame: str, stamp_ns: int) -> tuple[dict[str, Rigid], TransformException | None]:
        """The transforms from a frame to itself, its parent, and so on up; and what stopped before the root."""
        transforms = {frame: IDENTITY}
        while cache := self._caches.get(frame):
            try:
                sample = cache.at(stamp_ns)
            except ExtrapolationException as error:
                return transforms, error.with_traceback(None)
            if sample.parent in transforms:
                return transforms, self._loop()
            transforms[sample.parent] = sample.transform.after(transforms[frame])
            frame = sample.parent
        return transforms, None

    def _latest_common_ns(self, target: str, source: str) -> int:
        """The latest time at which every moving transform between the frames is known; 0 if none moves."""
        above_source = dict(self._latest_up(source))
        stamps = []
        for meeting, stamp_ns in self._latest_up(target):
            stamps.append(stamp_ns)
            if meeting in above_source:
                break
        else:
            raise _unconnected(target, source)
        names = list(above_source)
        stamps += [above_source[name] for name in names[: names.index(meeting) + 1]]
        return min((stamp_ns for stamp_ns in stamps if stamp_ns), default=0)

    def _latest_up(self, frame: str) -> Iterator[tuple[str, int]]:
        """A frame and each above it, with the stamp of the latest transform that leads to it, 0 for none."""
        seen = {frame}
        yield frame, 0
        while (cache := self._caches.get(frame)) and (sample := cache.latest()):
            if sample.parent in seen:
                raise self._loop()
            frame = sample.parent
            seen.add(frame)
            yield frame, sample.stamp_ns

    def _loop(self) -> LookupException:
        parents = {child: latest.parent for child, cache in self._caches.items() if (latest := cache.latest())}
        frames = "".join(f"Frame {child} exists with parent {parent}.\n" for child, parent in parents.items())
        return LookupException(f"The tf tree is invalid because it contains a loop.\n{frames}\n")


def _unconnected(target: str, source: str) -> ConnectivityException:
    return ConnectivityException(
        f"Could not find a connection between '{target}' and '{source}' because they are not part of the same tree."
        "Tf has two or more unconnected trees."
    )


def _faults(parent: str, child: str, transform: Rigid, authority: str) -> Iterator[str]:
    """Why a transform is ignored."""
    if child == parent:
        yield (
            f'TF_SELF_TRANSFORM: Ignoring transform from authority "{authority}" with frame_id and  '
            f'child_frame_id "{child}" because they are the same'
        )
    if not child:
        yield f'TF_NO_CHILD_FRAME_ID: Ignoring transform from authority "{authority}" because child_frame_id not set '
    if not parent:
        yield (
            f'TF_NO_FRAME_ID: Ignoring transform with child_frame_id "{child}"  from authority "{authority}" '
            "because frame_id not set"
        )
    rotation = f"({' '.join(f'{value:f}' for value in transform.rotation)})"
    if any(map(isnan, (*transform.translation, *transform.rotation))):
        translation = f"({' '.join(f'{value:f}' for value in transform.translation)})"
        yield (
            f'TF_NAN_INPUT: Ignoring transform for child_frame_id "{child}" from authority "{authority}" '
            f"because of a nan value in the transform {translation} {rotation}"
        )
    if not abs(squared_length(transform.rotation) - 1.0) < LENGTH_TOLERANCE:
        yield (
            f'TF_DENORMALIZED_QUATERNION: Ignoring transform for child_frame_id "{child}" from authority "{authority}" '
            f"because of an invalid quaternion in the transform {rotation}"
        )


def _printable(text: str) -> str:
    """On one line, whatever the frames are called."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def _nanoseconds(time: Time | TimeMessage) -> int:
    return int(time.nanoseconds if isinstance(time, Time) else Time.from_msg(time).nanoseconds)


def _rigid(transform: Transform) -> Rigid:
    q, t = transform.rotation, transform.translation
    return Rigid((q.x, q.y, q.z, q.w), (t.x, t.y, t.z))


def _message(found: Rigid, target: str, source: str, stamp_ns: int) -> TransformStamped:
    rotation = Quaternion(**dict(zip("xyzw", normalized(found.rotation), strict=True)))
    translation = Vector3(**dict(zip("xyz", found.translation, strict=True)))
    return TransformStamped(
        header=Header(stamp=Time(nanoseconds=stamp_ns).to_msg(), frame_id=target),
        child_frame_id=source,
        transform=Transform(translation=translation, rotation=rotation),
    )
