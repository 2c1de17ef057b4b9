"""A network that fails while the robot drives: the node says so, stops, and goes on when it is activated again."""

from functools import partial
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from support import SUPPORT
from support.graph import ACTIVATE, MANY, Graph
from support.robot import Robot

from vloc_ros.datasets import Frame

SCRIPT = SUPPORT / "failing_relocalizer.py"
DEFECT = SUPPORT / "faulty_relocalizer.py"


def test_a_lost_gpu_is_said_and_the_node_recovers_when_it_is_activated_again(
    graph: Graph, frames: list[Frame], shipped_map: Path
) -> None:
    parameters = {"threads": 1, "tf_mode": "none", "base_frame": "", "lost_after": 1000.0, "map": shipped_map}
    program = graph.start(str(SCRIPT), **parameters)
    robot = Robot(graph, frames)
    robot.wait_to_be_heard()
    ask = partial(robot.ask, partial(robot.send_image, frames[0]))
    graph.wait_for(lambda: ask().is_fix, "a fix")  # the first image may overtake its camera_info
    while (answer := ask()).status.level == DiagnosticStatus.OK:
        assert answer.is_fix
    # The network failed with this image, or in the check of one before it, which may have ended after this one's fix.
    failure = "network_failed: network: the GPU is lost"
    assert (answer["check"] if answer.is_fix else answer["rejection"]) == failure
    assert (answer["state"], answer.status.level) == ("lost", DiagnosticStatus.ERROR)
    assert answer.status.message == f"lost: {failure}"
    graph.wait_for(lambda: graph.state("/relocalizer") == "inactive", "the end of the activity")
    assert len(program.lines("ERROR", "the GPU is lost")) == 1
    assert program.lines("ERROR", "activate the node again")

    assert not graph.change_state("/relocalizer", ACTIVATE), "the GPU is not back yet"
    assert graph.state("/relocalizer") == "inactive"
    assert graph.change_state("/relocalizer", ACTIVATE)
    robot.wait_to_be_heard()
    assert all(ask().is_fix for _ in range(8))
    program.stop()


def test_a_defect_that_an_image_meets_is_its_rejection(graph: Graph, frames: list[Frame], shipped_map: Path) -> None:
    program = graph.start(str(DEFECT), threads=1, tf_mode="none", base_frame="", map=shipped_map)
    robot = Robot(graph, frames)
    robot.wait_to_be_heard()
    ask = partial(robot.ask, partial(robot.send_image, frames[0]))
    answers = {ask()["rejection"] for _ in range(6)}
    assert answers == {"", "internal_error: image: RuntimeError: nobody thought of that\\n[FATAL] all is well \\udc80"}
    with graph.listening(DiagnosticArray, "/diagnostics", MANY) as arrays:
        graph.wait_for(lambda: arrays)
    values = {pair.key: pair.value for pair in arrays[0].status[0].values}
    assert int(values["faults"]) >= 2
    assert values["last_fault"].startswith("image: RuntimeError: ")
    (line,) = program.lines("nobody thought of that")
    assert "ERROR" in line
    assert "Traceback" not in program.log
    program.stop()
