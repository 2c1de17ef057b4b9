"""Simulated time: nothing before the clock, and a new beginning when it jumps back."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from builtin_interfaces.msg import Time
from rosgraph_msgs.msg import Clock
from support.graph import A_WHILE_S, ACTIVATE, DEACTIVATE, Graph, Program
from support.robot import Answer, Robot

from vloc_ros.datasets import Frame
from vloc_ros.ros.conversions import header, to_stamp_ns

TICK_NS = 20_000_000


class SimTime:
    """A clock that goes on while the graph spins."""

    def __init__(self, graph: Graph) -> None:
        self.now_ns = 0
        self.clock = graph.node.create_publisher(Clock, "/clock", 10)
        graph.node.create_timer(0.02, self._tick)

    def _tick(self) -> None:
        if self.now_ns:
            self.now_ns += TICK_NS
            self.clock.publish(Clock(clock=header(self.now_ns, "").stamp))


@pytest.fixture(scope="module")
def sim_time(module_graph: Graph) -> SimTime:
    return SimTime(module_graph)


@pytest.fixture(scope="module")
def relocalizer(module_graph: Graph, shipped_map: Path) -> Iterator[Program]:
    program = module_graph.start(
        "relocalizer", map=shipped_map, threads=1, tf_timeout=5.0, use_sim_time=True, transform_tolerance=0.0
    )
    yield program
    program.stop()


@pytest.fixture(scope="module")
def robot(module_graph: Graph, relocalizer: Program, frames: list[Frame]) -> Robot:
    robot = Robot(module_graph, frames)
    robot.mount_camera()
    robot.wait_to_be_heard()
    return robot


def localize(robot: Robot, sim_time: SimTime) -> Answer:
    return robot.ask(partial(robot.send, robot.frames[0]), lambda: sim_time.now_ns)


def test_before_the_clock_starts_no_image_is_of_now(robot: Robot, sim_time: SimTime) -> None:
    answer = robot.ask(partial(robot.send_image, robot.frames[0]))
    assert answer["rejection"].startswith("bad_stamp: use_sim_time is on, and nothing has come on /clock")


def test_with_the_clock_it_localizes(robot: Robot, sim_time: SimTime) -> None:
    sim_time.now_ns = 100 * 10**9
    robot.graph.spin()
    answer = localize(robot, sim_time)
    assert answer.is_fix, answer["rejection"]
    assert float(answer["latency_ms"]) < 60_000


def test_transforms_are_dated_by_the_simulation(robot: Robot, sim_time: SimTime) -> None:
    with robot.graph.listening_to_tf("map") as heard:
        assert localize(robot, sim_time).is_fix
        robot.graph.wait_for(lambda: len(heard) > 2)
    # Two of one tick of the clock are a nanosecond apart.
    assert 100 * 10**9 < to_stamp_ns(heard[-1].header.stamp) < sim_time.now_ns + TICK_NS


def test_when_time_jumps_back_nothing_stale_is_left(robot: Robot, sim_time: SimTime) -> None:
    assert localize(robot, sim_time).is_fix
    with robot.graph.listening_to_tf("map") as heard:
        robot.graph.wait_for(lambda: heard)
        sim_time.now_ns = 50 * 10**9
        robot.graph.wait_for(lambda: robot.status()["state"] == "localizing")
        robot.graph.spin(0.2)
        heard.clear()
        robot.graph.spin(A_WHILE_S)
        assert not heard, "map -> odom of before the jump"
        old = robot.ask(partial(robot.send_image, robot.frames[0]), lambda: 99 * 10**9)
        assert old["rejection"].startswith("bad_stamp: "), "an image of before the jump"
        assert localize(robot, sim_time).is_fix
        robot.graph.wait_for(lambda: heard)
    assert to_stamp_ns(heard[-1].header.stamp) < 90 * 10**9


def test_when_time_jumps_back_its_odometry_is_forgotten(robot: Robot, sim_time: SimTime) -> None:
    """TF of a stamp that comes again after the jump must be that of the new run."""
    sim_time.now_ns = 200 * 10**9
    robot.graph.spin()
    assert localize(robot, sim_time).is_fix
    stamp_ns = sim_time.now_ns
    robot.send_odometry(robot.frames[0], stamp_ns)
    robot.graph.spin(0.2)
    sim_time.now_ns = stamp_ns - 5 * 10**9
    robot.graph.wait_for(lambda: robot.status()["state"] == "localizing")
    robot.configure(tf_timeout=0.0)
    sim_time.now_ns = stamp_ns
    robot.graph.spin(0.2)
    answer = robot.ask(partial(robot.send_image, robot.frames[0]), lambda: stamp_ns)
    assert answer["rejection"].startswith("no_transform: odom <- base_link")
    robot.restore()
    assert localize(robot, sim_time).is_fix


def test_a_late_transform_of_the_run_before_changes_nothing(robot: Robot, sim_time: SimTime) -> None:
    """One that a buffer of TF would take for the newest, so that all after it were too old."""
    sim_time.now_ns = 400 * 10**9
    robot.graph.spin()
    assert localize(robot, sim_time).is_fix
    late_ns, sim_time.now_ns = sim_time.now_ns, 350 * 10**9
    robot.graph.wait_for(lambda: robot.status()["state"] == "localizing")
    robot.send_odometry(robot.frames[1], late_ns)
    robot.graph.spin(0.2)
    answer = localize(robot, sim_time)
    assert answer.is_fix, answer["rejection"]


def test_when_time_jumps_back_while_it_is_inactive_nothing_stale_is_left(robot: Robot, sim_time: SimTime) -> None:
    sim_time.now_ns = 600 * 10**9
    robot.graph.spin()
    assert localize(robot, sim_time).is_fix
    assert robot.graph.change_state(robot.relocalizer, DEACTIVATE)
    sim_time.now_ns = 550 * 10**9
    robot.graph.spin()
    assert robot.graph.change_state(robot.relocalizer, ACTIVATE)
    robot.wait_to_be_heard()
    # Whether an inactive node has heard of the jump is not to be seen: the first image may come before that.
    robot.graph.wait_for(lambda: localize(robot, sim_time).is_fix, "a fix after the jump")


def test_a_clock_before_all_times_is_said_and_ignored(robot: Robot, sim_time: SimTime, relocalizer: Program) -> None:

    def is_said() -> bool:
        sim_time.clock.publish(Clock(clock=Time(sec=-5)))
        return bool(relocalizer.lines("ERROR", "subscription /clock"))

    robot.graph.wait_for(is_said)
    assert localize(robot, sim_time).is_fix
    assert len(relocalizer.lines("ERROR", "subscription /clock")) == 1
    assert "Traceback" not in relocalizer.log
