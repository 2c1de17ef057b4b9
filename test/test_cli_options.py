"""What commands are, and what they share of their options: the old names of those that were renamed."""

import argparse
import subprocess
import sys
from pkgutil import resolve_name

import pytest

from vloc_ros.cli import COMMANDS, build_parser
from vloc_ros.cli.command import Command
from vloc_ros.cli.options import add_old_name


def a_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="p")
    group = parser.add_argument_group("training")
    add_old_name(group, "--old-count", group.add_argument("--count", type=float, required=True, choices=(1.5, 2.0)))
    add_old_name(group, "--old-flag", group.add_argument("--flag", action="store_true"))
    add_old_name(group, "--old-files", group.add_argument("--files", nargs="+", action="extend", default=[]))
    either = parser.add_mutually_exclusive_group()
    add_old_name(either, "--old-epochs", either.add_argument("--epochs", type=int))
    either.add_argument("--minutes", type=int)
    return parser


@pytest.mark.parametrize("sign", [" ", "="])
def test_an_old_name_does_what_the_option_does_and_says_the_new_one(
    sign: str, capsys: pytest.CaptureFixture[str]
) -> None:
    new = f"--count{sign}1.5 --flag --files a b --files c --epochs{sign}3"
    old = f"--old-count{sign}1.5 --old-flag --old-files a b --files c --old-epochs{sign}3"
    parsed = a_parser().parse_args(new.split())
    assert capsys.readouterr().err == ""
    assert a_parser().parse_args(old.split()) == parsed
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["--old-count", "--old-flag", "--old-files", "--old-epochs"]
    for line, name in zip(lines, ("--count", "--flag", "--files", "--epochs"), strict=True):
        assert f"is called {name} now" in line


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("", "--count"),  # required still, under its new name
        ("--old-count 3", "invalid choice: 3.0"),
        ("--old-count x", "invalid float value: 'x'"),
        ("--old-count", "expected one argument"),
        ("--count 1.5 --old-epochs 3 --minutes 2", "not allowed with argument"),
    ],
)
def test_an_old_name_is_as_strict_as_the_new_one(
    arguments: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        a_parser().parse_args(arguments.split())
    assert complaint in capsys.readouterr().err


def test_help_shows_the_new_name_only() -> None:
    text = a_parser().format_help()
    assert "old" not in text
    assert "--count" in text
    assert "--epochs EPOCHS | --minutes" in text


RENAMED = [
    ("map --dataset folder --out m", "--moved-views", "--novel-views", "0.25"),
    ("evaluate --map m --bag b", "--scene", "--place", "hall"),
]


@pytest.mark.parametrize(("command", "old", "new", "value"), RENAMED)
def test_options_of_vloc_work_under_their_old_names(
    command: str, old: str, new: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before, now = (build_parser(command.split()[0]).parse_args([*command.split(), name, value]) for name in (old, new))
    assert before == now
    assert capsys.readouterr().err == (f"note: {old} is called {new} now; the old name works until the next release\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_says_what_it_does(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = resolve_name(f"vloc_ros.cli.{name}:COMMAND")
    assert isinstance(command, Command)
    with pytest.raises(SystemExit) as end:
        build_parser(name).parse_args([name, "--help"])
    assert end.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert " ".join(command.description.split())[:60] in text


def test_the_help_of_all_loads_nothing_that_takes_time() -> None:
    code = (
        "import sys; from vloc_ros.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print('loaded', *(name for name in sys.modules if '.' not in name))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *text, loaded = done.stdout.splitlines()
    assert set(COMMANDS) <= {line.split()[0] for line in text if line.startswith("    ")}
    assert not {"numpy", "cv2", "numba", "yaml", "tqdm", "onnxruntime"} & set(loaded.split())
