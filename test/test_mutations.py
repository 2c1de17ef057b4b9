"""A tenth of `benchmark/mutations.py`: nothing that is read ends, hangs or bloats a program, or causes a traceback."""

import subprocess
import sys

import pytest
from mutation_outcome import whole_lines
from support import ROOT

MUTATIONS = ROOT / "benchmark" / "mutations.py"


KINDS = (
    "maps",
    "images",
    "texts",
    pytest.param("bags", marks=pytest.mark.needs("rosbags")),
    pytest.param("messages", marks=pytest.mark.needs("rclpy")),
)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_cannot_harm(kind: str) -> None:
    command = [sys.executable, str(MUTATIONS), "--kind", kind, "--share", "0.1"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{kind} " in run.stdout


def test_a_line_that_is_being_written_is_read_once_it_is_whole() -> None:
    log = b"[WARN] one\n[WARN] Ignoring tra"
    assert whole_lines(log) == b"[WARN] one\n"
    assert whole_lines(b"[WARN] Ignoring tra") == b""
    assert whole_lines(log[11:] + b"nsform\n") == b"[WARN] Ignoring transform\n"
