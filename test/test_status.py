"""What a relocalizer says of an image: the texts are those of docs/ros.md, and come back as what they were made of."""

from dataclasses import replace

import numpy as np
import pytest

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.types import PoseEstimate, Rejection, RejectionReason
from vloc_ros.tracking.state import State
from vloc_ros.tracking.status import CameraReport, FixFigures, ImageReport, Refusal, RefusedError, Status

STAMP_NS = 1_764_345_600_123_456_789
FIGURES = FixFigures(inliers=12, inlier_ratio=0.75, reprojection_rmse_px=0.5, confidence=0.875)
FIX = ImageReport(STAMP_NS, 51.5, 31.2, FIGURES, "hall")
KEYS = [
    *("state", "map_id", "map_frame", "stamp", "inliers", "inlier_ratio", "reprojection_rmse_px", "confidence"),
    *("scene", "latency_ms", "localize_ms", "rejection", "dropped", "place", "search", "cpu_ms", "sigma_m"),
    *("sigma_deg", "check"),
]


def refused(reason: RejectionReason, detail: str = "why: because", figures: FixFigures | None = None) -> ImageReport:
    return ImageReport(STAMP_NS, 51.5, 31.2 if figures else None, figures, None, Refusal(reason, detail))


REPORTS = [
    None,
    FIX,
    replace(FIX, place=None, localize_ms=0.0, stamp_ns=1),
    replace(FIX, search="prior"),
    replace(FIX, search="flow", cpu_ms=7.5),
    replace(FIX, search="checked"),
    *(refused(reason) for reason in RejectionReason),
    refused(RejectionReason.JUMP, "jump of 2.00 m; 1 of 3 fixes agree on that", FIGURES),
    refused(RejectionReason.NO_MAP, ""),
    refused(RejectionReason.BAD_STAMP),
    replace(refused(RejectionReason.BAD_STAMP), stamp_ns=-5 * 10**9),
]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("image", REPORTS)
def test_a_status_survives_its_values(state: State, image: ImageReport | None) -> None:
    status = Status(state, "f6ad628cb93c", "map_hall", image, dropped=7, place="hall", sigma_m=0.0125, sigma_deg=0.25)
    status = replace(status, check="jump: of 2 m" if image else "")
    values = status.to_values()
    assert list(values) == KEYS
    assert Status.from_values(values) == status
    assert Status.from_values(values).to_values() == values


def test_the_texts() -> None:
    assert Status(State.LOCALIZED, "f6ad628cb93c", "map", FIX, 3, "hall", 0.012, 0.3).to_values() == {
        "state": "localized",
        "map_id": "f6ad628cb93c",
        "map_frame": "map",
        "stamp": "1764345600.123456789",
        "inliers": "12",
        "inlier_ratio": "0.750",
        "reprojection_rmse_px": "0.500",
        "confidence": "0.875",
        "scene": "hall",
        "latency_ms": "51.5",
        "localize_ms": "31.2",
        "rejection": "",
        "dropped": "3",
        "place": "hall",
        "search": "global",
        "cpu_ms": "",
        "sigma_m": "0.0120",
        "sigma_deg": "0.300",
        "check": "",
    }
    nothing = Status(State.UNINITIALIZED).to_values()
    assert (nothing["stamp"], nothing["rejection"], nothing["latency_ms"]) == ("0.000000000", "no image yet", "0.0")
    jump = Status(State.LOST, image=refused(RejectionReason.JUMP, "of 2 m", FIGURES)).to_values()
    assert (jump["rejection"], jump["inliers"], jump["localize_ms"]) == ("jump: of 2 m", "12", "31.2")


def test_what_older_relocalizers_did_not_say_is_not_needed() -> None:
    values = Status(State.LOCALIZED, image=FIX).to_values()
    for name in ("map_id", "map_frame", "scene", "latency_ms", "dropped", "place", "search", "cpu_ms", "sigma_m"):
        del values[name]
    del values["sigma_deg"], values["check"]
    assert Status.from_values(values) == Status(State.LOCALIZED, image=replace(FIX, place=None, latency_ms=0.0))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "asleep"}, "'asleep' is not a valid State"),
        ({"rejection": "tired: of it"}, "'tired' is not a valid RejectionReason"),
        ({"stamp": "soon"}, "stamp 'soon' is not a number"),
        ({"inliers": ""}, "invalid literal"),
        ({"confidence": "high"}, "could not convert"),
    ],
)
def test_what_is_no_status_is_refused(changes: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Status.from_values({**Status(State.LOCALIZED, image=FIX).to_values(), **changes})
    with pytest.raises(ValueError, match="no stamp, rejection, localize_ms, inliers"):
        Status.from_values({})


def test_an_error_says_what_the_refusal_says() -> None:
    error = RefusedError(RejectionReason.NO_MAP, "is the map server running?")
    assert str(error) == str(error.refusal) == "no_map: is the map server running?"


def test_an_image_is_reported_from_what_became_of_it() -> None:
    seen = Correspondences(np.zeros((4, 2)), np.zeros((4, 3)), np.ones(4), np.arange(4, dtype=np.int32))
    estimate = PoseEstimate(
        np.eye(4), 1e-4 * np.eye(6), seen, np.array([True, True, True, False]), 0.5, 0.9, {"total": 31.2}, "hall"
    )
    fix = ImageReport.of(STAMP_NS, 51.5, estimate, None)
    assert fix == ImageReport(STAMP_NS, 51.5, 31.2, FixFigures(3, 0.75, 0.5, 0.9), "hall")
    assert fix.summary == "in hall, 3 inliers, reprojection 0.50 px, sigma 1.0 cm, latency 52 ms"
    jump = Refusal(RejectionReason.JUMP, "of 2 m")
    assert ImageReport.of(STAMP_NS, 51.5, estimate, jump) == replace(fix, refusal=jump)
    assert ImageReport.of(STAMP_NS, 51.5, estimate, jump).summary == "jump: of 2 m"
    rejection = Rejection(RejectionReason.NO_POSE, "no pose", timings_ms={"total": 5.0}, place="attic")
    refusal = Refusal(rejection.reason, rejection.detail)
    expected = ImageReport(STAMP_NS, 6.0, 5.0, None, "attic", refusal)
    assert ImageReport.of(STAMP_NS, 6.0, rejection, refusal) == expected
    missing = Refusal(RejectionReason.NO_MAP, "why")
    assert ImageReport.of(STAMP_NS, 6.0, None, missing) == ImageReport(STAMP_NS, 6.0, refusal=missing)


def test_the_message_is_of_the_image_if_that_is_news() -> None:
    fix = replace(FIX, summary="12 inliers")
    no_map = replace(refused(RejectionReason.NO_MAP), summary="no_map: why")
    assert Status(State.LOCALIZED, image=fix).message == "localized: 12 inliers"
    assert Status(State.LOST, image=fix).message == "lost: no image since the last fix"
    failed, jumped = (str(Refusal(reason, "why")) for reason in (RejectionReason.NETWORK_FAILED, RejectionReason.JUMP))
    assert Status(State.LOST, image=fix, check=failed).message == "lost: network_failed: why"
    assert Status(State.LOST, image=fix, check=jumped).message == "lost: no image since the last fix"
    assert Status(State.UNINITIALIZED, image=no_map).message == "uninitialized: no_map: why"
    assert Status(State.LOCALIZING).message == "localizing: no image yet"


def test_what_each_of_several_cameras_did_survives_its_values() -> None:
    cameras = {"front": CameraReport(85), "left": CameraReport(None, "no_transform: why"), "rear": CameraReport(None)}
    status = Status(State.LOCALIZED, "f6ad628cb93c", "map", replace(FIX, cameras=cameras))
    values = status.to_values()
    assert (values["front/inliers"], values["front/problem"]) == ("85", "")
    assert (values["left/inliers"], values["left/problem"]) == ("", "no_transform: why")
    assert Status.from_values(values) == status
