"""Frames that several localizers are asked in turn, so that other load on the machine affects all of them alike."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Protocol, TypeAlias

import cv2
import numpy as np
from results import figures_of
from threadpoolctl import threadpool_limits

from vloc_ros.cli.progress_bar import TerminalProgress
from vloc_ros.core.types import CameraImage, PoseEstimate, Rejection
from vloc_ros.datasets import Dataset
from vloc_ros.datasets.subset import Subset
from vloc_ros.datasets.types import Frame
from vloc_ros.evaluation.metrics import summarize
from vloc_ros.geometry.pose_error import WRONG_PLACE, PoseError, pose_error

Localize: TypeAlias = Callable[[Frame], PoseEstimate | Rejection]


class ByImage(Protocol):
    """A Localizer, or what is compared with one."""

    def localize(self, asked: CameraImage, /) -> PoseEstimate | Rejection: ...


def by_image(localizer: ByImage) -> Localize:
    """Tells it nothing but the image."""
    return lambda frame: localizer.localize(frame.image)


@dataclass
class Answers:
    """What one localizer said of the frames: errors and confidences, None for a rejected frame; inliers, 0 where there
    was no pose; milliseconds by stage; whether the likeliest place is the right one."""

    errors: list[PoseError | None] = field(default_factory=list)
    confidences: list[float | None] = field(default_factory=list)
    inliers: list[int] = field(default_factory=list)
    timings_ms: list[Mapping[str, float]] = field(default_factory=list)
    is_place_right: list[bool] = field(default_factory=list)

    def add(self, frame: Frame, result: PoseEstimate | Rejection) -> None:
        """One more; a pose in another place than the frame's is infinitely wrong, where the map has several."""
        error, confidence = None, None
        if isinstance(result, PoseEstimate):
            elsewhere = result.place is not None and result.place != frame.place
            error = WRONG_PLACE if elsewhere else pose_error(result.map_from_camera, frame.map_from_camera)
            confidence = result.confidence
        solved = result if isinstance(result, PoseEstimate) else result.refused
        self.errors.append(error)
        self.confidences.append(confidence)
        self.inliers.append(solved.inlier_count if solved else 0)
        self.timings_ms.append(result.timings_ms)
        self.is_place_right.append(result.place == frame.place)

    @staticmethod
    def joined(parts: "Sequence[Answers]") -> "Answers":
        """All of them, in order."""
        return Answers(*(list(chain.from_iterable(vars(part)[name] for part in parts)) for name in vars(Answers())))

    @property
    def right_places(self) -> float:
        """The share of the frames, rejected ones too, whose likeliest place is the right one: of a map of several."""
        return float(np.mean(self.is_place_right))

    def figures(self) -> dict[str, Any]:
        """Those of `figures_of`; of each stage that there was, median and 90th percentile."""
        figures = figures_of(summarize(self.errors, self.timings_ms))
        for stage in dict.fromkeys(stage for each in self.timings_ms for stage in each):
            taken = [each.get(stage, 0.0) for each in self.timings_ms]
            p50, p90 = np.percentile(taken, (50, 90)).tolist()
            figures |= {f"{stage}_p50_ms": p50, f"{stage}_p90_ms": p90}
        return figures


def ask_in_turn(localizers: Mapping[str, Localize], frames: Dataset) -> dict[str, Answers]:
    """Ask each of them of every frame. Who is asked first changes from frame to frame. The first frame is asked once
    before, so that everything is loaded when times are taken."""
    answers = {name: Answers() for name in localizers}
    names = list(localizers)
    for localize in localizers.values():
        localize(frames.frame(0))
    with TerminalProgress().bar("frames") as advance:
        for index in range(len(frames)):
            frame, first = frames.frame(index), index % len(names)
            for name in names[first:] + names[:first]:
                answers[name].add(frame, localizers[name](frame))
            advance(index + 1, len(frames))
    return answers


def some_of(frames: Dataset, count: int) -> Subset:
    """So many of the frames, all over the sequence."""
    return Subset(frames, np.unique(np.linspace(0, len(frames) - 1, min(count, len(frames))).astype(int)).tolist())


@contextmanager
def threads(count: int = 1) -> Iterator[None]:
    """No more than so many for OpenCV and NumPy; networks are told by their sessions."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(count)
    try:
        with threadpool_limits(count):
            yield
    finally:
        cv2.setNumThreads(before)
