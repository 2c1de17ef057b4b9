"""A tenth of `benchmark/mutations.py`: nothing that is read ends, hangs or bloats a program, or causes a traceback."""

import subprocess
import sys

import pytest
from support import ROOT

MUTATIONS = ROOT / "benchmark" / "mutations.py"


@pytest.mark.parametrize("kind", ["maps", "images", "texts", "bags", "messages"])
def test_what_is_read_cannot_harm(kind: str) -> None:
    if kind == "messages":
        pytest.importorskip("rclpy", reason="the nodes need rclpy: ROS 2 is not installed")
    if kind == "bags":
        pytest.importorskip("rosbags")
    command = [sys.executable, str(MUTATIONS), "--kind", kind, "--share", "0.1"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{kind} " in run.stdout
