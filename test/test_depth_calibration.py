"""A depth error of known size is found from the poses and undone; where there is none, or no telling, depth stays."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from support.mapping_scenes import CAMERA, WallAndBox, looking_at

from vloc_ros.datasets import Dataset, Frame
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.transforms import Matrix
from vloc_ros.mapping.depth_calibration import CorrectedDepth, DepthCorrection
from vloc_ros.mapping.depth_calibration import calibrate_depth as calibrate_views
from vloc_ros.mapping.depth_views import read_depth_views

IDENTITY = DepthCorrection()


def calibrate_depth(dataset: Dataset) -> DepthCorrection:
    return calibrate_views(read_depth_views(dataset))


def approach(count: int = 12, nearest: float = 0.8, farthest: float = 3.5) -> tuple[Matrix, ...]:
    """Cameras that come closer to the wall and the box, swinging from side to side."""
    distances = np.linspace(farthest, nearest, count)
    return tuple(looking_at((0.3 * np.sin(9 * d), 1.6 - d, 0.2 * np.cos(7 * d)), (0.0, 1.6, 0.0)) for d in distances)


def sensed(dataset: WallAndBox, scale: float, offset: float) -> CorrectedDepth:
    """The data set as a sensor sees it that the correction (scale, offset) puts right."""
    return CorrectedDepth(dataset, DepthCorrection(1.0 / scale, -offset / scale))


@dataclass(frozen=True)
class Flawed(WallAndBox):
    """Depth as some readers give it: partly unknown, not a number, or infinite."""

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        frame = super().frame(index, depth=depth)
        if frame.depth is not None:
            frame.depth[:10], frame.depth[10:20], frame.depth[20:30] = 0.0, np.nan, np.inf
        return frame


@pytest.mark.parametrize(("scale", "offset"), [(0.987, 0.01), (1.02, -0.01), (1.0, 0.015), (0.97, 0.0)])
def test_a_known_error_is_recovered(scale: float, offset: float) -> None:
    found = calibrate_depth(sensed(WallAndBox(approach(), noise=0.002), scale, offset))
    depth = np.array([[1.0, 2.0, 3.0]], dtype=np.float32)
    np.testing.assert_allclose(found.apply(depth), DepthCorrection(scale, offset).apply(depth), rtol=0.008)
    assert found.error_after_m < 0.9 * found.error_before_m
    assert str(found.points) in found.describe()
    assert "corrected" in found.describe()


@pytest.mark.parametrize("noise", [0.0, 0.005])
def test_true_depth_is_left_alone(noise: float) -> None:
    found = calibrate_depth(WallAndBox(approach(), noise))
    assert found.is_identity
    assert found.points > 1000
    assert found.error_before_m == found.error_after_m
    assert "left as it is" in found.describe()


def test_unknown_depth_in_the_frames_does_no_harm() -> None:
    found = calibrate_depth(sensed(Flawed(approach()), 0.987, 0.01))
    assert (found.scale, found.offset) == pytest.approx((0.987, 0.01), abs=0.006)


@pytest.mark.parametrize(
    "poses",
    [approach(3), tuple(looking_at((x, -0.5, 0.0), (x, 2.0, 0.0)) for x in np.linspace(-0.5, 0.5, 12)),
     tuple(np.diag([-1.0, -1.0, 1.0, 1.0]) @ pose for pose in approach())],
    ids=["few frames", "one distance", "nothing seen"],
)  # fmt: skip
def test_too_little_to_tell(poses: tuple[Matrix, ...]) -> None:
    found = calibrate_depth(sensed(WallAndBox(poses), 0.95, 0.02))
    assert found == replace(IDENTITY, points=found.points)
    assert found.points < 1000


def test_apply_is_the_model_and_keeps_the_unknown() -> None:
    depth = np.array([[0.0, 0.5, 2.0], [np.nan, np.inf, 120.0]], dtype=np.float32)
    corrected = DepthCorrection(0.98, -0.01).apply(depth)
    assert corrected.dtype == np.float32
    known = depth[0, 1:]
    np.testing.assert_allclose(1 / corrected[0, 1:], 0.98 / known - 0.01, rtol=1e-6)
    assert (corrected[0, 0], *corrected[1]) == (0.0, 0.0, 0.0, 0.0), "unknown, or beyond infinity"


def test_corrected_depth_is_the_data_set_otherwise() -> None:
    dataset = WallAndBox(approach(4))
    corrected = CorrectedDepth(dataset, DepthCorrection(0.98, 0.01))
    assert (corrected.names, corrected.has_depth, len(corrected)) == (dataset.names, True, 4)
    assert corrected.camera(1) == CAMERA
    np.testing.assert_array_equal(corrected.map_from_camera(1), dataset.map_from_camera(1))
    assert corrected.frame(1).depth is None
    before, after = dataset.frame(1, depth=True), corrected.frame(1, depth=True)
    np.testing.assert_array_equal(before.image.rgb, after.image.rgb)
    np.testing.assert_array_equal(after.depth == 0, before.depth == 0)
    assert before.depth is not None
    assert after.depth is not None
    assert not np.array_equal(before.depth, after.depth)


def test_progress_is_reported() -> None:
    seen: list[tuple[int, int]] = []
    read_depth_views(WallAndBox(approach(3)), lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_file_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "depth.json"
    correction = DepthCorrection(0.987, 0.00996, 5413, 0.025, 0.012)
    correction.save(path)
    assert DepthCorrection.load(path) == correction
    assert [p.name for p in tmp_path.iterdir()] == ["depth.json"]
    path.write_text('{"scale": 1.0')
    with pytest.raises(DatasetError, match=r"depth\.json.*--fresh"):
        DepthCorrection.load(path)
