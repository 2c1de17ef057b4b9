"""`vloc evaluate --bags`: a row for each bag, failed ones too; what got worse is named, and the exit code says so."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import SHIPPED_MAP
from support.bag_scenes import knowing, place, write_drive

from vloc_ros.cli import main
from vloc_ros.datasets.bag_list import read_bag_list
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.evaluation import bag_runs
from vloc_ros.evaluation.bag_runs import BagRun, read_runs, regressions, write_runs
from vloc_ros.evaluation.evaluate import Evaluation
from vloc_ros.evaluation.report import evaluation_report
from vloc_ros.geometry.pose_error import RIGHT_POSE
from vloc_ros.geometry.transforms import from_quaternion


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """Two bags, and one that is not there."""
    for name in ("lobby", "lab"):
        write_drive(tmp_path / name)
    listed = tmp_path / "night.yaml"
    listed.write_text(
        "- {name: lobby, bag: lobby}\n- {name: gone, bag: nowhere}\n- {name: lab, bag: lab, truth: /pose}\n"
    )
    return listed


def evaluate(night: Path, monkeypatch: pytest.MonkeyPatch, *more: str, off_m: float = 0.0) -> int:
    """With a localizer that is so far off in every image of the second half."""

    def pose_at(stamp_ns: int) -> Any:
        moved = place(stamp_ns) @ from_quaternion([0, 0, 0, 1], [off_m, 0, 0])
        return moved if stamp_ns > 1001 * 10**9 else place(stamp_ns)

    localizer = knowing(monkeypatch, pose_at)
    monkeypatch.setattr(bag_runs, "load_localizer", lambda *_, **__: localizer)
    return main(["evaluate", "--map", str(SHIPPED_MAP), "--bags", str(night), *more])


def test_a_failed_bag_is_a_row_and_not_the_end(
    night: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = night.parent / "out"
    monkeypatch.setattr(evaluation_report, "report_of", lambda title, *_: f"<!DOCTYPE html>of {title}")
    assert evaluate(night, monkeypatch, "--json", str(out / "run.json"), "--report", str(out / "run.html")) == 2
    printed = capsys.readouterr()
    rows = printed.out.splitlines()
    assert [row.split()[0] for row in rows] == ["bag", "lobby", "gone", "lab"]
    assert "100.0%" in rows[1]
    assert "failed" in rows[2]
    assert "gone" in printed.err
    assert "nowhere" in printed.err
    runs = read_runs(out / "run.json")
    assert runs["gone"].summary is None
    assert "nowhere" in str(runs["gone"].error)
    page = (out / "run.html").read_text()
    assert '<a href="run/lobby.html">lobby</a>' in page
    assert "run/gone.html" not in page
    assert (out / "run/lab.html").read_text() == "<!DOCTYPE html>of lab"
    assert Evaluation.read_json(out / "run/lab.json").summary()["frames"] == runs["lab"].summary["frames"]  # type: ignore[index]


def test_what_got_worse_is_named(
    night: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    night.write_text("- {name: lobby, bag: lobby}\n")
    before, now = str(night.parent / "before.json"), str(night.parent / "now.json")
    assert evaluate(night, monkeypatch, "--json", before) == 0
    assert evaluate(night, monkeypatch, "--baseline", before, "--json", now) == 0
    assert evaluate(night, monkeypatch, "--baseline", before, off_m=0.5) == 2
    said = capsys.readouterr().err
    assert f"lobby: within {RIGHT_POSE}" in said
    assert "it was 100.0%" in said
    assert evaluate(night, monkeypatch, "--require", "recall_5cm_5deg>=0.9", off_m=0.5) == 2
    assert "lobby: recall_5cm_5deg>=0.9: it is" in capsys.readouterr().err


def run(**changes: Any) -> BagRun:
    summary = Evaluation(()).summary()
    return BagRun({**summary, "frames": 100, "recall_5cm_5deg": 0.9, "median_translation_m": 0.02,
                   "median_rotation_deg": 0.1, **changes}, map_id="abc")  # fmt: skip


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (run(), ""),
        (run(recall_5cm_5deg=0.89, median_translation_m=0.0205), ""),
        (run(recall_5cm_5deg=1.0), ""),
        (run(recall_5cm_5deg=0.85), "85.0%, it was 90.0%"),
        (run(wrong_accepted=1), "accepted, but wrong: 1, it was 0"),
        (run(median_translation_m=0.03), "median error: 3.00 cm, 0.10 deg, it was 2.00 cm"),
        (run(median_translation_m=None), "median error: none"),
        (BagRun(None, "no images"), "failed, it did not before"),
        (None, "is not among the bags any more"),
    ],
)
def test_regressions(now: BagRun | None, words: str) -> None:
    found = regressions({} if now is None else {"lobby": now, "new": run()}, {"lobby": run()})
    assert [len(lines) for lines in found.values()] == ([1] if words else [])
    assert words in str(found)
    assert regressions({"lobby": BagRun(None, "again")}, {"lobby": BagRun(None, "no images")}) == {}


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    runs = {"lobby": run(), "gone": BagRun(None, "no such bag")}
    write_runs(tmp_path / "runs.json", runs)
    assert read_runs(tmp_path / "runs.json") == runs
    good = json.loads((tmp_path / "runs.json").read_text())
    for broken in ("[", "[]", json.dumps({**good, "format": 9}), json.dumps({**good, "bags": {"a": {"error": "b"}}}),
                   json.dumps({**good, "bags": {"a": {"summary": {}, "error": None, "map_id": ""}}})):  # fmt: skip
        (tmp_path / "broken.json").write_text(broken)
        with pytest.raises(ConfigError, match=r"broken\.json: not as"):
            read_runs(tmp_path / "broken.json")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a list of bags"),
        ("- {name: a}", "bag 1: bag is missing"),
        ("- {name: a, bag: b, speed: c}", "unknown key 'speed'"),
        ("- {name: a, bag: 3}", "bag is 3, expected a text"),
        ("- {name: ../a, bag: b}", "cannot be the name of a file"),
        ("- {name: a, bag: b}\n- {name: a, bag: c}", "two bags are called 'a'"),
        ("- [", "not valid YAML"),
        ("- word", "is 'word'"),
    ],
)
def test_lists_that_are_none(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "list.yaml").write_text(text)
    with pytest.raises(DatasetError, match=r"list\.yaml") as caught:
        read_bag_list(tmp_path / "list.yaml")
    assert words in str(caught.value)


@pytest.mark.parametrize("arguments", [["--dataset", "folder"], ["--bag", "x"], ["--occlude", "0.5"], ["--junit", "x"]])
def test_options_that_do_not_go_with_many_bags(
    night: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert evaluate(night, monkeypatch, *arguments) == 1
    assert "does not go with --bags" in capsys.readouterr().err
    assert main(["evaluate", "--map", str(SHIPPED_MAP), "--dataset", "folder", "--workers", "2"]) == 1
