"""The topic `initialpose`: told to whoever comes late, and heard as a hint."""

from collections.abc import Iterator

import numpy as np
import pytest
from geometry_msgs.msg import PoseWithCovarianceStamped
from support.robot import BASE_FROM_CAMERA, Answer, Robot

from vloc_ros.errors import ConfigError
from vloc_ros.geometry.transforms import Matrix, from_quaternion, invert, planar
from vloc_ros.ros.conversions import header, to_pose
from vloc_ros.ros.initialpose import to_hint
from vloc_ros.tracking.track import Hint

TOPIC = "/initialpose"
RVIZ_COVARIANCE = {0: 0.25, 7: 0.25, 35: 0.06853891909122467}


def pose_estimate(map_from_base: Matrix, frame_id: str = "map") -> PoseWithCovarianceStamped:
    """As RViz's tool sends it."""
    message = PoseWithCovarianceStamped(header=header(0, frame_id))
    message.pose.pose = to_pose(map_from_base)
    for index, variance in RVIZ_COVARIANCE.items():
        message.pose.covariance[index] = variance
    return message


def hint_of(message: PoseWithCovarianceStamped, map_frames: tuple[str, ...] = ("map",)) -> Hint:
    return to_hint(message, map_frames, 5, None)


def test_a_pose_estimate_is_a_place_on_the_floor_give_or_take_two_sigmas() -> None:
    placed = from_quaternion((0, 0, 0.6, 0.8), (1.0, 2.0, 0.3))
    hint = hint_of(pose_estimate(placed, "map_hall"), ("map_attic", "map_hall"))
    np.testing.assert_allclose(hint.fix.map_from_base, planar(placed), atol=1e-12)
    assert hint.fix.map_frame == "map_hall"
    assert hint.within_m == pytest.approx(1.0)
    assert hint.within_deg == pytest.approx(30.0)


def test_what_is_no_hint_is_refused_with_the_reason() -> None:
    with pytest.raises(ConfigError, match="its frame is 'odom', must be 'map_attic' or 'map_hall'"):
        hint_of(pose_estimate(np.eye(4), "odom"), ("map_attic", "map_hall"))
    unturned, nowhere, far, unsure, negative = (pose_estimate(np.eye(4)) for _ in range(5))
    unturned.pose.pose.orientation.w = 0.0
    nowhere.pose.pose.position.x = float("nan")
    far.pose.pose.position.y = 1e300
    unsure.pose.covariance[0] = float("inf")
    negative.pose.covariance[35] = -1.0
    wrong = [
        (unturned, "no direction"),
        (nowhere, "not finite"),
        (far, "impossible"),
        (unsure, "cov"),
        (negative, "cov"),
    ]
    for message, words in wrong:
        with pytest.raises(ConfigError, match=words):
            hint_of(message)


def test_who_comes_late_is_sent_the_current_fix(robot: Robot) -> None:
    robot.configure(publish_initialpose=True)
    answer = robot.localize()
    for _ in range(3):
        with robot.graph.listening(PoseWithCovarianceStamped, TOPIC) as heard:
            robot.graph.wait_for(lambda: heard)
            robot.graph.spin(0.2)
        (message,) = heard
        assert message == robot.pose_of(answer)


def test_who_comes_while_the_robot_is_not_localized_is_sent_the_next_fix(robot: Robot) -> None:
    robot.configure(publish_initialpose=True)
    old = robot.localize()
    robot.configure(lost_after=0.01)
    robot.graph.spin(0.2)
    with robot.graph.listening(PoseWithCovarianceStamped, TOPIC) as heard:
        robot.graph.spin()
        assert not heard, f"a fix of long ago, {old.stamp_ns}"
        answers = [robot.localize_until(lambda: heard), robot.localize()]
        robot.graph.spin(0.2)
    assert heard == [robot.pose_of(answers[0])]


def test_nobody_is_told_unasked(robot: Robot) -> None:
    robot.localize()
    with robot.graph.listening(PoseWithCovarianceStamped, TOPIC) as heard:
        robot.localize()
        robot.graph.spin()
    assert not heard


class Hinting:
    """Somebody with RViz, and a robot whose images say that it has been carried, which its odometry did not notice."""

    def __init__(self, robot: Robot) -> None:
        self._robot = robot
        self._hints = robot.graph.node.create_publisher(PoseWithCovarianceStamped, TOPIC, 10)
        robot.graph.wait_for(self._hints.get_subscription_count, "the relocalizer's subscription")

    def close(self) -> None:
        self._robot.graph.node.destroy_publisher(self._hints)

    def say(self, map_from_base: Matrix, frame_id: str = "map") -> None:
        """Until it is heard: a relocalizer that this publisher knows may not know this publisher yet."""
        lines = len(self._robot.graph.lines("hint"))
        while len(self._robot.graph.lines("hint")) == lines:
            self._hints.publish(pose_estimate(map_from_base, frame_id))
            self._robot.graph.spin(0.3)

    def localize(self, seen: int) -> Answer:
        def send(stamp_ns: int) -> None:
            self._robot.send_odometry(self._robot.frames[0], stamp_ns)
            self._robot.send_image(self._robot.frames[seen], stamp_ns)

        return self._robot.ask(send)


@pytest.fixture
def hinting(robot: Robot) -> Iterator[Hinting]:
    made = Hinting(robot)
    yield made
    made.close()


def base_at(robot: Robot, index: int) -> Matrix:
    return robot.frames[index].map_from_camera @ invert(BASE_FROM_CAMERA)


def test_a_fix_near_a_hint_is_believed_at_once(robot: Robot, hinting: Hinting) -> None:
    robot.configure(agreeing_fixes=10)
    assert hinting.localize(0).is_fix
    assert hinting.localize(2)["rejection"].startswith("jump")
    hinting.say(base_at(robot, 2))
    assert hinting.localize(2).is_fix


def test_a_hint_does_not_place_the_robot(robot: Robot, hinting: Hinting) -> None:
    robot.configure(agreeing_fixes=2)
    answer = hinting.localize(0)
    hinting.say(base_at(robot, 2))
    far = hinting.localize(0)
    assert "from the hint; 1 of 2" in far["rejection"]
    again = hinting.localize(0)
    assert again.is_fix
    np.testing.assert_allclose(
        robot.pose_of(again).pose.pose.position.x, robot.pose_of(answer).pose.pose.position.x, atol=1e-9
    )


def test_before_the_first_fix_a_hint_is_kept(robot: Robot, hinting: Hinting) -> None:
    robot.configure(agreeing_fixes=10)
    hinting.say(base_at(robot, 2))
    assert "from the hint" in hinting.localize(0)["rejection"]
    assert hinting.localize(2).is_fix


@pytest.mark.parametrize("frame_id", ["odom", ""])
def test_a_hint_in_a_frame_that_is_not_the_maps_is_not_taken(robot: Robot, hinting: Hinting, frame_id: str) -> None:
    robot.configure(agreeing_fixes=10)
    assert hinting.localize(0).is_fix
    hinting.say(base_at(robot, 2), frame_id)
    assert f"its frame is {frame_id!r}, must be 'map'" in robot.graph.lines("hint")[-1]
    assert hinting.localize(0).is_fix


def test_what_the_relocalizer_publishes_itself_is_no_hint(robot: Robot, hinting: Hinting) -> None:
    robot.configure(agreeing_fixes=10, publish_initialpose=True)
    said = robot.graph.lines("hint")
    with robot.graph.listening(PoseWithCovarianceStamped, TOPIC) as heard:
        assert hinting.localize(0).is_fix
        robot.graph.wait_for(lambda: heard)
        robot.graph.spin()
    rejection = hinting.localize(2)["rejection"]
    assert rejection.startswith("jump")
    assert "hint" not in rejection
    assert robot.graph.lines("hint") == said
