"""Which of a map's points and landmarks were used for frames, and how reports say so."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from support.sparse_scenes import (
    CAMERA,
    DIMENSIONS,
    EXTRACTOR,
    KEY_POINTS,
    POSE,
    KnowingRecognizer,
    SeenSession,
    Sight,
    blank,
    room,
)

from vloc_ros.core.types import LandmarkMap, PoseEstimate
from vloc_ros.datasets.types import Frame
from vloc_ros.evaluation.evaluate import Evaluation
from vloc_ros.evaluation.point_use import point_use
from vloc_ros.evaluation.records import FrameRecord, outcome_of
from vloc_ros.evaluation.report.evaluation_report import write_report
from vloc_ros.evaluation.report.map_report import write_map_report
from vloc_ros.evaluation.report.point_section import describe_use
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.localizer import Localizer
from vloc_ros.maps import StoredMap
from vloc_ros.methods.pram.method import PRAMMethod
from vloc_ros.methods.pram.recognition import recognizer_spec

MODELS = {**EXTRACTOR, "recognizer": recognizer_spec(KEY_POINTS, DIMENSIONS)}
FRAME = Frame("one", blank(), POSE)


def localizer_of(landmark_map: LandmarkMap, right: float | None = None) -> Localizer:
    sessions = {"extractor": SeenSession([Sight().tensors(landmark_map, POSE)])}
    if right is not None:
        sessions["recognizer"] = KnowingRecognizer(landmark_map, right)  # type: ignore[assignment]
    return Localizer(landmark_map, PRAMMethod(), sessions)  # type: ignore[arg-type]


def test_points_are_counted_where_they_are_inliers() -> None:
    landmark_map = room()
    assert landmark_map.points is not None
    localizer = localizer_of(landmark_map)
    result = localizer.localize(blank())
    assert isinstance(result, PoseEstimate)
    use = point_use(localizer, [FRAME, FRAME])
    assert set(np.unique(use.counts).tolist()) == {0, 2}
    assert (use.counts > 0).sum() == result.inliers.sum()
    pixels, _ = CAMERA.project(apply(invert(POSE), landmark_map.points.positions[use.counts > 0]))
    assert ((pixels > -1) & (pixels < (CAMERA.width, CAMERA.height))).all()
    one = use.frames[0]
    assert (one.matches, one.inliers) == (result.evidence.correspondences, result.evidence.inliers)
    assert (one.guided_matches, one.guided_inliers) == (len(result.correspondences), result.inliers.sum())
    assert one.key_points == 350
    assert use.landmarks is None
    assert use.precision is None
    assert "landmarks" not in describe_use(one)


def test_landmarks_are_counted_as_they_are_recognised() -> None:
    landmark_map = room(regions=20, models=MODELS)
    for right, expected in ((1.0, (0.99, 1.0)), (0.5, (0.45, 0.65))):  # by chance one of twenty is right too
        use = point_use(localizer_of(landmark_map, right), [FRAME])
        assert use.precision is not None
        assert expected[0] <= use.precision[0] <= expected[1]
        assert use.precision == sorted(use.precision)
        assert use.landmarks is not None
        assert use.landmarks.sum() == 250  # what is surely none is not counted
        assert f"{(use.landmarks > 0).sum()} landmarks recognised" in describe_use(use.frames[0])


def test_a_frame_without_a_pose_uses_nothing() -> None:
    landmark_map = room()
    elsewhere = SeenSession([Sight().tensors(room(seed=5), POSE)])
    localizer = replace(localizer_of(landmark_map), sessions={"extractor": elsewhere})
    use = point_use(localizer, [FRAME])
    assert not use.counts.any()
    assert use.frames[0].guided_matches == 0


def test_the_report_shows_what_points_did(tmp_path: Path) -> None:
    for places, right in ((1, None), (2, 0.9)):
        landmark_map = room(places=places, models=EXTRACTOR if right is None else MODELS)
        localizer = localizer_of(landmark_map, right)
        place = "place0" if places > 1 else None
        outcome = outcome_of(localizer.localize(blank()), POSE, place)
        record = FrameRecord("one", 0, POSE, outcome, {"total": 1.0}, place=place, true_place=place)
        write_report(tmp_path / "report.html", "room", Evaluation((record,)), localizer, lambda names: [FRAME])
        html = (tmp_path / "report.html").read_text()
        assert "Points and landmarks, in 1 of the frames" in html
        assert html.count("by use; grey") >= places
        assert ("among the best 1 / 2 / 3 recognised" in html) == (right is not None)
        assert "guided ones" in html


def test_the_report_of_a_map_says_how_well_landmarks_are_recognised(tmp_path: Path) -> None:
    landmark_map = room()
    for precision, expected in (
        ({"frames": 30, "top_1": 0.62, "top_2": 0.78, "top_3": 0.84, "place": 1.0}, "62 / 78 / 84 %"),
        ({"top_1": "high"}, None),
        (None, None),
    ):
        training = {} if precision is None else {"recognition_held_out": precision}
        manifest = replace(landmark_map.manifest, training=training)
        stored = StoredMap(replace(landmark_map, manifest=manifest), {}, "0" * 12)
        write_map_report(tmp_path / "map.html", "room", stored)
        html = (tmp_path / "map.html").read_text()
        assert ("landmark among the best 1 / 2 / 3 recognised" in html) == (expected is not None)
        assert expected is None or expected in html
