"""Interrupted or killed at any moment: a clean end, and nobody else suffers."""

import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from support import SUPPORT
from support.graph import Graph, Program
from support.robot import Robot

from vloc_ros.datasets import Frame


def has_loaded(program: Program, library: str) -> bool:
    """Whether the process runs this package, for from then on nothing is left that we cannot answer for."""
    try:
        return library in Path(f"/proc/{program.pid}/maps").read_text()
    except OSError:
        return False


MOMENTS: dict[str, Callable[[Graph, Program], bool]] = {
    "imports rclpy": lambda graph, program: has_loaded(program, "_rclpy_pybind11"),
    "imports OpenCV": lambda graph, program: has_loaded(program, "cv2"),
    "is found": lambda graph, program: graph.is_up("relocalizer") or graph.is_up("vloc_map_server"),
}


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("moment", MOMENTS)
def test_interrupted_while_it_starts(graph: Graph, shipped_map: Path, moment: str, times: int) -> None:
    program = graph.start_interpreter("relocalizer", map=shipped_map, threads=1)
    graph.wait_for(lambda: MOMENTS[moment](graph, program))
    program.interrupt(times)
    assert program.ended() == 0, program.log
    assert "Traceback" not in program.log, program.log


@pytest.mark.parametrize("moment", MOMENTS)
def test_terminated_while_it_starts(graph: Graph, shipped_map: Path, moment: str) -> None:
    """As `docker stop` and systemd do."""
    program = graph.start_interpreter("relocalizer", map=shipped_map, threads=1)
    graph.wait_for(lambda: MOMENTS[moment](graph, program))
    for _ in range(2):
        program.send(signal.SIGTERM)
    assert program.ended() == 0, program.log
    assert "Traceback" not in program.log, program.log


@pytest.mark.parametrize("times", [1, 2])
def test_a_map_server_interrupted_while_it_starts(graph: Graph, shipped_map: Path, times: int) -> None:
    program = graph.start_interpreter("map_server", map=shipped_map)
    graph.wait_for(lambda: MOMENTS["imports rclpy"](graph, program))
    program.interrupt(times)
    assert program.ended() == 0, program.log
    assert "Traceback" not in program.log, program.log


@pytest.mark.parametrize("times", [1, 2])
def test_interrupted_while_it_localizes(graph: Graph, frames: list[Frame], shipped_map: Path, times: int) -> None:
    program = graph.start("relocalizer", map=shipped_map, threads=1, tf_mode="none", base_frame="")
    robot = Robot(graph, frames)
    robot.wait_to_be_heard()
    robot.ask(partial(robot.send_image, frames[0]))
    for _ in range(20):
        robot.send_image(frames[0], robot.now_ns())
        graph.spin(0.01)
    program.interrupt(times)
    assert program.ended() == 0, program.log
    assert "Traceback" not in program.log, program.log


def test_interrupted_while_it_waits_for_tf_or_an_image(graph: Graph, frames: list[Frame], shipped_map: Path) -> None:
    program = graph.start("relocalizer", map=shipped_map, threads=1, tf_timeout=10.0)
    robot = Robot(graph, frames)
    robot.wait_to_be_heard()
    robot.send_image(frames[0], robot.now_ns())
    graph.spin(0.5)
    program.stop()


def test_shut_down_without_being_woken(graph: Graph) -> None:
    """As it happens when the executor goes to sleep between a signal's waking it and the end of the context."""
    program = graph.start_interpreter(str(SUPPORT / "shut_down_asleep.py"), autostart=False)
    assert program.ended() == 0, program.log
