"""The words on a picture: few, and readable on pictures of any size."""

import numpy as np
import pytest

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.types import PoseEstimate, Rejection, RejectionReason
from vloc_ros.drawing.caption import GREEN, LINE_LENGTH, RED, caption_of, write_caption

POINTS = Correspondences(np.zeros((5, 2)), np.zeros((5, 3)), np.ones(5), np.arange(5, dtype=np.int32))
COVARIANCE = np.diag([1e-4, 1e-4, 1e-4, 1e-6, 1e-6, 1e-6])
POSE = PoseEstimate(np.eye(4), COVARIANCE, POINTS, np.array([True] * 4 + [False]), 0.5, 0.93, {})
REFUSED = Rejection(RejectionReason.LOW_CONFIDENCE, "confidence 0.01, below 0.61 (position sigma 23 cm, 14 inliers)")
BACKGROUND = (10, 200, 100)  # of no shade that the plate or its text have
LENGTHY = Rejection(RejectionReason.NO_POSE, "a reason that is not easily given " * 3)


def test_it_says_what_came_out_and_how_sure_that_is() -> None:
    assert caption_of(POSE) == ("localized, confidence 0.93", "4 inliers, sigma 1 cm, 0.057 deg")
    assert caption_of(REFUSED) == ("rejected", "confidence 0.01, below 0.61")
    assert all(len(line) <= LINE_LENGTH for line in caption_of(LENGTHY))


@pytest.mark.parametrize("size", [(240, 320), (480, 640), (640, 480), (1080, 1920), (120, 160)])
@pytest.mark.parametrize("result", [POSE, REFUSED, LENGTHY])
def test_it_is_a_plate_in_a_corner_with_all_of_the_text(
    size: tuple[int, int], result: PoseEstimate | Rejection
) -> None:
    picture = np.full((*size, 3), BACKGROUND, np.uint8)
    write_caption(picture, result)
    touched = (picture != BACKGROUND).any(axis=2)
    rows, columns = touched.any(axis=1).sum(), touched.any(axis=0).sum()
    assert touched[:rows, :columns].all()
    edge = picture[: rows - 1, 0]
    assert (edge == (GREEN if result is POSE else RED)).all()
    assert rows < 0.4 * size[0]
    text = picture[:rows, :columns].min(axis=2) > 150
    assert 0.05 < text.mean() < 0.4
    assert not text[:, -1].any()  # nothing is cut off
    assert not text[-1].any()
