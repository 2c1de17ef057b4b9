"""`vloc map`: its options, and what it refuses before it begins."""

import json
import re
from pathlib import Path

import pytest
from support.constant_place import refusal, without_module

from vloc_ros.cli import main
from vloc_ros.training.hscnet.options import HSCNetOptions
from vloc_ros.training.map_options import MapOptions
from vloc_ros.training.pram.options import PRAMOptions
from vloc_ros.training.stages.stage_records import content_of
from vloc_ros.training.vsnet.options import VSNetOptions


@pytest.mark.parametrize("missing", ["torch", "scipy"])
def test_map_without_pytorch_says_what_to_install(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_module(monkeypatch, "vloc_ros.training.stages.build_map", missing)
    line = refusal(capsys, "map", "--dataset", "synthetic_room", "--out", tmp_path / "map")
    assert missing in line
    assert "requirements/offline.txt" in line


def test_a_map_of_another_run_is_replaced_only_when_that_is_asked_for(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_module(monkeypatch, "vloc_ros.training.stages.build_map", "torch")  # where it would begin
    work = tmp_path / "work"
    arguments = ("map", "--dataset", "synthetic_room", "--out", place / "map", "--workdir", work)
    there = f"{place / 'map'}: there is a map already; --overwrite replaces it"
    assert there in refusal(capsys, *arguments)
    assert there in refusal(capsys, *arguments, "--until", "calibration")
    assert "torch" in refusal(capsys, *arguments, "--overwrite")
    assert "torch" in refusal(capsys, *arguments, "--until", "geometry")  # writes no map
    assert "torch" in refusal(capsys, *arguments[:4], tmp_path / "new")
    work.mkdir()
    (work / "stages.json").write_text("{}")  # of a run that made another map
    assert there in refusal(capsys, *arguments)
    digest = content_of(place / "map" / "map.yaml")
    (work / "calibration.json").write_text(json.dumps({"map": digest}))  # of the run that made it: the command goes on
    assert "torch" in refusal(capsys, *arguments)
    assert there in refusal(capsys, *arguments, "--fresh")


@pytest.mark.parametrize("inside", [".", "work"])
def test_a_work_directory_inside_the_map_is_refused(
    place: Path, inside: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = place / "new"
    arguments = ("map", "--dataset", "synthetic_room", "--out", out, "--workdir", out / inside)
    assert f"is inside --out {out}" in refusal(capsys, *arguments)
    assert not out.exists()


@pytest.mark.needs("torch")
def test_map_hands_its_options_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vloc_ros.training.stages import build_map

    seen: list[MapOptions] = []
    monkeypatch.setattr(build_map, "build_map", lambda options, progress: seen.append(options))
    arguments = ["map", "--dataset", "synthetic_room", "--out", str(tmp_path / "room")]
    assert main(arguments) == 0
    arguments += ["--method", "vsnet"]
    assert main(arguments) == 0
    assert main([*arguments, "--epochs", "2", "--patch-size", "0.3", "--workdir", str(tmp_path / "w"), "--fresh"]) == 0
    default, dense, chosen = seen
    assert default.workdir == tmp_path / "room.work"
    assert default.method == PRAMOptions()
    assert dense.method == VSNetOptions()
    assert (dense.training.minutes, dense.training.epochs) == (40.0, None)
    assert chosen.method == VSNetOptions(patch_size=0.3)
    assert (chosen.training.minutes, chosen.training.epochs, chosen.fresh) == (None, 2, True)


@pytest.mark.needs("torch")
def test_map_hands_another_methods_options_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vloc_ros.training.stages import build_map

    seen: list[MapOptions] = []
    monkeypatch.setattr(build_map, "build_map", lambda options, progress: seen.append(options))
    arguments = ["map", "--dataset", "synthetic_office", "--out", str(tmp_path / "office"), "--method", "hscnet"]
    assert main(arguments) == 0
    chosen = ["--preset", "small++", "--branching", "9x9x4", "--sparsify", "300", "--reach", "3", "--regression", "2"]
    assert main([*arguments, *chosen]) == 0
    assert main([*arguments, "--branching", "none", "--sparse", "model"]) == 0
    assert [options.method for options in seen] == [
        HSCNetOptions(),
        HSCNetOptions("small++", (9, 9, 4), sparsify=300, reach=3, regression=2.0),
        HSCNetOptions(branching=(), sparse=Path("model")),
    ]


def test_help_of_map_says_whose_an_option_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["map", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "--branching NxN hscnet: " in text
    assert "(default: 25x25)" in text
    assert "vsnet: make about this many landmarks (default: 1000)" in text
    assert re.search(
        r"--preset \w+ vsnet: .*\(mobile, resnet50, xfeat; default: mobile\); hscnet: .*default: small\)", text
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("--minutes -1 --method vsnet", "positive"),
        ("--epochs 0 --method vsnet", "positive"),
        ("--landmarks 0 --method vsnet", "positive"),
        ("--minutes 40", "--minutes 40.0: nothing is trained, the method is pram (--method chooses)"),
        ("--batch-size 8", "--batch-size 8: nothing is trained, the method is pram (--method chooses)"),
        ("--preset mobile", "known are small, paper; the method is pram (--method chooses)"),
        ("--novel-views 1", "--novel-views 1.0: has no effect on a map of pram (--method chooses)"),
        ("--minutes 1 --epochs 1", "not allowed with"),
        ("--method orbslam", "'orbslam'"),
        ("--branching 9x9", "--branching is an option of hscnet, the method is pram (--method chooses)"),
        ("--method vsnet --branching 9x9", "--branching is an option of hscnet, the method is vsnet"),
        ("--method hscnet --landmarks 500", "--landmarks is an option of vsnet, pram, the method is hscnet"),
        ("--method hscnet --branching 9by9", "branching '9by9' is not like 25x25"),
        ("--method hscnet --preset mobile", "preset 'mobile' is unknown, known are small, "),
        ("--method vsnet --patch-size wide", "invalid float value: 'wide'"),
    ],
)
@pytest.mark.needs("torch")
def test_map_refuses_what_makes_no_sense(
    wrong: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal(capsys, "map", "--dataset", "synthetic_room", "--out", tmp_path / "room", *wrong.split())
    assert message in line
    assert not list(tmp_path.iterdir())
