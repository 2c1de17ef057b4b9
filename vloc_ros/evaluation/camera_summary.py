"""What each camera of a rig did for the poses of an evaluation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vloc_ros.evaluation.records import Estimated, FrameRecord


def camera_summary(records: Sequence[FrameRecord]) -> dict[str, dict[str, Any]]:
    """In JSON's types, by the cameras' names; nothing where there is one only. `frames`: in which it had an image;
    `poses` of these frames, `inliers`: the median that it gave to one, and `without`: how many it gave none."""
    names = dict.fromkeys(name for record in records for name in record.cameras)
    return {name: _figures(name, records) for name in names}


def _figures(name: str, records: Sequence[FrameRecord]) -> dict[str, Any]:
    seen = [record for record in records if name in record.cameras]
    given = [record.cameras[name] for record in seen if isinstance(record.outcome, Estimated)]
    return {
        "frames": len(seen),
        "poses": len(given),
        "inliers": float(np.median(given)) if given else None,
        "without": sum(count == 0 for count in given),
    }


def camera_rows(cameras: Mapping[str, Mapping[str, Any]], frames: int) -> list[tuple[str, str]]:
    """The same for people; `frames`: of the evaluation."""
    return [
        (
            f"camera {name}",
            f"an image in {each['frames']} of {frames} frames, {_median(each['inliers'])} inliers of a pose (median), "
            f"none in {each['without']} of {each['poses']} poses",
        )
        for name, each in cameras.items()
    ]


def _median(value: float | None) -> str:
    return "no" if value is None else f"{value:.0f}"
