"""What reports say of a map's points: which were used, and which landmarks were recognised."""

from collections.abc import Sequence

import numpy as np

from vloc_ros.core.types import LandmarkMap
from vloc_ros.evaluation.point_use import FrameUse, PointUse
from vloc_ros.evaluation.report import floor_plan, plots
from vloc_ros.evaluation.report.page import plot, section, table

USED = "frames that it is an inlier of"
RECOGNISED = "key points recognised as it"


def point_section(use: PointUse, landmark_map: LandmarkMap) -> str:
    """Matches by frame, points by use, from above too, and which landmarks were recognised."""
    manifest, points = landmark_map.manifest, landmark_map.points
    assert points is not None
    cards = [
        table((), _figures(use)),
        plot(
            plots.matches(use.frames),
            "Matches that the pose was found with, and guided ones around it; inliers of each.",
        ),
        plot(plots.histogram(use.counts.astype(float), USED, "points"), "How many points are used how often."),
    ]
    for index, place in enumerate(manifest.result_places):
        of_place, here = landmark_map.of_place(place), points.places == index
        counts = use.counts[here].astype(float)
        caption = f"Points{f' of place {place}' if place else ''} by use; grey: never an inlier."
        cards.append(
            plot(
                floor_plan.points(of_place, points.positions[here], np.where(counts > 0, counts, np.nan), USED), caption
            )
        )
        if use.landmarks is not None:
            found = use.landmarks[landmark_map.places == index].astype(float)
            values = np.where(found > 0, found, np.nan)
            caption = f"Landmarks{f' of place {place}' if place else ''} as they were recognised; grey: never."
            cards.append(plot(floor_plan.points(of_place, of_place.positions, values, RECOGNISED), caption))
    return section(f"Points and landmarks, in {len(use.frames)} of the frames", *cards)


def describe_use(frame: FrameUse) -> str:
    """Of one frame, for its picture."""
    landmarks = "" if frame.landmarks is None else f", {(frame.landmarks > 0).sum()} landmarks recognised"
    guided = f", {frame.guided_inliers} of {frame.guided_matches} guided ones" if frame.guided_matches else ""
    return f"{frame.inliers} of {frame.matches} matches{guided}{landmarks}"


def _figures(use: PointUse) -> list[tuple[str, str]]:
    used = int((use.counts > 0).sum())
    rows = [
        ("key points, median", _median([frame.key_points for frame in use.frames])),
        ("matches without a pose, median", _median([frame.matches for frame in use.frames])),
        ("inliers of them", _median([frame.inliers for frame in use.frames])),
        ("guided matches, median", _median([frame.guided_matches for frame in use.frames])),
        ("inliers of them", _median([frame.guided_inliers for frame in use.frames])),
        ("points that were an inlier", f"{used} of {len(use.counts)}"),
    ]
    if use.landmarks is not None:
        recognised = [int((frame.landmarks > 0).sum()) for frame in use.frames if frame.landmarks is not None]
        rows.append(("landmarks recognised in a frame, median", f"{_median(recognised)} of {len(use.landmarks)}"))
    if use.precision is not None:
        shares = " / ".join(f"{100 * share:.0f}" for share in use.precision)
        rows.append(("inliers' landmark among the best 1 / 2 / 3 recognised", f"{shares} %"))
    return rows


def _median(values: Sequence[int]) -> str:
    return f"{np.median(values):.0f}" if values else "none"
