"""Localizes every frame of a data set and compares with the known poses."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.types import CameraImage, RejectionReason
from vloc_ros.datasets.types import Dataset
from vloc_ros.errors import ConfigError, VlocError
from vloc_ros.evaluation.metrics import summarize
from vloc_ros.evaluation.output import write_text
from vloc_ros.evaluation.records import Estimated, FrameRecord, Rejected, kept, nearest_view
from vloc_ros.evaluation.trajectory import StampedPose, write_tum
from vloc_ros.localizer import Localizer

SECOND_NS = 10**9
NO_POSE_REASONS = (RejectionReason.TOO_FEW_LANDMARKS.value, RejectionReason.NO_POSE.value)


@dataclass(frozen=True)
class Evaluation:
    """All frames of an evaluation, in the order of the data set."""

    records: tuple[FrameRecord, ...]

    def summary(self) -> dict[str, Any]:
        """The figures of `metrics.summarize`, how often each reason of rejection was given, and `failed`: how many of
        the rejected frames had no pose that the gate could have judged."""
        reasons = [record.outcome.reason for record in self.records if isinstance(record.outcome, Rejected)]
        return {
            **summarize([record.error for record in self.records], [record.timings_ms for record in self.records]),
            "failed": sum(reason in NO_POSE_REASONS for reason in reasons),
            "rejection_reasons": {reason: reasons.count(reason) for reason in sorted(set(reasons))},
        }

    def write_json(self, path: Path) -> None:
        """Write the summary and, as `per_frame`, every record. Raises ConfigError when it cannot be written."""
        report = {**self.summary(), "per_frame": [record.to_json() for record in self.records]}
        write_text(path, json.dumps(report, indent=1, allow_nan=False) + "\n")

    def write_trajectories(self, estimate: Path, truth: Path) -> None:
        """Write the accepted and the true poses as TUM files. Frames without stamps count as one a second."""
        stamps = [record.stamp_ns for record in self.records]
        if len(set(stamps)) < len(stamps):
            stamps = [index * SECOND_NS for index in range(len(self.records))]
        stamped = list(zip(stamps, self.records, strict=True))
        write_tum(
            estimate,
            [StampedPose(t, r.outcome.map_from_camera) for t, r in stamped if isinstance(r.outcome, Estimated)],
        )
        write_tum(truth, [StampedPose(t, r.true_map_from_camera) for t, r in stamped])


def evaluate(
    localizer: Localizer,
    dataset: Dataset,
    progress: Callable[[int, int], None] | None = None,
    occlude: float = 0.0,
    seed: int = 0,
) -> Evaluation:
    """Localize every frame. `progress(done, total)` is called after each.

    `occlude`: noise over this part of each image's height and width, see `noise_block`; the same `seed` gives the same
    noise. Errors of reading or localizing a frame are raised with its name in front.
    """
    records = []
    for index, name in enumerate(dataset.names):
        try:
            records.append(_evaluate_frame(localizer, dataset, index, occlude, seed))
        except VlocError as error:
            raise type(error)(f"{name}: {error}") from error
        if progress:
            progress(index + 1, len(dataset))
    return Evaluation(tuple(records))


def noise_block(image: NDArray[np.uint8], ratio: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A copy of the image (H, W, 3) with uniform noise in a block of ratio * H x ratio * W at a random place.

    The occlusion of the VS-Net paper's figure 7, there from 0.1 to 0.7. Raises ConfigError for a ratio outside 0..1.
    """
    if not 0 <= ratio <= 1:
        raise ConfigError(f"occlusion {ratio} must be in 0 .. 1 of the image's height and width")
    rows, columns = image.shape[:2]
    height, width = round(ratio * rows), round(ratio * columns)
    top, left = int(rng.integers(rows - height + 1)), int(rng.integers(columns - width + 1))
    occluded: NDArray[np.uint8] = image.copy()
    occluded[top : top + height, left : left + width] = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return occluded


def _evaluate_frame(localizer: Localizer, dataset: Dataset, index: int, occlude: float, seed: int) -> FrameRecord:
    frame = dataset.frame(index)
    image = _occluded(frame.image, occlude, np.random.default_rng((seed, index)))
    if index == 0:
        localizer.localize(image)  # compiles what is compiled at the first call, so that the times below are true
    result = localizer.localize(image)
    return FrameRecord(
        name=frame.name,
        stamp_ns=frame.image.stamp_ns,
        true_map_from_camera=frame.map_from_camera,
        outcome=kept(result, frame.map_from_camera),
        timings_ms=result.timings_ms,
        nearest_view=nearest_view(localizer.landmark_map.mapping_views, frame.map_from_camera),
    )


def _occluded(image: CameraImage, ratio: float, rng: np.random.Generator) -> CameraImage:
    return image if ratio == 0 else replace(image, rgb=noise_block(image.rgb, ratio, rng))
