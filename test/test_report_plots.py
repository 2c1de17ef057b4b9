"""What the reports choose to show: which way is up, which frames, what is known of a landmark."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vloc_ros.core.types import LandmarkMap
from vloc_ros.errors import MapError
from vloc_ros.evaluation.records import Estimated, FrameRecord, Rejected
from vloc_ros.evaluation.report.evaluation_report import WORST_FRAMES, _chosen
from vloc_ros.evaluation.report.map_report import REJECTED_CM, _error_of_views, write_map_report
from vloc_ros.evaluation.report.plots import errors_in_time
from vloc_ros.evaluation.report.svg import MOST_POINTS, axes_of, logarithmic, plotting, thinned, to_svg
from vloc_ros.evaluation.report.time_axis import when_of
from vloc_ros.evaluation.upright import upright_axes
from vloc_ros.geometry.pose_error import PoseError
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.maps import read_map
from vloc_ros.shipped import shipped
from vloc_ros.tracking.state import State

LOOKS_ALONG_Y = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])  # upright in a map with z up


@pytest.fixture(scope="module")
def room() -> LandmarkMap:
    return read_map(shipped("maps/demo_room")).landmark_map


def record(name: str, error_m: float | None, stamp_ns: int = 0) -> FrameRecord:
    """Rejected without an error."""
    if error_m is None:
        return FrameRecord(name, stamp_ns, LOOKS_ALONG_Y, Rejected("no_pose", "why"), {})
    estimate = Estimated(LOOKS_ALONG_Y, np.eye(6), 0.5, PoseError(error_m, 0.0), 50, 0.5, 1.0, 0.01, 0.1)
    return FrameRecord(name, stamp_ns, LOOKS_ALONG_Y, estimate, {})


def turned(room: LandmarkMap, pose: np.ndarray) -> LandmarkMap:
    """The same place in another frame."""
    rotation = pose[:3, :3]
    return replace(
        room,
        positions=room.positions @ rotation.T + pose[:3, 3],
        normals=room.normals @ rotation.T,
        mapping_views=pose @ room.mapping_views,
    )


def test_up_is_up_in_whatever_frame_the_map_is(room: LandmarkMap) -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        quaternion = rng.normal(size=4)
        pose = from_quaternion(quaternion / np.linalg.norm(quaternion), [1, 2, 3])
        axes = upright_axes(turned(room, pose))
        np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(axes) == pytest.approx(1)  # nothing is mirrored
        assert math.degrees(math.acos(axes[2] @ pose[:3, 2])) < 2  # the room's z is up
        along = np.abs(axes[0] @ pose[:3, :2])
        assert math.degrees(math.acos(min(1, along.max()))) < 2  # and its walls are along x and y


def test_up_without_mapping_views_and_for_a_single_landmark(room: LandmarkMap) -> None:
    axes = upright_axes(replace(room, mapping_views=np.empty((0, 4, 4))))
    assert abs(axes[2, 2]) > math.cos(math.radians(2))
    one = {name: getattr(room, name)[:1] for name in ("ids", "positions", "normals", "extents", "observations")}
    for views in (room.mapping_views, np.empty((0, 4, 4))):
        axes = upright_axes(replace(room, **one, mapping_views=views))
        np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-9)


def test_best_median_and_worst_frames_with_rejected_ones_in_at_most_half() -> None:
    records = (*(record(f"a{i}", 0.01 * i) for i in range(40)), *(record(f"r{i}", None) for i in range(30)))
    chosen = _chosen(records)
    titles = [title for title, _ in chosen.values()]
    assert titles == ["best", "median", *["worst"] * 6, *["rejected"] * 6]
    assert next(iter(chosen)) == "a0"
    assert {"a39", "a34", "r0", "r29"} <= chosen.keys()


@pytest.mark.parametrize(("accepted", "rejected"), [(0, 0), (0, 1), (1, 0), (0, 40), (3, 40), (40, 3)])
def test_few_or_only_rejected_frames_to_choose_from(accepted: int, rejected: int) -> None:
    records = (*(record(f"a{i}", 0.01 * i) for i in range(accepted)), *(record(f"r{i}", None) for i in range(rejected)))
    chosen = _chosen(records)
    assert min(accepted + rejected, WORST_FRAMES) <= len(chosen) <= WORST_FRAMES + 2
    assert ("best" in {title for title, _ in chosen.values()}) == (accepted > 0)


def test_the_error_of_a_landmark_is_that_of_the_frames_that_look_at_its_front(room: LandmarkMap) -> None:
    positions = np.array([[0, 2.0, 0], [0, 2, 0], [0, -2, 0], [5, 1, 0]])  # ahead, ahead, behind, beside
    normals = np.array([[0, -1.0, 0], [0, 1, 0], [0, 1, 0], [-1, 0, 0]])  # facing the camera except for the second
    four = {name: getattr(room, name)[:4] for name in ("ids", "extents", "observations")}
    landmark_map = replace(room, positions=positions, normals=normals, **four)
    errors = _error_of_views(landmark_map, [record("a", 0.01), record("b", 0.03)])
    np.testing.assert_allclose(errors, [2, np.nan, np.nan, np.nan])
    errors = _error_of_views(landmark_map, [record("a", 0.01), record("b", None)])
    assert errors[0] == pytest.approx((1 + REJECTED_CM) / 2)


def test_time_is_seconds_where_stamps_are_times() -> None:
    seconds, unit = when_of([record("a", 0.01, 5 * 10**9), record("b", 0.01, 7 * 10**9)])
    assert (seconds.tolist(), unit) == ([0, 2], "seconds")
    for stamps in ((0, 0, 0), (0, 1, 2), (2 * 10**9, 10**9, 3 * 10**9), (5,)):
        frames, unit = when_of([record("a", 0.01, stamp) for stamp in stamps])
        assert (frames.tolist(), unit) == (list(range(len(stamps))), "frame")


def states_drawn(records: list[FrameRecord]) -> dict[str, list[tuple[float, float]]]:
    """State -> from when to when its bars go, as they are drawn."""
    with plotting():
        figure = errors_in_time(records)
    drawn = {}
    for collection in figure.axes[-1].collections:
        boxes = [path.get_extents() for path in collection.get_paths()]
        drawn[str(collection.get_label())] = [(round(box.x0, 6), round(box.x1, 6)) for box in boxes]
    legends = {text.get_text() for legend in figure.legends for text in legend.get_texts()}
    assert drawn.keys() <= legends
    return drawn


def test_states_are_a_band_from_each_frame_to_the_next_but_not_over_long_gaps() -> None:
    seconds = (0, 1, 2, 3, 4, 60, 61)
    states = (State.LOCALIZING, *[State.LOCALIZED] * 3, State.LOST, State.LOST, State.LOCALIZED)
    records = [
        replace(record(f"{second}", None if state is State.LOST else 0.01, second * 10**9), state=state)
        for second, state in zip(seconds, states, strict=True)
    ]
    assert states_drawn(records) == {
        "localizing": [(0, 1)],
        "localized": [(1, 4), (61, 62)],
        "lost": [(4, 9), (60, 61)],
    }
    assert states_drawn(records[:1]) == {"localizing": [(0, 1)]}


def test_without_states_there_is_no_band() -> None:
    with plotting():
        assert len(errors_in_time([record("a", 0.01), record("b", None)]).axes) == 2


def test_a_map_with_a_broken_past_is_said(tmp_path: Path) -> None:
    stored = read_map(shipped("maps/demo_room"))
    for content in (b"{", b"[]", b'{"held_out": [{}]}'):
        with pytest.raises(MapError, match=r"mapping\.json"):
            write_map_report(tmp_path / "m.html", "m", replace(stored, files={**stored.files, "mapping.json": content}))
    assert not (tmp_path / "m.html").exists()


@pytest.mark.parametrize("values", [(0.31, 0.33), (0.1, 5), (0.01, 3000), (1, 1)])
def test_a_logarithmic_axis_has_a_few_plain_numbers(values: tuple[float, float]) -> None:
    with plotting():
        figure, (axis,) = axes_of()
        axis.plot(values, [1, 2])
        logarithmic(axis, "x")
        svg = to_svg(figure, "title")
    assert "×" not in svg
    low, high = axis.get_xlim()
    assert 1 <= sum(low <= tick <= high for tick in axis.get_xticks()) <= 8


def test_thinning_keeps_few_points_and_their_spread() -> None:
    points = np.arange(10 * MOST_POINTS + 3, dtype=np.float64)[:, np.newaxis]
    assert MOST_POINTS / 2 < len(thinned(points)) <= MOST_POINTS
    assert thinned(points)[-1, 0] > 0.99 * len(points)
    assert len(thinned(points[:7])) == 7
    assert len(thinned(points[:0])) == 0
