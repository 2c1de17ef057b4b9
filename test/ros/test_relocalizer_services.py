"""The relocalizer's services, its gate and its track."""

import time
from functools import partial

import pytest
from std_srvs.srv import SetBool, Trigger
from support.graph import A_WHILE_S, ACTIVATE, DEACTIVATE
from support.robot import Robot, raw_image

TRIGGER, SET_ENABLED = "/relocalizer/trigger", "/relocalizer/set_enabled"


def trigger(robot: Robot, index: int = 0, sends_images: bool = True, encoding: str = "rgb8") -> Trigger.Response:
    """Call ~/trigger while the camera runs, or does not."""
    future = robot.graph.call_async(Trigger, TRIGGER)
    next_s = 0.0
    while not future.done():
        if sends_images and time.monotonic() > next_s:
            stamp_ns = robot.now_ns()
            robot.send(robot.frames[index], stamp_ns) if encoding == "rgb8" else robot.images.publish(
                raw_image(robot.frames[index].image.rgb, stamp_ns, encoding=encoding)
            )
            next_s = time.monotonic() + A_WHILE_S
        robot.graph.spin(0.02)
    return future.result()


def test_trigger_answers_with_the_result_even_if_not_enabled(robot: Robot) -> None:
    robot.pose_of(robot.localize())
    robot.configure(enabled=False)
    before = len(robot.poses)
    response = trigger(robot)
    assert response.success
    assert "inliers" in response.message
    robot.graph.wait_for(lambda: len(robot.poses) > before)


def test_trigger_answers_with_what_is_wrong(robot: Robot) -> None:
    robot.localize()
    robot.configure(enabled=False)
    response = trigger(robot, encoding="sepia7")
    assert not response.success
    assert response.message.startswith("bad_input: ")


def test_trigger_without_images_gives_up_and_blocks_nothing_meanwhile(robot: Robot) -> None:
    robot.localize()
    robot.configure(enabled=False)
    future = robot.graph.call_async(Trigger, TRIGGER)
    assert robot.graph.parameter("/relocalizer", "enabled") is False
    assert not future.done(), "other services waited for the trigger"
    robot.graph.wait_for(future.done)
    assert not future.result().success
    assert "no image" in future.result().message
    assert trigger(robot).success, "the next one must not be affected"


def test_a_trigger_that_gave_up_localizes_no_image_any_more(robot: Robot) -> None:
    robot.localize()
    robot.configure(enabled=False)
    assert not robot.graph.call(Trigger, TRIGGER).success
    stamps = [robot.now_ns()]
    robot.send(robot.frames[0], stamps[0])
    robot.graph.spin()
    robot.configure(enabled=True)
    assert robot.localize().is_fix, "a later image, so that the one before has been answered by now if ever"
    assert robot.answer_to(stamps) is None


def test_a_trigger_that_waits_is_answered_when_the_node_is_deactivated(robot: Robot) -> None:
    robot.localize()
    robot.configure(enabled=False)
    waiting = [robot.graph.call_async(Trigger, TRIGGER) for _ in range(2)]
    robot.graph.spin(0.3)
    assert robot.graph.change_state(robot.relocalizer, DEACTIVATE)
    robot.graph.wait_for(lambda: all(future.done() for future in waiting))
    assert {(f.result().success, f.result().message) for f in waiting} == {(False, "the node was deactivated")}
    inactive = robot.graph.call(Trigger, TRIGGER)
    assert (inactive.success, inactive.message) == (False, "the node is inactive, not active")
    assert robot.graph.change_state(robot.relocalizer, ACTIVATE)
    robot.wait_to_be_heard()
    assert trigger(robot).success


def test_two_triggers_share_an_image(robot: Robot) -> None:
    robot.localize()
    robot.configure(enabled=False)
    other = robot.graph.call_async(Trigger, TRIGGER)
    assert trigger(robot).success
    robot.graph.wait_for(other.done)
    assert other.result().success


def test_not_enabled_it_takes_no_images(robot: Robot) -> None:
    robot.configure(enabled=True)
    assert robot.localize().is_fix
    assert robot.graph.call(SetBool, SET_ENABLED, SetBool.Request(data=False)).success
    assert robot.graph.parameter("/relocalizer", "enabled") is False
    stamps = [robot.now_ns()]
    robot.send(robot.frames[0], stamps[0])
    robot.graph.spin()
    assert robot.answer_to(stamps) is None
    assert robot.graph.call(SetBool, SET_ENABLED, SetBool.Request(data=True)).success
    assert robot.localize().is_fix


def test_a_jump_is_believed_when_enough_fixes_agree(robot: Robot) -> None:
    robot.configure(tf_mode="none", agreeing_fixes=3, max_speed_mps=0.0, max_turn_deg_per_s=0.0)
    robot.pose_of(robot.localize(0))
    poses = len(robot.poses)
    carried = [robot.localize(2) for _ in range(3)]
    assert [answer.is_fix for answer in carried] == [False, False, True]
    assert carried[0]["rejection"].startswith("jump: ")
    robot.pose_of(carried[2])
    assert len(robot.poses) == poses + 1, "poses of jumps must not be published"


def test_odometry_explains_a_jump(robot: Robot) -> None:
    """The default mode: the robot drove there."""
    assert robot.localize(0).is_fix
    assert robot.localize(2).is_fix


def test_reinitialize_believes_the_next_fix_at_once(robot: Robot) -> None:
    robot.configure(tf_mode="none", agreeing_fixes=100, max_speed_mps=0.0, max_turn_deg_per_s=0.0)
    assert robot.localize(0).is_fix
    assert robot.localize(2)["rejection"].startswith("jump: ")
    robot.restart_track()
    robot.graph.wait_for(lambda: robot.status()["state"] == "localizing")
    assert robot.localize(2).is_fix


@pytest.mark.parametrize(
    ("limit", "reason"),
    [({"min_inliers": 5000}, "too_few_inliers"), ({"max_reprojection_rmse_px": 0.001}, "high_reprojection_error")],
    ids=["inliers", "reprojection"],
)
def test_the_gate_can_be_set_tighter(robot: Robot, limit: dict[str, float], reason: str) -> None:
    assert robot.localize().is_fix
    robot.configure(**limit)
    assert robot.localize()["rejection"].startswith(f"{reason}: ")
    robot.configure(**dict.fromkeys(limit, type(next(iter(limit.values())))(0)))
    assert robot.localize().is_fix


def test_without_fixes_the_robot_is_lost_and_finds_itself(robot: Robot) -> None:
    robot.localize()
    robot.configure(lost_after=0.01)
    robot.graph.wait_for(lambda: robot.status()["state"] == "lost")
    robot.configure(lost_after=1000.0)
    assert robot.localize()["state"] == "localized"


def test_images_that_go_back_in_time_begin_a_new_track(robot: Robot) -> None:
    """A bag that is played again, without sim time."""
    robot.configure(tf_mode="none", agreeing_fixes=100, max_speed_mps=0.0, max_turn_deg_per_s=0.0)
    assert robot.localize(0).is_fix
    again = robot.ask(partial(robot.send_image, robot.frames[2]), lambda: robot.now_ns() - 8 * 10**9)
    assert again.is_fix
