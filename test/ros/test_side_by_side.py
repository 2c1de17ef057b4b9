"""Two robots on one graph, and more images than can be worked on."""

from functools import partial
from pathlib import Path

import numpy as np
from support.graph import Graph
from support.robot import Robot, matrix_of

from vloc_ros.datasets import Frame
from vloc_ros.maps import read_map


def test_two_namespaces_have_maps_and_robots_of_their_own(
    graph: Graph, frames: list[Frame], shipped_map: Path, annex_map: Path
) -> None:
    robots = {}
    for namespace, directory in (("/left", shipped_map), ("/right", annex_map)):
        where = ("-r", f"__ns:={namespace}")
        graph.start("map_server", *where, map=directory)
        graph.start("relocalizer", *where, threads=1, tf_mode="none", base_frame="")
        robots[namespace] = Robot(graph, frames, namespace)
    left, right = robots.values()
    for robot, directory in ((left, shipped_map), (right, annex_map)):
        robot.wait_for_relocalizer()
        assert robot.status()["map_id"] == read_map(directory).map_id
        assert robot.status().status.name == robot.relocalizer
    answers = [robot.ask(partial(robot.send_image, frames[0])) for robot in (left, right)]
    assert all(answer.is_fix for answer in answers)
    poses = [robot.camera_pose_of(answer) for robot, answer in zip((left, right), answers, strict=True)]
    assert [pose.header.frame_id for pose in poses] == ["map", "annex"]
    apart_m = matrix_of(poses[1].pose)[:3, 3] - matrix_of(poses[0].pose)[:3, 3]
    np.testing.assert_allclose(apart_m, (10, 0, 0), atol=0.05)
    assert left.answer_to([answers[1].stamp_ns]) is None
    assert right.answer_to([answers[0].stamp_ns]) is None


def test_overloaded_it_drops_images_and_does_not_fall_behind(robot: Robot) -> None:
    """60 images a second, of which each takes 0.3 s, for it waits so long for TF that does not come."""
    robot.localize()
    robot.configure(tf_timeout=0.3, odom_frame="nobody_knows_it")
    dropped_before = int(robot.status()["dropped"])
    sent: list[int] = []

    def is_overloaded() -> bool:
        sent.append(robot.now_ns())
        robot.send_image(robot.frames[0], sent[-1])
        robot.graph.spin(1 / 60)
        return int(robot.status()["dropped"]) > dropped_before and robot.answer_to(sent) is not None

    robot.graph.wait_for(is_overloaded, "dropped images")
    assert robot.graph.parameter("/relocalizer", "tf_timeout") == 0.3, "services must go on"
    robot.restore()
    last = robot.localize()
    assert last.is_fix
    answered = sum(robot.answer_to([stamp_ns]) is not None for stamp_ns in sent)
    assert 0 < answered < len(sent)
    assert int(last["dropped"]) > dropped_before
