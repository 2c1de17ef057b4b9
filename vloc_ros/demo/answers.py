"""What was played on a drive, and what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vloc_ros.geometry.transforms import Matrix, invert


@dataclass(frozen=True, eq=False)
class Played:
    """An image that was published, or those of a moment, and where the base truly was and odometry believed it was,
    where that is known; `covered`: the camera that somebody's hand was on; `place`: which of several it shows."""

    stamp_ns: int
    map_from_base: Matrix | None = None
    odom_from_base: Matrix | None = None
    kidnapped: bool = False
    covered: str = ""
    place: str = ""


@dataclass(frozen=True, eq=False)
class Filtered:
    """A filtered pose (4, 4) of the base and its covariance (6, 6)."""

    map_from_base: Matrix
    covariance: Matrix


@dataclass(frozen=True, eq=False)
class Answer:
    """What became of an image: the pose that came and when, what TF said at its stamp before that, both None if nothing
    did; `localize_ms` is None for an image that the relocalizer dropped or refused before looking at it. `inliers`: of
    each of several cameras that an image was taken with. `place`: that the pose is in, where the map has several.
    `filtered`: of its stamp; `search`: as ImageReport has it, "" of an image that was not looked at."""

    played: Played
    reported: bool = False  # in ~/status
    pose: Matrix | None = None
    latency_ms: float | None = None
    localize_ms: float | None = None
    from_tf: Matrix | None = None
    inliers: Mapping[str, int] = field(default_factory=dict)
    place: str = ""
    filtered: Filtered | None = None
    search: str = ""


def odometry_in_map(played: Sequence[Played]) -> list[Matrix]:
    """Where the robot would believe it was if it knew where it started, and from then on had only its odometry."""
    known = with_odometry(played)
    return [truth @ invert(odom) @ later for truth, odom in known[:1] for _, later in known]


def with_odometry(played: Sequence[Played]) -> list[tuple[Matrix, Matrix]]:
    """Where the base truly was and odometry believed it was (4, 4), of the images where both are known."""
    return [
        (p.map_from_base, p.odom_from_base)
        for p in played
        if p.map_from_base is not None and p.odom_from_base is not None
    ]
