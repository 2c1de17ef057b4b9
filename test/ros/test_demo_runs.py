"""Short runs of the demo over DDS, which leave nothing behind."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vloc_ros.demo.processes import Program
from vloc_ros.ros.programs import as_arguments


def demo_command(folder: Path, *options: str) -> list[str]:
    """The demo on a few images of the drive."""
    split = folder / "short.txt"
    split.write_text("\n".join(f"drive/{index:06d}" for index in range(20)))
    return [sys.executable, "-m", "vloc_ros.cli", "demo", "--split", str(split), "--out", str(folder / "out"), *options]


def nodes_of(folder: Path) -> list[str]:
    """Command lines of the running processes that were started for the demo in this folder, found by their logs."""
    logs = {str(folder / "out" / f"{name}.log") for name in ("map_server", "relocalizer")}
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "fd" / "1") in logs:
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.mark.needs("rclpy")
def test_a_check_out_beside_it_is_not_taken_for_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vloc_ros" / "maps").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    log = tmp_path / "out" / "server.log"
    server = Program("map_server", as_arguments({"map": "/no/such/map"}), log)
    deadline_s = time.monotonic() + 120
    while "no such map directory" not in log.read_text() and time.monotonic() < deadline_s:
        server.check()
        time.sleep(0.05)
    server.stop()
    assert "no such map directory" in log.read_text()


@pytest.mark.needs("tf2_ros")
def test_a_short_drive_over_dds(tmp_path: Path) -> None:
    """At a rate that slow computers keep up with, too."""
    command = demo_command(tmp_path, "--rate", "2")
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert re.search(r"^images +20$", done.stdout, re.MULTILINE), done.stdout + done.stderr
    assert "map -> base_link" in done.stdout
    assert done.stdout.endswith("result: good\n"), done.stdout + done.stderr
    assert done.returncode == 0
    assert (tmp_path / "out" / "demo.png").stat().st_size > 10_000
    assert nodes_of(tmp_path) == []


@pytest.mark.needs("tf2_ros")
def test_interrupted_it_leaves_nothing_running(tmp_path: Path) -> None:
    process = subprocess.Popen(demo_command(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline_s = time.monotonic() + 120
        while not nodes_of(tmp_path) and process.poll() is None and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert nodes_of(tmp_path)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert err.endswith("vloc: interrupted\n")
    assert nodes_of(tmp_path) == []


# A program that is interrupted while a library makes a log handler, which is known to `logging` already then: at the
# first one of all, or at the first one after the nodes were started.
INTERRUPTED_IN_A_HANDLER = """
import logging, os, signal, sys

moment, arguments = sys.argv[1], sys.argv[2:]
create_lock, kept = logging.Handler.createLock, []
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that run in the background do without

def create_lock_late(handler):
    rclpy = sys.modules.get("rclpy")
    if moment == "first" or (rclpy and getattr(rclpy, "ok", bool)()):
        logging.Handler.createLock = create_lock
        kept.append(handler)
        print("interrupted in a handler", file=sys.stderr)
        os.kill(os.getpid(), signal.SIGINT)
    create_lock(handler)

logging.Handler.createLock = create_lock_late
from vloc_ros.cli import demo, main
if moment == "first":
    demo.check = lambda options: logging.StreamHandler()
sys.exit(main(arguments))
"""


@pytest.mark.parametrize("moment", ["first", "after the nodes"])
@pytest.mark.needs("tf2_ros")
def test_interrupted_while_a_log_handler_is_made_it_ends_as_always(tmp_path: Path, moment: str) -> None:
    python, *_, command = demo_command(tmp_path)[0], demo_command(tmp_path)[3:]
    program = [python, "-c", INTERRUPTED_IN_A_HANDLER, moment, *command]
    done = subprocess.run(program, capture_output=True, text=True, timeout=180, check=False)
    assert "interrupted in a handler" in done.stderr
    assert done.returncode == 130
    assert done.stderr.endswith("vloc: interrupted\n"), done.stderr
    assert nodes_of(tmp_path) == []
