"""Poses are believed, or not, for how much of the image has the colours of the surface of their place."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from support.painted_walls import HERE, POSTER, painted_image, painted_surface, tiles

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.gate import gate
from vloc_ros.core.manifest import GateThresholds
from vloc_ros.core.query import View
from vloc_ros.core.types import CameraImage, PoseEstimate, Rejection, RejectionReason
from vloc_ros.methods.surface_gate import ODDS, SURE, judged_by_surface, with_odds

COUNT = 20  # correspondences of each view
LEAST = 0.5
SURFACE = painted_surface(POSTER)
SHOWN = painted_image(POSTER)
GATE = partial(gate, thresholds=GateThresholds(min_inliers=8, min_inlier_ratio=0.0, min_confidence=0.5))


def solved(confidence: float, inliers: tuple[int, ...] = (12,)) -> PoseEstimate:
    """With so many inliers in each view."""
    views = np.repeat(np.arange(len(inliers), dtype=np.int32), COUNT)
    found = Correspondences(
        np.zeros((len(views), 2)),
        np.ones((len(views), 3)),
        np.ones(len(views)),
        np.arange(len(views), dtype=np.int32),
        views,
    )
    is_inlier = np.arange(len(views)) % COUNT < np.array(inliers)[views]
    return PoseEstimate(HERE, 1e-6 * np.eye(6), found, is_inlier, 1.0, confidence)


def refused(estimate: PoseEstimate) -> Rejection:
    return Rejection(RejectionReason.LOW_INLIER_RATIO, "inlier ratio 0.6, below 0.7", estimate)


def judged(result: PoseEstimate | Rejection, *images: CameraImage, least: float = LEAST) -> PoseEstimate | Rejection:
    return judged_by_surface(result, [View(each) for each in images], SURFACE, least, GATE)


def dark(image: CameraImage, gain: float = 0.08) -> CameraImage:
    return replace(image, rgb=np.rint(gain * image.rgb).astype(np.uint8))


@pytest.mark.parametrize("image", [SHOWN, dark(SHOWN)], ids=["light", "dark"])
def test_a_pose_of_little_evidence_is_believed_where_nearly_all_of_the_image_agrees(image: CameraImage) -> None:
    found = judged(refused(solved(0.2)), image)
    assert isinstance(found, PoseEstimate)
    assert found.confidence == pytest.approx(with_odds(0.2, ODDS))


@pytest.mark.parametrize("image", [tiles(), dark(tiles(), 0.5), dark(tiles())], ids=["light", "dim", "dark"])
def test_what_shows_something_else_is_refused(image: CameraImage) -> None:
    rejection = refused(solved(0.4))
    assert judged(rejection, image) is rejection
    estimate = solved(0.9)
    found = judged(estimate, image)
    assert isinstance(found, Rejection)
    assert (found.reason, found.refused) == (RejectionReason.UNLIKE_SURFACE, estimate)


def test_where_the_gate_refuses_for_other_reasons_colours_do_not_help() -> None:
    for estimate in (solved(0.001), solved(0.4, (5,)), replace(solved(0.4), reprojection_rmse_px=99.0)):
        rejection = refused(estimate)
        assert judged(rejection, SHOWN) is rejection
    nothing = Rejection(RejectionReason.NO_POSE, "")
    assert judged(nothing, SHOWN) is nothing


def test_between_the_limits_nothing_changes() -> None:
    half = replace(SHOWN, rgb=np.concatenate([SHOWN.rgb[:, :208], tiles().rgb[:, 208:]], axis=1))
    for result in (solved(0.9), refused(solved(0.2))):
        assert judged(result, half) is result
        assert judged(result, tiles(), least=0.0) is result, "a surface that no frame was compared with says nothing"
    found = judged(solved(0.9), half, least=0.9)
    assert isinstance(found, Rejection)
    assert found.detail.endswith("has the colours of the place's surface, below 90 %")


def test_who_agrees_is_surer() -> None:
    found = judged(solved(0.9), SHOWN)
    assert isinstance(found, PoseEstimate)
    assert 0.9 < (found.confidence or 0) < 1
    assert [with_odds(each, ODDS) for each in (0.0, 1.0)] == [0.0, 1.0]
    assert with_odds(0.5, 1.0) == 0.5


@pytest.mark.parametrize("inliers", [0, 1])
def test_a_camera_that_is_covered_says_little(inliers: int) -> None:
    estimate, grey = solved(0.9, (12, inliers)), replace(SHOWN, rgb=np.full_like(SHOWN.rgb, 128))
    for other in (grey, tiles()):
        assert isinstance(judged(estimate, SHOWN, other, least=SURE), PoseEstimate)
    assert isinstance(judged(estimate, tiles(), SHOWN), Rejection)
    black = replace(SHOWN, rgb=np.zeros_like(SHOWN.rgb))
    assert isinstance(judged(solved(0.9, (12, 12)), SHOWN, black, least=0.9), PoseEstimate)
