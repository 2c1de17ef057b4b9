"""What there is to say of each of several cameras: how many images, how often, what they do for poses, what is
wrong."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from vloc_ros.errors import printable
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.tracking.status import CameraReport

WINDOW_S = 5  # of the rate
SILENT_AFTER_S = 2.0
KEPT = 1000  # times of images


@dataclass
class _Figures:
    images: int = 0
    late: int = 0  # images that came after their moment was given
    refused: str = ""  # why the last image was not taken; "" if it was
    came_ns: deque[int] = field(default_factory=lambda: deque(maxlen=KEPT))
    last: CameraReport | None = None  # of the last pose, or rejection, that it took part in

    def problem(self, now_ns: int) -> str:
        if not self.came_ns:
            return self.refused or "no image yet"
        silent_s = (now_ns - self.came_ns[-1]) / NS_PER_S
        if silent_s > SILENT_AFTER_S:
            return f"no image for {silent_s:.0f} s"
        return self.refused or (self.last.problem if self.last else "")


class CameraStatistics:
    """By camera; nothing where there is only one, which has no name. The executor counts what comes, the thread with
    the images adds what became of it."""

    def __init__(self, cameras: Sequence[str]) -> None:
        self._figures = {camera: _Figures() for camera in cameras}

    def came(self, camera: str, now_ns: int) -> None:
        """An image of a camera was taken."""
        figures = self._figures[camera]
        figures.images += 1
        figures.refused = ""
        figures.came_ns.append(now_ns)

    def refused(self, camera: str, why: str) -> None:
        """An image of a camera was not taken."""
        self._figures[camera].refused = why

    def set_late(self, late: Mapping[str, int]) -> None:
        """By camera, how many images came after the moments that they belong to."""
        for camera, count in late.items():
            self._figures[camera].late = count

    def add(self, reports: Mapping[str, CameraReport]) -> None:
        """What the cameras did for one more image report."""
        for camera, report in reports.items():
            if report.inliers is not None or report.problem:
                self._figures[camera].last = report

    def diagnostics(self, node: str, now_ns: int) -> Iterator[DiagnosticStatus]:
        """One for each camera of the node of this name."""
        for camera, figures in self._figures.items():
            problem = figures.problem(now_ns)
            recent = sum(1 for came in tuple(figures.came_ns) if 0 <= now_ns - came <= WINDOW_S * NS_PER_S)
            inliers = figures.last.inliers if figures.last else None
            values = {
                "images": figures.images,
                "rate_hz": f"{recent / WINDOW_S:.1f}",
                "late": figures.late,
                "inliers": "" if inliers is None else inliers,
                "problem": problem,
            }
            yield DiagnosticStatus(
                level=DiagnosticStatus.WARN if problem else DiagnosticStatus.OK,
                name=f"{node}: camera {camera}",
                message=printable(problem or "ok"),
                values=[KeyValue(key=key, value=printable(str(value))) for key, value in values.items()],
            )
