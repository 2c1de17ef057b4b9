"""The relocalizer takes and refuses camera_infos as docs/ros.md says."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import RegionOfInterest
from support.documented_cameras import EXAMPLES, Example
from support.graph import Graph
from support.robot import Answer, Robot, camera_info, raw_image

from vloc_ros.datasets import Frame
from vloc_ros.maps import read_map, write_map


def send(robot: Robot, example: Example, stamp_ns: int) -> None:
    frame, fields = robot.frames[0], example.fields
    numbers = {name: [float(value) for value in fields[name]] for name in "dkrp"}
    roi = RegionOfInterest(**fields["roi"])
    robot.send_odometry(frame, stamp_ns)
    robot.infos.publish(camera_info(frame.image.camera, stamp_ns, **{**fields, **numbers, "roi": roi}))
    large = np.asarray(cv2.resize(frame.image.rgb, (640, 480), interpolation=cv2.INTER_CUBIC), np.uint8)
    robot.images.publish(raw_image(large, stamp_ns))


def ask(robot: Robot, example: Example) -> Answer:
    return robot.ask(partial(send, robot, example))


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_a_documented_camera_info_is_taken_or_refused_with_its_words(robot: Robot, example: Example) -> None:
    answer = ask(robot, example)
    if example.words:
        assert answer["rejection"].startswith("bad_input: camera_info ") or "its camera is" in example.words
        assert example.words in answer["rejection"]
        assert "\n" not in answer["rejection"]
    else:
        assert "bad_input" not in answer["rejection"]  # the image is not bent as it says: no fix need follow


def test_a_second_camera_is_located_by_its_own_frame(robot: Robot) -> None:
    second = Example({"p": [525, 0, 319.5, -63, 0, 525, 239.5, 0, 0, 0, 1, 0]}, "")
    assert "set camera_frame to" in ask(robot, second)["rejection"]
    robot.configure(camera_frame="camera_optical")
    answer = ask(robot, second)
    assert answer.is_fix, answer["rejection"]
    position = robot.camera_pose_of(answer).pose.position
    found = np.array([position.x, position.y, position.z])
    assert np.linalg.norm(found - robot.frames[0].map_from_camera[:3, 3]) < 0.06  # half the baseline


def test_a_focal_length_far_from_the_maps_is_logged_once(
    graph: Graph, frames: list[Frame], shipped_map: Path, tmp_path: Path
) -> None:
    stored = read_map(shipped_map)
    manifest = replace(stored.landmark_map.manifest, training={"field_of_view_deg": [62.7, 62.7]})
    aware = replace(stored.landmark_map, manifest=manifest)
    write_map(tmp_path / "map", aware, stored.networks, np.zeros((2, 2, 3), np.uint8))
    program = graph.start("relocalizer", map=tmp_path / "map", threads=1, tf_mode="none", base_frame="")
    robot = Robot(graph, frames)
    robot.wait_to_be_heard()
    right = Example({}, "")
    assert ask(robot, right).is_fix
    assert program.lines("WARN", "deg from left to right") == []
    for _ in range(3):
        ask(robot, Example({"k": [1050.0, 0.0, 319.5, 0.0, 1050.0, 239.5, 0.0, 0.0, 1.0]}, ""))
    assert len(program.lines("WARN", "33.9 deg", "62.7 deg")) == 1
    assert len(program.lines("WARN", "deg from left to right")) == 1
