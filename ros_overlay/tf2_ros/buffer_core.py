"""Trees of frames over time: set transforms, look up transforms between any two frames of a tree."""

from collections.abc import Iterator
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
from tf2_ros.rigid import IDENTITY, Rigid, normalized


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
        for frame in (target_frame, source_frame, fixed_frame):
            self._check_frame(frame)
        fixed_from_source, _ = self._look_up(fixed_frame, source_frame, _nanoseconds(source_time))
        target_from_fixed, stamp_ns = self._look_up(target_frame, fixed_frame, _nanoseconds(target_time))
        return _message(target_from_fixed.after(fixed_from_source), target_frame, source_frame, stamp_ns)

    def _set(self, message: TransformStamped, authority: str, static: bool) -> None:
        parent, child = message.header.frame_id.removeprefix("/"), message.child_frame_id.removeprefix("/")
        what = f"transform {parent!r} -> {child!r} of {authority!r} is ignored"
        try:
            sample = Sample(_nanoseconds(message.header.stamp), parent, _rigid(message.transform))
            if not parent or not child or parent == child:
                raise ValueError("a frame and its parent need two names")
        except ValueError as error:
            get_logger("tf2").error(f"{what}: {error}")
            return
        with self._lock:
            self._frames |= {parent, child}
            cache = self._caches.get(child)
            if cache is None or cache.static != static:
                cache = self._caches[child] = Cache(self._duration_ns, static)
            if not cache.insert(sample):
                get_logger("tf2").warning(f"{what}: it is of {seconds(sample.stamp_ns)}, older than the buffer keeps")

    def _check_frame(self, frame: str) -> None:
        if not frame or frame.startswith("/"):
            raise InvalidArgumentException(f"{frame!r} is no frame: names are not empty and start without a slash")
        if frame not in self._frames:
            raise LookupException(f"frame {frame!r} does not exist")

    def _look_up(self, target: str, source: str, stamp_ns: int) -> tuple[Rigid, int]:
        """Transform and its time, which is the latest common one for `stamp_ns` 0."""
        with self._lock:
            if target == source:
                latest = self._caches[target].latest() if target in self._caches else None
                return IDENTITY, stamp_ns or (latest.stamp_ns if latest else 0)
            self._check_frame(target)
            self._check_frame(source)
            stamp_ns = stamp_ns or self._latest_common_ns(target, source)
            return self._walk(target, source, stamp_ns), stamp_ns

    def _walk(self, target: str, source: str, stamp_ns: int) -> Rigid:
        """Up from both frames, as far as the data go, to where the paths meet."""
        from_source, source_error = self._ancestors(source, stamp_ns)
        from_target, target_error = self._ancestors(target, stamp_ns)
        for ancestor, ancestor_from_target in from_target.items():
            if ancestor in from_source:
                return ancestor_from_target.inverse().after(from_source[ancestor])
        error = target_error or source_error or ConnectivityException("they are in trees that nothing connects")
        raise type(error)(f"{target!r} <- {source!r} at {seconds(stamp_ns)}: {error}")

    def _ancestors(self, frame: str, stamp_ns: int) -> tuple[dict[str, Rigid], TransformException | None]:
        """The transforms from a frame to itself, its parent, and so on up; and what stopped before the root."""
        transforms = {frame: IDENTITY}
        while cache := self._caches.get(frame):
            try:
                sample = cache.at(stamp_ns)
            except ExtrapolationException as error:
                return transforms, ExtrapolationException(f"frame {frame!r}: {error}")
            if sample.parent in transforms:
                return transforms, LookupException(f"the tree has a loop at frame {frame!r}")
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
            raise ConnectivityException(f"{target!r} and {source!r} are in trees that nothing connects")
        names = list(above_source)
        stamps += [above_source[name] for name in names[: names.index(meeting) + 1]]
        return min((stamp_ns for stamp_ns in stamps if stamp_ns), default=0)

    def _latest_up(self, frame: str) -> Iterator[tuple[str, int]]:
        """A frame and each above it, with the stamp of the latest transform that leads to it, 0 for none."""
        seen = {frame}
        yield frame, 0
        while (cache := self._caches.get(frame)) and (sample := cache.latest()):
            if sample.parent in seen:
                raise LookupException(f"the tree has a loop at frame {frame!r}")
            frame = sample.parent
            seen.add(frame)
            yield frame, sample.stamp_ns


def _nanoseconds(time: Time | TimeMessage) -> int:
    return int(time.nanoseconds if isinstance(time, Time) else Time.from_msg(time).nanoseconds)


def _rigid(transform: Transform) -> Rigid:
    """Raises ValueError for one that is none."""
    q, t = transform.rotation, transform.translation
    if any(isnan(value) for value in (t.x, t.y, t.z)):
        raise ValueError("its translation is not a number")
    return Rigid(normalized((q.x, q.y, q.z, q.w)), (t.x, t.y, t.z))


def _message(found: Rigid, target: str, source: str, stamp_ns: int) -> TransformStamped:
    rotation = Quaternion(**dict(zip("xyzw", normalized(found.rotation), strict=True)))
    translation = Vector3(**dict(zip("xyz", found.translation, strict=True)))
    return TransformStamped(
        header=Header(stamp=Time(nanoseconds=stamp_ns).to_msg(), frame_id=target),
        child_frame_id=source,
        transform=Transform(translation=translation, rotation=rotation),
    )
