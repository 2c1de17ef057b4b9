"""What becomes of an image."""

from dataclasses import dataclass

from vloc_ros.core.types import PoseEstimate, Rejection
from vloc_ros.geometry.stamps import format_stamp


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of an image; `rejection` is "" for a fix, `latency_ms` is from its stamp to the publication."""

    stamp_ns: int
    latency_ms: float
    result: PoseEstimate | Rejection | None
    rejection: str

    @property
    def localize_ms(self) -> float | None:
        """What `localize()` took; None for an image that did not get so far."""
        return None if self.result is None else self.result.timings_ms["total"]

    @property
    def summary(self) -> str:
        """One line for people."""
        if self.rejection or not isinstance(self.result, PoseEstimate):
            return self.rejection
        place = f"in {self.result.scene}, " if self.result.scene else ""
        return (
            f"{place}{self.result.inlier_count} inliers, reprojection {self.result.reprojection_rmse_px:.2f} px, "
            f"sigma {self.result.position_sigma_m * 100:.1f} cm, latency {self.latency_ms:.0f} ms"
        )

    def status_values(self) -> dict[str, str]:
        """For a DiagnosticStatus; "" for what this image does not have."""
        pose = self.result if isinstance(self.result, PoseEstimate) else None
        return {
            "stamp": format_stamp(self.stamp_ns),
            "inliers": str(pose.inlier_count) if pose else "",
            "inlier_ratio": f"{pose.inlier_ratio:.3f}" if pose else "",
            "reprojection_rmse_px": f"{pose.reprojection_rmse_px:.3f}" if pose else "",
            "confidence": f"{pose.confidence:.3f}" if pose else "",
            "scene": self.result.scene if self.result else "",
            "latency_ms": f"{self.latency_ms:.1f}",
            "localize_ms": "" if self.localize_ms is None else f"{self.localize_ms:.1f}",
            "rejection": self.rejection,
        }


NOTHING_YET = Outcome(stamp_ns=0, latency_ms=0.0, result=None, rejection="no image yet")


class RefusedError(Exception):
    """An image gives no fix: which kind of trouble it is, and the details."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
