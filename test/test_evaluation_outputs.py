"""What an evaluation is written to, read back from, and held against."""

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from support import ROOT

from vloc_ros.cli import main
from vloc_ros.errors import ConfigError
from vloc_ros.evaluation.evaluate import Evaluation
from vloc_ros.evaluation.records import FrameRecord, Rejected
from vloc_ros.evaluation.requirements import figures, junit_xml, parse_requirements
from vloc_ros.shipped import shipped
from vloc_ros.tracking.state import State

SCHEMA = ROOT / "docs" / "evaluation.schema.json"


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The JSON of a real evaluation, of frames that are covered so far that some poses are refused."""
    folder = tmp_path_factory.mktemp("evaluated")
    path = folder / "run.json"
    assert main([*evaluate_some(folder), "--occlude", "0.7", "--json", str(path)]) == 0
    return path


def evaluate_some(folder: Path) -> list[str]:
    """`vloc evaluate` of a few frames of the room."""
    names = folder / "frames.txt"
    names.write_text("".join(f"test/{index:06d}\n" for index in range(0, 120, 20)))
    return ["evaluate", "--map", str(shipped("maps/demo_room")), "--dataset", "synthetic_room", "--split", str(names)]


@pytest.mark.needs("jsonschema")
def test_json_is_as_its_schema_says_with_and_without_poses(evaluated: Path, tmp_path: Path) -> None:
    import jsonschema

    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    report = json.loads(evaluated.read_text())
    assert report["rejected"] > 0
    assert report["rejected"] < report["frames"]
    jsonschema.validate(report, schema)
    nothing = FrameRecord("frame", 0, np.eye(4), Rejected("no_pose", "why"), {"total": 1.0})
    live = replace(nothing, state=State.LOST)
    Evaluation((nothing, live), {"bag": "b"}).write_json(tmp_path / "nothing.json")
    jsonschema.validate(json.loads((tmp_path / "nothing.json").read_text()), schema)
    del report["per_frame"][0]["true_pose"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(report, schema)


def test_json_is_read_back_without_loss(evaluated: Path, tmp_path: Path) -> None:
    evaluation = Evaluation.read_json(evaluated)
    evaluation.write_json(tmp_path / "again.json")
    again, before = json.loads((tmp_path / "again.json").read_text()), json.loads(evaluated.read_text())
    assert again["rejection_reasons"] == before["rejection_reasons"]
    assert again["median_translation_m"] == pytest.approx(before["median_translation_m"])
    for found, expected in zip(again["per_frame"], before["per_frame"], strict=True):
        assert found.keys() == expected.keys()
        np.testing.assert_allclose(found["true_pose"], expected["true_pose"], atol=1e-12)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"per_frame": [{}]}', '{"per_frame": [{"name": "x", "stamp_ns": []}]}']
)
def test_what_is_no_evaluation_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ConfigError, match=r"run\.json: not an evaluation"):
        Evaluation.read_json(tmp_path / "run.json")
    with pytest.raises(ConfigError, match="cannot be read"):
        Evaluation.read_json(tmp_path / "other.json")


def test_requirements_hold_or_say_what_is_wrong(evaluated: Path) -> None:
    values = figures(Evaluation.read_json(evaluated).summary())
    assert values["latency_p95_ms"] == values["latency_total_p95_ms"]
    easy, hard = (
        parse_requirements("frames>=1, latency_network_p50_ms>0,recall_5cm_5deg>=1.1")[:2],
        parse_requirements("recall_5cm_5deg>=1.1"),
    )
    assert [requirement.failure(values) for requirement in easy] == [None, None]
    assert str(hard[0].failure(values)).startswith("recall_5cm_5deg>=1.1: it is 0.")


def test_a_median_that_does_not_exist_fails() -> None:
    nothing = FrameRecord("frame", 0, np.eye(4), Rejected("no_pose", "why"), {"total": 1.0})
    values = figures(Evaluation((nothing,)).summary())
    (requirement,) = parse_requirements("median_translation_m<=0.05")
    assert requirement.failure(values) == "median_translation_m<=0.05: it is not there"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("recall_5cm_5deg", "not of the form"),
        ("recall_5cm_5deg=>0.9", "not of the form"),
        ("recall_5cm_5deg>=", "not of the form"),
        ("recall_5cm_5deg>=most", "'most' is not a number"),
        ("beauty>=1", "no figure 'beauty'"),
        ("latency_p97_ms<=1", "no figure 'latency_p97_ms'"),
        ("rejected<=3,,", "not of the form"),
    ],
)
def test_a_requirement_that_means_nothing_is_said_before_anything_is_done(
    text: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "--map", "no_such_map", "--dataset", "synthetic_room", "--require", text]
    assert main(arguments) == 1
    assert words in capsys.readouterr().err


def test_the_exit_code_says_whether_it_is_good_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    junit = tmp_path / "junit.xml"
    assert main([*evaluate_some(tmp_path), "--require", "frames>=1,recall_5cm_5deg>=1.5", "--junit", str(junit)]) == 2
    assert "vloc: required recall_5cm_5deg>=1.5: it is" in capsys.readouterr().err
    suite = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [case.find("failure") is not None for case in suite] == [False, True]


def test_junit_names_are_escaped() -> None:
    values = {"frames": 3.0}
    assert ElementTree.fromstring(junit_xml(parse_requirements("frames<2"), values)).get("failures") == "1"


def test_compare_prints_a_column_for_each_run(
    evaluated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.json"
    other.write_bytes(evaluated.read_bytes())
    assert main(["compare", str(evaluated), str(other)]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["run", "other"]
    assert any(row.startswith("within 5 cm and 5 deg") for row in rows)
    assert main(["compare", str(other), str(other)]) == 1
    assert "same name" in capsys.readouterr().err
