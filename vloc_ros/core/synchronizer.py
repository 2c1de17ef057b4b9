"""Groups the images of several cameras into moments: what a rig sees at once."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Generic, TypeVar

from vloc_ros.errors import ConfigError
from vloc_ros.geometry.stamps import NS_PER_S, RESTARTED_NS

T = TypeVar("T")

MAX_PENDING = 8  # moments that wait for late images; the oldest goes on without them when there are more
INTERVALS = 5  # between a camera's last images, of which the shortest counts
DUE_AFTER = 0.75  # of that interval, a camera's next image may come


@dataclass(frozen=True)
class SyncOptions:
    """`tolerance_s`: stamps of one moment are at most so far apart, 0 for equal ones. `wait_s`: how long a moment waits
    for the images that it lacks. Raises ConfigError."""

    tolerance_s: float = 0.0
    wait_s: float = 0.1

    def __post_init__(self) -> None:
        for name in ("tolerance_s", "wait_s"):
            if not 0 <= (value := getattr(self, name)) <= 10:
                raise ConfigError(f"cameras: {name} is {value:g}, must be 0 to 10 seconds")


@dataclass(frozen=True, eq=False)
class Stamped(Generic[T]):
    """An image, or whatever stands for one, of a stamp."""

    stamp_ns: int
    item: T


@dataclass(frozen=True, eq=False)
class Moment(Generic[T]):
    """The images of one moment by their camera, at least one, in the order of the rig's cameras."""

    images: Mapping[str, Stamped[T]]

    @staticmethod
    def of(camera: str, stamp_ns: int, item: T) -> "Moment[T]":
        """One image alone."""
        return Moment(MappingProxyType({camera: Stamped(stamp_ns, item)}))

    @property
    def stamp_ns(self) -> int:
        """That of the first of the rig's cameras that has an image in it."""
        return next(iter(self.images.values())).stamp_ns

    def __len__(self) -> int:
        return len(self.images)


@dataclass
class _Pending(Generic[T]):
    """A moment that may still get images; `since_ns`: when the first one came."""

    images: dict[str, Stamped[T]]
    since_ns: int

    @property
    def first_ns(self) -> int:
        return min(image.stamp_ns for image in self.images.values())

    @property
    def last_ns(self) -> int:
        return max(image.stamp_ns for image in self.images.values())

    def span_with(self, stamp_ns: int) -> int:
        """How far its stamps would be apart with one more."""
        return max(self.last_ns, stamp_ns) - min(self.first_ns, stamp_ns)


@dataclass
class _Camera:
    """What is known of when a camera gives images. `is_awaited`: no moment has waited for it in vain since its last."""

    newest_ns: int | None = None
    intervals_ns: deque[int] = field(default_factory=lambda: deque(maxlen=INTERVALS))
    is_awaited: bool = True
    late: int = 0

    def came(self, stamp_ns: int) -> None:
        if self.newest_ns is None:
            self.newest_ns = stamp_ns
        elif stamp_ns > self.newest_ns:
            self.intervals_ns.append(stamp_ns - self.newest_ns)
            self.newest_ns = stamp_ns
        self.is_awaited = True

    def may_still_give(self, latest_ns: int) -> bool:
        """Whether an image with a stamp up to `latest_ns` may come: a camera's images come in order, and its next one
        not much earlier than its rate says."""
        if self.newest_ns is None:
            return True
        least_ns = round(DUE_AFTER * min(self.intervals_ns)) if len(self.intervals_ns) > 1 else 0
        return self.newest_ns + least_ns <= latest_ns


class Synchronizer(Generic[T]):
    """Takes the images of `cameras` as they come, and gives moments in the order of their stamps.

    A moment is given as soon as no camera can add to it any more: each has given its image, or a later one, or is not
    due yet (a camera at a lower rate), or was waited for in vain and has not come since (a camera that is silent costs
    one `wait_s`, once). An image that comes after its moment was given is dropped, and counted in `late`. `now_ns` is
    any clock that goes on steadily: that of the computer, or the one by which a bag was recorded. At most MAX_PENDING
    moments wait. Not for several threads at once.
    """

    def __init__(self, cameras: Sequence[str], options: SyncOptions) -> None:
        self._tolerance_ns, self._wait_ns = (
            round(seconds * NS_PER_S) for seconds in (options.tolerance_s, options.wait_s)
        )
        self._cameras = {camera: _Camera() for camera in cameras}
        self._pending: list[_Pending[T]] = []  # in the order of their stamps
        self._given_ns: int | None = None  # the latest stamp in the moments that were given

    @property
    def is_waiting(self) -> bool:
        """Whether `poll` may have something to give later."""
        return bool(self._pending)

    @property
    def late(self) -> Mapping[str, int]:
        """By camera, how many images came after the moments that they belong to."""
        return {name: camera.late for name, camera in self._cameras.items()}

    def add(self, camera: str, stamp_ns: int, item: T, now_ns: int) -> list[Moment[T]]:
        """The moments that this image completes. When a camera's stamps go back, all begins anew."""
        state = self._cameras[camera]
        if state.newest_ns is not None and stamp_ns < state.newest_ns - RESTARTED_NS:
            self._restart()
            state = self._cameras[camera]
        state.came(stamp_ns)
        if self._given_ns is not None and stamp_ns <= self._given_ns:
            state.late += 1
        else:
            self._join(camera, Stamped(stamp_ns, item), now_ns)
        return self.poll(now_ns)

    def poll(self, now_ns: int) -> list[Moment[T]]:
        """The moments that have waited long enough, and those that are complete behind them."""
        given = []
        while self._pending and self._is_done(self._pending[0], now_ns):
            given.append(self._give())
        return given

    def flush(self) -> list[Moment[T]]:
        """All moments that wait: there are no more images."""
        return [self._give() for _ in range(len(self._pending))]

    def _join(self, camera: str, image: Stamped[T], now_ns: int) -> None:
        stamp_ns = image.stamp_ns
        joinable = [
            pending
            for pending in self._pending
            if camera not in pending.images and pending.span_with(stamp_ns) <= self._tolerance_ns
        ]
        if joinable:
            min(joinable, key=lambda pending: pending.span_with(stamp_ns)).images[camera] = image
        else:
            self._pending.append(_Pending({camera: image}, now_ns))
        self._pending.sort(key=lambda pending: pending.first_ns)

    def _is_done(self, pending: _Pending[T], now_ns: int) -> bool:
        latest_ns = pending.first_ns + self._tolerance_ns
        lacking = [
            camera
            for name, camera in self._cameras.items()
            if name not in pending.images and camera.is_awaited and camera.may_still_give(latest_ns)
        ]
        if not lacking or len(self._pending) > MAX_PENDING:
            return True
        if now_ns - pending.since_ns < self._wait_ns:
            return False
        for camera in lacking:
            camera.is_awaited = False
        return True

    def _give(self) -> Moment[T]:
        pending = self._pending.pop(0)
        self._given_ns = pending.last_ns if self._given_ns is None else max(self._given_ns, pending.last_ns)
        images = {name: pending.images[name] for name in self._cameras if name in pending.images}
        return Moment(MappingProxyType(images))

    def _restart(self) -> None:
        for name, camera in self._cameras.items():
            self._cameras[name] = _Camera(late=camera.late)
        self._pending.clear()
        self._given_ns = None
