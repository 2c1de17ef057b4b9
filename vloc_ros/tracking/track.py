"""From single poses to a track: which fixes follow from the one before, and which are jumps."""

import math
from dataclasses import dataclass, field, replace

from vloc_ros.core.types import PoseEstimate
from vloc_ros.geometry.transforms import Matrix, invert, moved_covariance, planar, rotation_angle
from vloc_ros.tracking.pose_filter import Estimate, FilterOptions, Measurement, begin, chi_square, predicted

CHI_SQUARE, DISTANCE = JUMP_TESTS = ("chi_square", "distance")


@dataclass(frozen=True)
class TrackingOptions:
    """`jump_test`: chi_square believes the covariances of fixes and odometry: a fix is a jump if its chi-square (six
    degrees of freedom) against the filter's estimate is above `max_chi_square`. distance, and where there is no filter:
    `max_jump_*` say how far a fix may be from where the previous one, moved by odometry, puts the robot. Without
    odometry, the `max_speed_*` times the time between the two is added. A jump counts only when `agreeing_fixes` in a
    row say the same, and a fix in another place when `map_switch` do. `lost_after_s`: without a fix for so long, the
    robot is lost; `lost_sigma_m`: so it is when the filter does not know its position better than that (standard
    deviation in the worst direction)."""

    max_jump_m: float = 0.5
    max_jump_deg: float = 15.0
    agreeing_fixes: int = 3
    map_switch: int = 3
    max_speed_m_per_s: float = 1.5
    max_speed_deg_per_s: float = 90.0
    lost_after_s: float = 2.0
    lost_sigma_m: float = math.inf
    jump_test: str = CHI_SQUARE
    max_chi_square: float = 40.0
    filter: FilterOptions = field(default_factory=FilterOptions)


@dataclass(frozen=True)
class FixPlace:
    """The place that a fix is in. `is_aligned`: it is known how that lies in the frame of the fix, so that a distance
    from a fix in another such place means something. `in_map`: what its own map calls it, where that is one of several,
    whose `name` has the map's."""

    name: str
    is_aligned: bool = False
    in_map: str = ""


@dataclass(frozen=True, eq=False)
class Fix:
    """Where the robot was at a stamp: `map_from_base` 4x4, and `odom_from_base` 4x4 where there is odometry. The frame
    of the pose is `map_frame`, which places may share; `place` tells them apart, None where that is not known.
    `height_m`: of the base before it was put on the floor, None where it was not. `covariance` (6, 6) of the pose, in
    ROS order, where it is known. `floor_from_base` (4, 4): what putting the pose on the floor has taken from it."""

    stamp_ns: int
    map_from_base: Matrix
    odom_from_base: Matrix | None = None
    map_frame: str = ""
    place: FixPlace | None = None
    height_m: float | None = None
    covariance: Matrix | None = None
    floor_from_base: Matrix | None = None

    @property
    def measurement(self) -> Measurement | None:
        """As the filter takes it; None without odometry or covariance."""
        if self.odom_from_base is None or self.covariance is None:
            return None
        return Measurement(self.stamp_ns, self.map_from_base, self.odom_from_base, self.covariance)

    @property
    def map_from_odom(self) -> Matrix | None:
        """The drift of the odometry; None without odometry."""
        if self.odom_from_base is None:
            return None
        drift: Matrix = self.map_from_base @ invert(self.odom_from_base)
        return drift

    def flattened(self) -> "Fix":
        """The same on the floor. The drift then has no height, roll or pitch, and map -> odom -> base, looked at from
        above, is the pose, however the odometry is tilted: `planar` of a planar motion times any motion is the product
        of the two seen from above."""
        odom = None if self.odom_from_base is None else planar(self.odom_from_base)
        height_m = float(self.map_from_base[2, 3])
        flat = planar(self.map_from_base)
        tilt: Matrix = invert(flat) @ self.map_from_base
        return replace(self, map_from_base=flat, odom_from_base=odom, height_m=height_m, floor_from_base=tilt)


@dataclass(frozen=True, eq=False)
class FramesAtStamp:
    """Of the robot: `base_from_camera` 4x4; `odom_from_base` 4x4 where odometry is used."""

    base_from_camera: Matrix
    odom_from_base: Matrix | None


def located_base(
    estimate: PoseEstimate, frames: FramesAtStamp, map_frame: str, stamp_ns: int, place: FixPlace | None = None
) -> Fix:
    """The fix of the base that a pose of the camera in `map_frame` gives, with its covariance."""
    map_from_base = estimate.map_from_camera @ invert(frames.base_from_camera)
    lever = map_from_base[:3, 3] - estimate.map_from_camera[:3, 3]
    covariance = moved_covariance(estimate.covariance, lever)
    return Fix(stamp_ns, map_from_base, frames.odom_from_base, map_frame, place, covariance=covariance)


@dataclass(frozen=True, eq=False)
class Hint:
    """Where somebody says that the robot is, seen from above: `fix` is flat, and `within_m` and `within_deg` say how
    far off that may be."""

    fix: Fix
    within_m: float
    within_deg: float


@dataclass(frozen=True, eq=False)
class Track:
    """The last accepted fix, how often the robot was placed anew (the first fix counts), the fixes since the last
    accepted one that contradict it but agree with each other, and a hint that came after the last accepted one.

    `in_doubt`: one of the fixes since the last accepted one was in another place, so that none is believed, wherever it
    is, until enough in a row agree. `line`: the same in tracks that go on from each other, another one where the robot
    was placed anew, or somebody has forgotten or hinted where it is.
    """

    fix: Fix | None = None
    placements: int = 0
    contradicting: tuple[Fix, ...] = ()
    hint: Hint | None = None
    in_doubt: bool = False
    line: object = field(default_factory=object)

    @property
    def is_contradicted(self) -> bool:
        """Whether the last fixes say that the robot is elsewhere, or somebody has said so."""
        return bool(self.contradicting or self.hint)

    def hinted(self, hint: Hint) -> "Track":
        """The next fix is to be near `hint`; nothing is known from the hint itself, and the last fix stands."""
        return Track(self.fix, self.placements, hint=hint)


def follow(track: Track, fix: Fix, options: TrackingOptions, estimate: Estimate | None = None) -> tuple[Track, str]:
    """The track with one more fix, and why that fix is not accepted ("" if it is). `estimate`: the filter's, at the
    stamp of the fix; None without odometry.

    The first fix is accepted; later ones if they are where the previous fix and odometry put the robot, or if enough
    in a row agree on another place: then the robot has been carried there, or the first fix was wrong. After a hint,
    it stands in for the previous fix. A fix in another place of the map puts the place in doubt: from then on as many
    in a row have to agree, on the place before or on another one.
    """
    accepted, contradiction, in_doubt = Track(fix, track.placements + 1), "", track.in_doubt
    if track.hint is not None:
        contradiction = _contradiction_of_hint(track.hint, fix, options)
    elif track.fix is not None:
        contradiction = _contradiction(track.fix, fix, options, estimate)
        in_doubt = in_doubt or _changes_place(track.fix, fix, options)
        newest = fix if fix.stamp_ns >= track.fix.stamp_ns else track.fix
        accepted = accepted if contradiction else Track(newest, track.placements, line=track.line)
    if not contradiction and not in_doubt:
        return accepted, ""
    agrees = track.contradicting and not _contradiction(track.contradicting[-1], fix, options)
    contradicting = (*track.contradicting, fix) if agrees else (fix,)
    needed = options.map_switch if in_doubt else options.agreeing_fixes
    if len(contradicting) >= needed:
        return accepted, ""
    why = contradiction or "the place is in doubt"
    agreeing = f"{len(contradicting)} of {needed} fixes agree on that"
    return replace(track, contradicting=contradicting, in_doubt=in_doubt), f"{why}; {agreeing}"


def _changes_place(previous: Fix, fix: Fix, options: TrackingOptions) -> bool:
    """Whether a fix is in another place, and not there by walking: through a door between places whose relation is
    known, the robot is where the odometry puts it."""
    if previous.place is None or fix.place is None or previous.place.name == fix.place.name:
        return False
    if not (previous.place.is_aligned and fix.place.is_aligned) or previous.map_frame != fix.map_frame:
        return True
    climbed_m = 0.0 if previous.height_m is None or fix.height_m is None else abs(fix.height_m - previous.height_m)
    return climbed_m > options.max_jump_m or bool(_far(previous, fix, options))


def _contradiction_of_hint(hint: Hint, fix: Fix, options: TrackingOptions) -> str:
    near = replace(
        options,
        jump_test=DISTANCE,
        max_jump_m=options.max_jump_m + hint.within_m,
        max_jump_deg=min(options.max_jump_deg + hint.within_deg, 180.0),
    )
    contradiction = _contradiction(hint.fix, fix.flattened(), near)
    return f"{contradiction} from the hint" if contradiction else ""


def _contradiction(previous: Fix, fix: Fix, options: TrackingOptions, estimate: Estimate | None = None) -> str:
    """How far `fix` is from where `previous`, or the filter's `estimate`, puts the robot, if that is too far; otherwise
    "". Another place or frame is too far: where that is, nobody knows."""
    if previous.place and fix.place and _changes_place(previous, fix, options):
        return f"jump from place '{previous.place.name}' to '{fix.place.name}'"
    if fix.map_frame != previous.map_frame:
        return f"jump from frame '{previous.map_frame}' to '{fix.map_frame}'"
    measurement, one = fix.measurement, previous.measurement
    if options.jump_test == CHI_SQUARE and measurement and (estimate or one):
        if estimate is None:  # two fixes that contradict the track: do they agree with each other?
            assert one is not None
            estimate = predicted(begin(one, options.filter), fix.stamp_ns, measurement.odom_from_base, options.filter)
        return _unlikely(estimate, measurement, options)
    return _far(previous, fix, options)


def _unlikely(estimate: Estimate, fix: Measurement, options: TrackingOptions) -> str:
    """How far a fix is from the estimate of its stamp, if chi-square says that this is too far; otherwise ""."""
    if (found := chi_square(estimate, fix)) <= options.max_chi_square:
        return ""
    distance_m, turn_deg = _apart(fix.map_from_base, estimate.map_from_base)
    told = f"chi-square {found:.0f}, allowed {options.max_chi_square:g}"
    return f"jump of {distance_m:.2f} m, {turn_deg:.0f} deg ({told})"


def _far(previous: Fix, fix: Fix, options: TrackingOptions) -> str:
    """How far a fix is from where a previous one in the same frame puts the robot, if that is too far; otherwise ""."""
    expected, allowed_m, allowed_deg = previous.map_from_base, options.max_jump_m, options.max_jump_deg
    if previous.odom_from_base is not None and fix.odom_from_base is not None:
        expected = expected @ invert(previous.odom_from_base) @ fix.odom_from_base
    else:
        seconds = abs(fix.stamp_ns - previous.stamp_ns) * 1e-9
        allowed_m += options.max_speed_m_per_s * seconds
        allowed_deg += options.max_speed_deg_per_s * seconds
    distance_m, turn_deg = _apart(fix.map_from_base, expected)
    if distance_m <= allowed_m and turn_deg <= allowed_deg:
        return ""
    return f"jump of {distance_m:.2f} m, {turn_deg:.0f} deg (allowed {allowed_m:.2f} m, {allowed_deg:.0f} deg)"


def _apart(one: Matrix, other: Matrix) -> tuple[float, float]:
    """Metres and degrees between two poses."""
    offset = one[:3, 3] - other[:3, 3]
    return math.sqrt(float(offset @ offset)), math.degrees(rotation_angle(one[:3, :3], other[:3, :3]))
