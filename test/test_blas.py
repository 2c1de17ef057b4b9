"""Linear algebra of commands and nodes takes one thread, unless the user says otherwise."""

import os
import subprocess
import sys

import pytest
from support import ROOT

from vloc_ros.blas import THREADS, use_one_thread


def printed(code: str) -> str:
    """By a new process, which has imported nothing yet and whose user has set nothing."""
    environment = {name: value for name, value in os.environ.items() if name != THREADS}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_what_a_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS, "7")
    use_one_thread()
    assert os.environ[THREADS] == "7"


def test_numpy_reads_it_when_it_is_imported_later() -> None:
    assert printed("import sys, vloc_ros.cli, vloc_ros.ros.programs; print('numpy' in sys.modules)").strip() == "False"


def test_commands_take_one_thread() -> None:
    code = f"""
import os
from vloc_ros import cli
try:
    cli.main(["--version"])
except SystemExit:
    print("threads", os.environ["{THREADS}"])
"""
    assert printed(code).split()[-2:] == ["threads", "1"]
