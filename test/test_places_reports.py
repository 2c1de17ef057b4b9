"""Evaluations of maps of several places: wrong places count as wrong, in figures, tables and reports."""

import json
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import ROOT
from support.two_places import (
    ATTIC,
    COUNT,
    HALL,
    PLACES,
    FakeMethod,
    FakeSession,
    image,
    joined_map,
    located,
    seen,
)

from vloc_ros.cli.evaluate_outputs import write_outputs
from vloc_ros.cli.inspect import _places
from vloc_ros.core.correspondences import Correspondences
from vloc_ros.datasets.types import Frame
from vloc_ros.drawing.caption import caption_of
from vloc_ros.errors import ConfigError
from vloc_ros.evaluation.evaluate import Evaluation, evaluate_frames
from vloc_ros.evaluation.metrics import comparison_rows
from vloc_ros.evaluation.records import FrameRecord, Rejected, outcome_of
from vloc_ros.evaluation.requirements import figures, parse_requirements
from vloc_ros.evaluation.rerun_viewer import show_in_rerun
from vloc_ros.evaluation.uncertainty import is_right
from vloc_ros.geometry.pose_error import PoseTolerance
from vloc_ros.localizer import Localizer
from vloc_ros.maps import StoredMap

SCHEMA = ROOT / "docs" / "evaluation.schema.json"


class Sequence:
    """A localizer's method that answers one image after the other; the first is the warm-up's."""

    def __init__(self, answers: list[Correspondences]) -> None:
        self.answers = iter([Correspondences.empty(), *answers])

    pnp, scales, preload, prepare = FakeMethod.pnp, FakeMethod.scales, FakeMethod.preload, FakeMethod.prepare
    observe, refine = FakeMethod.observe, FakeMethod.refine

    def propose(self, *_: object) -> list[Correspondences]:
        return [next(self.answers)]


def evaluated() -> Evaluation:
    """Right, taken for the other place though the pose agrees, rejected in the right place, nothing seen at all."""
    landmark_map = joined_map()
    hall, attic = seen(landmark_map, HALL, 1.0), seen(landmark_map, ATTIC, 1.0)
    answers = [hall, attic, hall[np.arange(2)], Correspondences.empty()]
    frames = [Frame(f"hall/{i}", image(), np.eye(4), place="hall") for i in range(4)]
    localizer = Localizer(landmark_map, Sequence(answers), {"network": FakeSession()})  # type: ignore[arg-type]
    return evaluate_frames(localizer, frames)


def test_a_pose_in_the_wrong_place_has_failed() -> None:
    right, wrong, rejected, blind = evaluated().records
    assert [record.place for record in (right, wrong, rejected, blind)] == ["hall", "attic", "hall", None]
    assert right.error is not None
    assert right.error.translation_m < 1e-6
    assert wrong.error is not None
    assert not wrong.error.in_right_place
    assert not wrong.error.within(PoseTolerance(1e9, 360))
    assert wrong.solved is not None
    assert not is_right(wrong.solved)
    summary = evaluated().summary()
    assert summary["scene_accuracy"] == 0.5  # of all frames, the rejected one among the right ones
    assert (summary["wrong_accepted"], summary["rejected"], summary["recall_25cm_2deg"]) == (1, 2, 0.25)
    assert summary["median_translation_m"] is None
    assert summary["coverage_95"] == 1.0  # what is in another frame cannot be inside or outside


def test_a_refused_pose_in_the_wrong_place_is_wrong_for_the_calibration() -> None:
    """`training.samples` asks the error alone, of accepted and refused poses."""
    landmark_map = joined_map(min_confidence=1.0)
    result = located(landmark_map, seen(landmark_map, ATTIC, 1.0))
    for place, right in (("attic", True), ("hall", False)):
        outcome = outcome_of(result, np.eye(4), place)
        assert isinstance(outcome, Rejected)
        assert outcome.refused is not None
        assert is_right(outcome.refused) is right


def test_the_nearest_view_is_one_of_the_same_place() -> None:
    records = evaluated().records
    assert {record.nearest_view.distance_m for record in records if record.nearest_view} == {0.0}
    landmark_map = joined_map()
    assert [len(landmark_map.views_of(place)) for place in (*PLACES, "cellar")] == [1, 2, 0]


def test_truth_that_is_in_no_frame_of_the_map_is_refused() -> None:
    joined = Localizer(joined_map(), FakeMethod(Correspondences.empty()), {"network": FakeSession()})  # type: ignore[arg-type]
    single = replace(joined, landmark_map=joined_map(places=()))
    frame = Frame("7", image(), np.eye(4))
    with pytest.raises(ConfigError, match="7: the frame does not say of which place it is, the map is of the places"):
        evaluate_frames(joined, [frame])
    with pytest.raises(ConfigError, match="7: the frame is of place 'hall', the map is of one place"):
        evaluate_frames(single, [replace(frame, place="hall")])
    assert evaluate_frames(joined, [replace(frame, place="cellar")]).summary()["scene_accuracy"] == 0


@pytest.mark.needs("jsonschema")
def test_json_is_as_its_schema_says_and_is_read_back(tmp_path: Path) -> None:
    evaluation = evaluated()
    evaluation.write_json(tmp_path / "run.json")
    report = json.loads((tmp_path / "run.json").read_text())
    assert [frame["true_scene"] for frame in report["per_frame"]] == ["hall"] * 4
    assert report["per_frame"][1]["translation_error_m"] is None
    again = Evaluation.read_json(tmp_path / "run.json")
    assert again.summary()["scene_accuracy"] == report["scene_accuracy"] == 0.5
    assert [record.place for record in again.records] == [record.place for record in evaluation.records]
    assert again.records[1].error == evaluation.records[1].error
    before_places = {name: value for name, value in report["per_frame"][0].items() if "scene" not in name}
    assert FrameRecord.from_json(before_places).true_place is None
    import jsonschema

    jsonschema.validate(report, json.loads(SCHEMA.read_text()))


def test_requirements_know_the_place_accuracy() -> None:
    values = figures(evaluated().summary())
    held, missed = parse_requirements("scene_accuracy>=0.5,scene_accuracy>=0.98")
    assert held.failure(values) is None
    assert missed.failure(values) == "scene_accuracy>=0.98: it is 0.5"
    of_one_place = figures(Evaluation(()).summary())
    assert held.failure(of_one_place) == "scene_accuracy>=0.5: it is not there"


def test_tables_have_the_place_only_where_there_are_several() -> None:
    evaluation = evaluated()
    rows = comparison_rows({"joined": evaluation.summary(), "single": Evaluation(()).summary()})
    assert ["right place", "50.0%", "none"] in rows
    assert not [row for row in comparison_rows({"single": Evaluation(()).summary()}) if "place" in row[0]]
    assert {place: len(part.records) for place, part in evaluation.by_place().items()} == {"hall": 4}


def test_places_are_printed_side_by_side_where_there_are_several(capsys: pytest.CaptureFixture[str]) -> None:
    options = Namespace(json=None, trajectory=None, report=None, junit=None, require=[])
    localizer = Localizer(joined_map(), FakeMethod(Correspondences.empty()), {"network": FakeSession()})  # type: ignore[arg-type]
    alone = evaluated()
    both = Evaluation((*alone.records, replace(alone.records[0], true_place="attic")))
    for evaluation, header in ((alone, None), (both, ["hall", "attic"])):
        write_outputs(options, evaluation, localizer, lambda names: ())
        table = capsys.readouterr().out.partition("\n\n")[2].splitlines()
        assert (table[0].split() if table else None) == header
    assert ["right", "place", "50.0%", "0.0%"] in [row.split() for row in table]


def test_the_caption_names_the_place() -> None:
    landmark_map = joined_map()
    assert caption_of(located(landmark_map, seen(landmark_map, HALL, 1.0)))[0].startswith("localized in hall")


@pytest.mark.needs("matplotlib")
def test_the_reports_show_each_place_by_itself(tmp_path: Path) -> None:
    from vloc_ros.evaluation.report.evaluation_report import write_comparison, write_report
    from vloc_ros.evaluation.report.map_report import write_map_report

    evaluation, landmark_map = evaluated(), joined_map()
    localizer = Localizer(landmark_map, FakeMethod(Correspondences.empty()), {"network": FakeSession()})  # type: ignore[arg-type]
    write_report(tmp_path / "run.html", "run", evaluation, localizer, lambda names: ())
    page = (tmp_path / "run.html").read_text()
    for words in ("right place", "50.0%", "Place by place", "Where, in place hall", "box attic", "in the wrong place"):
        assert words in page
    assert "Where, in place attic" not in page  # no frame is of it
    write_comparison(tmp_path / "both.html", {"one": evaluation, "other": evaluation})
    held_out = json.dumps({"held_out": [record.to_json() for record in evaluation.records]}).encode()
    stored = StoredMap(landmark_map, {"mapping.json": held_out}, "0123456789ab")
    write_map_report(tmp_path / "map.html", "house", stored)
    page = (tmp_path / "map.html").read_text()
    for words in (
        "Landmarks: place hall",
        "Landmarks: place attic",
        "Where will it fail?: place hall",
        "taken for attic",
    ):
        assert words in page


def test_inspect_describes_each_place() -> None:
    places = _places(joined_map())
    assert list(places) == [f"place {place}" for place in PLACES]
    assert [rows["frame"] for rows in places.values()] == ["map_hall", "map_attic"]
    assert [rows["regions"] for rows in places.values()] == [COUNT, COUNT]
    assert list(_places(joined_map(places=()))) == ["place map"]


@pytest.mark.needs("rerun")
def test_each_place_has_a_view_of_its_own(tmp_path: Path) -> None:
    landmark_map = joined_map()
    localizer = Localizer(landmark_map, FakeMethod(seen(landmark_map, ATTIC, 1.0)), {"network": FakeSession()})  # type: ignore[arg-type]
    frames = [Frame(place, image(), np.eye(4), place=place) for place in ("attic", "hall")]
    show_in_rerun(localizer, frames, tmp_path / "run.rrd")
    content = (tmp_path / "run.rrd").read_bytes()
    for place in PLACES:
        assert f"world/{place}/landmarks".encode() in content
        assert f"world/{place}/path/truth".encode() in content
    assert b"world/attic/path/estimate" in content
    assert b"world/hall/path/estimate" not in content  # the second image is taken for the attic
    with pytest.raises(ConfigError, match="does not say of which place it is, the map is of the places hall, attic"):
        show_in_rerun(localizer, [Frame("7", image(), np.eye(4))], tmp_path / "other.rrd")
