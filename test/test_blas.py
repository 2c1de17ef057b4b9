"""Linear algebra of commands and nodes takes one thread, unless the user says otherwise."""

import os

import pytest
from support..py import run_python

from vloc_ros.blas import THREADS, use_one_thread


def test_what_a_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS, "7")
    use_one_thread()
    assert os.environ[THREADS] == "7"


@pytest.mark.parametrize("entry", ["vloc_ros.cli", "vloc_ros.ros.programs"])
def test_numpy_is_imported_later(entry: str) -> None:
    """NumPy reads the number of threads when it is imported."""
    result = run_python(f"import sys, {entry}; print('numpy' in sys.modules)")
    assert result.stdout.strip() == "False"


def test_commands_take_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(THREADS, raising=False)
    result = run_python(
        "import os; from vloc_ros import cli\n"
        f"try: cli.main(['--version'])\nexcept SystemExit: print('threads', os.environ['{THREADS}'])"
    )
    assert result.stdout.split()[-2:] == ["threads", "1"]
