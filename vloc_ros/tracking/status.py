"""What a relocalizer says of itself and of its last image: written as texts, and read from them, here alone.

The keys and texts are those of the topic ~/status (docs/ros.md); `vloc record` writes them down, a line a status.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from vloc_ros.core.types import PoseEstimate, Rejection, RejectionReason
from vloc_ros.geometry.stamps import format_stamp, parse_stamp
from vloc_ros.tracking.state import State

NO_IMAGE_YET = "no image yet"
FIGURES = ("inliers", "inlier_ratio", "reprojection_rmse_px", "confidence")
GLOBAL, PRIOR, FLOW, CHECKED = SEARCHES = ("global", "prior", "flow", "checked")  # how an image was searched
AGREES = "agrees"  # of a check: the networks' pose of an image that was followed goes with the track
INLIERS, PROBLEM = "/inliers", "/problem"  # of one of several cameras, behind its name
NEEDED = ("stamp", "rejection", "localize_ms", *FIGURES, "state")  # by `Status.from_values`


@dataclass(frozen=True)
class Refusal:
    """Why an image gives no fix."""

    reason: RejectionReason
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}" if self.detail else self.reason.value

    @staticmethod
    def parse(text: str) -> "Refusal":
        """The inverse of `str`. Raises ValueError for a reason that there is not."""
        reason, _, detail = text.partition(": ")
        return Refusal(RejectionReason(reason), detail)


class RefusedError(Exception):
    """An image gives no fix."""

    def __init__(self, reason: RejectionReason, detail: str) -> None:
        self.refusal = Refusal(reason, detail)
        super().__init__(str(self.refusal))


@dataclass(frozen=True)
class FixFigures:
    """What a pose rests on, as in `PoseEstimate`."""

    inliers: int
    inlier_ratio: float
    reprojection_rmse_px: float
    confidence: float

    @staticmethod
    def of(estimate: PoseEstimate) -> "FixFigures":
        assert estimate.confidence is not None  # `localize` calibrates all its poses
        return FixFigures(
            estimate.inlier_count, estimate.inlier_ratio, estimate.reprojection_rmse_px, estimate.confidence
        )


@dataclass(frozen=True)
class CameraReport:
    """What one of several cameras did for a pose: `inliers` of its image, None where that was not looked at; `problem`
    says why, "" where there was none."""

    inliers: int | None
    problem: str = ""


@dataclass(frozen=True)
class ImageReport:
    """What became of the image of a stamp, or of a rig's images of one moment. `refusal`: None for a fix. `latency_ms`:
    from the stamp to the publication; `localize_ms`: what `localize()` took, None for an image that did not get so far.
    `figures`: of its pose, of one that contradicts the track, too; None where there is none. `place`: the likeliest,
    None where nothing speaks for any, or the map is of one place. `search`: GLOBAL, PRIOR where the track said where to
    look first, FLOW where the points of an earlier image were followed and no network ran, CHECKED where so they were,
    and the networks localize the image globally afterwards.
    `cpu_ms`: processor time of the relocalizer's process since the image before was done, None where that is not known.
    `cameras`: all those of a rig, by name; none where the image did not get so far. `summary`: one line for people,
    which is not among a status's values."""

    stamp_ns: int
    latency_ms: float
    localize_ms: float | None = None
    figures: FixFigures | None = None
    place: str | None = None
    refusal: Refusal | None = None
    search: str = GLOBAL
    cpu_ms: float | None = None
    cameras: Mapping[str, CameraReport] = field(default_factory=lambda: MappingProxyType({}))
    summary: str = field(default="", compare=False)

    @staticmethod
    def of(
        stamp_ns: int,
        latency_ms: float,
        result: PoseEstimate | Rejection | None,
        refusal: Refusal | None,
        cameras: Mapping[str, CameraReport] = MappingProxyType({}),
        search: str = GLOBAL,
    ) -> "ImageReport":
        """`result`: of `localize()`, None for an image that did not get so far."""
        pose = result if isinstance(result, PoseEstimate) else None
        return ImageReport(
            stamp_ns,
            latency_ms,
            localize_ms=None if result is None else result.timings_ms["total"],
            figures=None if pose is None else FixFigures.of(pose),
            place=result.place if result else None,
            refusal=refusal,
            search=search,
            cameras=cameras,
            summary=_summary(pose, latency_ms, cameras) if pose and not refusal else str(refusal),
        )


@dataclass(frozen=True)
class Status:
    """`map_id` and `map_frame`: of the map in use, "" without one; `image`: the last one, None before the first;
    `dropped`: images that newer ones replaced before they were looked at; `place`: of the last fix, "" before it;
    `sigma_m` and `sigma_deg`: standard deviations of the filtered pose in its worst direction, None without one;
    `check`: of the last image that was CHECKED, AGREES or why not, "" before it."""

    state: State
    map_id: str = ""
    map_frame: str = ""
    image: ImageReport | None = None
    dropped: int = 0
    place: str = ""
    sigma_m: float | None = None
    sigma_deg: float | None = None
    check: str = ""

    @property
    def message(self) -> str:
        """One line for people."""
        image, says = self.image, "no image since the last fix"
        if image is None or image.refusal or self.state is State.LOCALIZED:
            says = image.summary if image else NO_IMAGE_YET
        elif self.check.startswith(RejectionReason.NETWORK_FAILED.value):
            says = self.check  # after the image's own fix
        return f"{self.state.value}: {says}"

    def to_values(self) -> dict[str, str]:
        """Every status has every key, "" for what its image does not have."""
        image = self.image or ImageReport(stamp_ns=0, latency_ms=0.0)
        figures = image.figures
        return {
            "state": self.state.value,
            "map_id": self.map_id,
            "map_frame": self.map_frame,
            "stamp": format_stamp(image.stamp_ns),
            "inliers": str(figures.inliers) if figures else "",
            "inlier_ratio": f"{figures.inlier_ratio:.3f}" if figures else "",
            "reprojection_rmse_px": f"{figures.reprojection_rmse_px:.3f}" if figures else "",
            "confidence": f"{figures.confidence:.3f}" if figures else "",
            "scene": image.place or "",
            "latency_ms": f"{image.latency_ms:.1f}",
            "localize_ms": "" if image.localize_ms is None else f"{image.localize_ms:.1f}",
            "rejection": str(image.refusal or "") if self.image else NO_IMAGE_YET,
            "dropped": str(self.dropped),
            "place": self.place,
            "search": "" if image.localize_ms is None else image.search,
            "cpu_ms": "" if image.cpu_ms is None else f"{image.cpu_ms:.1f}",
            "sigma_m": "" if self.sigma_m is None else f"{self.sigma_m:.4f}",
            "sigma_deg": "" if self.sigma_deg is None else f"{self.sigma_deg:.3f}",
            "check": self.check,
            **_camera_values(image.cameras),
        }

    @staticmethod
    def from_values(values: Mapping[str, str]) -> "Status":
        """The inverse of `to_values`, up to digits that those do not have. What is not NEEDED may be missing: older
        relocalizers did not say it. Raises ValueError."""
        if missing := [name for name in NEEDED if name not in values]:
            raise ValueError(f"no {', '.join(missing)} in the status")
        return Status(
            state=State(values["state"]),
            map_id=values.get("map_id", ""),
            map_frame=values.get("map_frame", ""),
            image=None if values["rejection"] == NO_IMAGE_YET else _image(values),
            dropped=int(values.get("dropped", 0)),
            place=values.get("place", ""),
            sigma_m=_number(values.get("sigma_m")),
            sigma_deg=_number(values.get("sigma_deg")),
            check=values.get("check", ""),
        )


def _image(values: Mapping[str, str]) -> ImageReport:
    figures = None
    if values["inliers"] or not values["rejection"]:
        numbers = (float(values[name]) for name in FIGURES[1:])
        figures = FixFigures(int(values["inliers"]), *numbers)
    return ImageReport(
        stamp_ns=parse_stamp(values["stamp"]),
        latency_ms=float(values.get("latency_ms", 0.0)),
        localize_ms=float(values["localize_ms"]) if values["localize_ms"] else None,
        figures=figures,
        place=values.get("scene") or None,
        refusal=Refusal.parse(values["rejection"]) if values["rejection"] else None,
        search=values.get("search") or GLOBAL,
        cpu_ms=_number(values.get("cpu_ms")),
        cameras=_cameras(values),
    )


def _number(text: str | None) -> float | None:
    return float(text) if text else None


def _camera_values(cameras: Mapping[str, CameraReport]) -> dict[str, str]:
    """Two of each camera, with its name in front, as its topics have it."""
    found: dict[str, str] = {}
    for name, camera in cameras.items():
        found[f"{name}{INLIERS}"] = "" if camera.inliers is None else str(camera.inliers)
        found[f"{name}{PROBLEM}"] = camera.problem
    return found


def _cameras(values: Mapping[str, str]) -> dict[str, CameraReport]:
    names = [key.removesuffix(INLIERS) for key in values if key.endswith(INLIERS)]
    return {
        name: CameraReport(
            int(text) if (text := values[f"{name}{INLIERS}"]) else None, values.get(f"{name}{PROBLEM}", "")
        )
        for name in names
    }


def _summary(pose: PoseEstimate, latency_ms: float, cameras: Mapping[str, CameraReport]) -> str:
    place = f"in {pose.place}, " if pose.place else ""
    used = ", ".join(f"{name} {camera.inliers}" for name, camera in cameras.items() if camera.inliers is not None)
    shares = f" ({used})" if used else ""
    return (
        f"{place}{pose.inlier_count} inliers{shares}, reprojection {pose.reprojection_rmse_px:.2f} px, "
        f"sigma {pose.position_sigma_m * 100:.1f} cm, latency {latency_ms:.0f} ms"
    )
