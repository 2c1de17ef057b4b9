"""The command line: wrong words, interruptions, and what `vloc inspect` and `vloc demo` say."""

import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT
from support.constant_place import refusal, without_module

from vloc_ros import __version__
from vloc_ros.cli import main
from vloc_ros.errors import ConfigError
from vloc_ros.shipped import shipped


def test_inspect(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(place / "map")]) == 0
    text = capsys.readouterr().out
    for word in ("vsnet", "office", "48", "320 x 240", "min_inliers", "verified"):
        assert word in text
    rows = [line for line in text.splitlines() if line.startswith("  ") and "(nothing" not in line]
    assert len({len(row) - len(row[2:].split("  ", 1)[1].lstrip()) for row in rows}) == 1, "values in one column"
    assert "e-" not in text.split("from")[1].split("\n")[0]  # a box in metres, not to the last bit
    assert "no such map" in refusal(capsys, "inspect", tmp_path / "nowhere")
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in (place / "map").iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "network.onnx").write_bytes(b"x" + (copy / "network.onnx").read_bytes()[1:])
    assert "network.onnx: damaged" in refusal(capsys, "inspect", copy)


def test_demo_without_ros_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_module(monkeypatch, "vloc_ros.demo", "rclpy")
    line = refusal(capsys, "demo")
    assert "rclpy" in line
    assert "make demo" in line


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--rate", "0"), "--rate"),
        (("--rate", "nan"), "--rate"),
        (("--dataset", "folder"), "--map"),
        (("--bag", "a.mcap"), "--map"),
        (("--bag", "a.mcap", "--dataset", "folder"), "not allowed with"),
        (("--bag", "a.mcap", "--map", "m", "--kidnap"), "--kidnap"),
    ],
)
def test_demo_refuses_what_makes_no_sense(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], word: str
) -> None:
    assert word in refusal(capsys, "demo", *arguments)


@pytest.mark.parametrize("arguments", [(), ("fly",), ("inspect",), ("localize", "a.png"), ("inspect", "a", "--fast")])
def test_a_wrong_command_line_gets_one_line(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    assert "--help" in refusal(capsys, *arguments)


@pytest.mark.parametrize("in_compiled_code", [False, True])
def test_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], in_compiled_code: bool
) -> None:
    def interrupt(*_: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            if not in_compiled_code:
                raise
            raise SystemError("returned a result with an exception set") from error

    monkeypatch.setattr("vloc_ros.cli.inspect.checked_map", interrupt)
    assert main(["inspect", "anything"]) == 130
    assert capsys.readouterr().err == "vloc: interrupted\n"


def test_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vloc_ros.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("vloc 0.")


def test_one_version_everywhere() -> None:
    assert f"<version>{__version__}</version>" in (ROOT / "package.xml").read_text()
    assert f'version="{__version__}"' in (ROOT / "setup.py").read_text()


def test_a_reader_that_goes_away_is_no_error(place: Path) -> None:
    command = [sys.executable, "-m", "vloc_ros.cli", "inspect", str(place / "map")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141


def test_a_map_that_was_not_shipped() -> None:
    with pytest.raises(ConfigError, match=r"maps/no_such_map: .* not installed"):
        shipped("maps/no_such_map")
