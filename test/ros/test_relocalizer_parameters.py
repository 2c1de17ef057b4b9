"""The parameters of a running relocalizer, and wrong ones at its start."""

from dataclasses import fields
from typing import Any

import pytest
from rcl_interfaces.msg import ParameterType
from support.graph import Graph
from support.robot import Robot

from vloc_ros.ros.parameters import RelocalizerParameters

NODE = "/relocalizer"
SPECS = {spec.name: spec for spec in fields(RelocalizerParameters)}
TYPES: dict[Any, int] = {
    bool: ParameterType.PARAMETER_BOOL,
    int: ParameterType.PARAMETER_INTEGER,
    float: ParameterType.PARAMETER_DOUBLE,
    str: ParameterType.PARAMETER_STRING,
    tuple[str, ...]: ParameterType.PARAMETER_BYTE_ARRAY,  # what rclpy takes an empty list to be of
}


def test_every_parameter_is_declared_with_its_description_and_range(robot: Robot) -> None:
    for spec, descriptor in zip(SPECS.values(), robot.graph.describe_parameters(NODE, list(SPECS)), strict=True):
        assert descriptor.name == spec.name
        assert descriptor.type == TYPES[spec.type], spec.name
        assert descriptor.description == spec.metadata["description"]
        ranges = [*descriptor.floating_point_range, *descriptor.integer_range]
        assert [r.from_value for r in ranges] == ([] if spec.metadata["low"] is None else [spec.metadata["low"]])
        constraints = descriptor.additional_constraints
        assert all(choice in constraints for choice in spec.metadata["choices"])
        assert ("unit: " in constraints) == bool(spec.metadata["unit"])
        assert spec.metadata["unit"] in constraints
        assert ("fixed while the node is configured" in constraints) == (not spec.metadata["live"])


def test_every_parameter_has_its_default_if_not_set(robot: Robot) -> None:
    set_at_start = {"map", "threads", "tf_timeout", "lost_after"}
    for name in set(SPECS) - set_at_start:
        value = robot.graph.parameter(NODE, name)
        assert (tuple(value) if isinstance(value, list) else value) == SPECS[name].default


LIVE_CHANGES = {
    "max_map_mb": 32.0,
    "max_open_maps": 2,
    "map_check_timeout": 20.0,
    "allowed_map_ids": ["0123456789ab"],
    "accept_unknown_scale": True,
    "enabled": False,
    "max_rate_hz": 5.0,
    "rate": "adaptive",
    "standing_rate_hz": 2.0,
    "global_every": 3,
    "jump_test": "distance",
    "odometry_scale": 0.05,
    "odometry_pull_deg_per_m": 1.0,
    "odometry_noise_m": 0.02,
    "odometry_noise_deg": 1.0,
    "odometry_turn_noise_deg": 3.0,
    "lost_sigma_m": 0.5,
    "image_rectified": True,
    "base_frame": "base_footprint",
    "odom_frame": "wheels",
    "camera_frame": "eye",
    "tf_mode": "none",
    "tf_publish_rate": 10.0,
    "transform_tolerance": 0.3,
    "tf_timeout": 0.5,
    "two_d_mode": True,
    "min_inliers": 12,
    "min_confidence": 0.5,
    "min_agreement": 0.4,
    "max_reprojection_rmse_px": 3.0,
    "max_jump_m": 1.0,
    "max_jump_deg": 30.0,
    "max_speed_mps": 2.0,
    "max_turn_deg_per_s": 45.0,
    "agreeing_fixes": 5,
    "map_switch": 4,
    "lost_after": 4.0,
    "publish_initialpose": True,
}


def test_what_may_change_while_it_runs(robot: Robot) -> None:
    live = {name for name, spec in SPECS.items() if spec.metadata["live"]}
    assert set(LIVE_CHANGES) == live - {"map", "camera_frames"}, "maps and rigs have tests of their own"
    robot.configure(**LIVE_CHANGES)
    for name, value in LIVE_CHANGES.items():
        assert robot.graph.parameter(NODE, name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [("autostart", False), ("backend", "onnxruntime"), ("threads", 2), ("image_transport", "compressed")],
)
def test_what_may_not_change_while_configured(robot: Robot, name: str, value: object) -> None:
    before = robot.graph.parameter(NODE, name)
    result = robot.graph.set_parameter(NODE, name, value)
    assert not result.successful
    assert name in result.reason
    assert "configured" in result.reason
    assert robot.graph.parameter(NODE, name) == before


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("tf_mode", "map_to_moon", "must be one of map_to_odom"),
        ("tf_publish_rate", 0.0, ""),
        ("tf_timeout", -1.0, ""),
        ("min_inliers", -1, ""),
        ("agreeing_fixes", 0, ""),
        ("max_jump_deg", 181.0, ""),
        ("max_jump_m", float("nan"), ""),
        ("max_jump_m", "far", "must be float"),
        ("enabled", "yes", "must be bool"),
        ("min_inliers", 3.5, "must be int"),
        ("base_frame", 5, "must be str"),
        ("map", "/there/is/no/such/map", "there is no such map directory"),
        ("map", "package://no_such_package/map", "there is no package 'no_such_package'"),
        ("map", "/tmp/" + 300 * "a", "File name too long"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(robot: Robot, name: str, value: object, words: str) -> None:
    before = robot.graph.parameter(NODE, name)
    result = robot.graph.set_parameter(NODE, name, value)
    assert not result.successful
    assert words in result.reason
    assert result.reason
    assert "\n" not in result.reason
    assert robot.graph.parameter(NODE, name) == before


def test_a_whole_number_is_welcome_where_a_float_is_meant(robot: Robot) -> None:
    robot.configure(max_jump_m=1, tf_timeout=5)
    assert robot.localize().is_fix


WRONG_AT_START = [
    ("relocalizer", "threads", "two", "parameter threads is 'two' (str), must be int"),
    ("relocalizer", "tf_mode", "map_to_moon", "must be one of map_to_odom"),
    ("relocalizer", "enabled", 1, "parameter enabled is 1 (int), must be bool"),
    ("relocalizer", "min_inliers", -1, "min_inliers"),
    ("relocalizer", "max_jump_m", float("nan"), "max_jump_m"),
    ("map_server", "map", 5, "parameter map is 5 (int), must be str"),
]


@pytest.mark.parametrize(("node", "name", "value", "words"), WRONG_AT_START)
def test_a_wrong_one_at_start_is_one_line_and_exit_code_1(
    module_graph: Graph, node: str, name: str, value: object, words: str
) -> None:
    program = module_graph.start(node, **{name: value})
    assert program.ended() == 1
    assert "Traceback" not in program.log
    (line,) = program.log.strip().splitlines()
    assert words in line
    assert "FATAL" in line


@pytest.mark.parametrize("arguments", [("--params-file", "/there/is/no/file.yaml"), ("--no-such-argument",)])
def test_an_argument_that_ros_does_not_understand_is_said_with_exit_code_1(
    module_graph: Graph, arguments: tuple[str, ...]
) -> None:
    program = module_graph.start("relocalizer", *arguments)
    assert program.ended() == 1
    assert "Traceback" not in program.log
    assert len(program.lines("FATAL", arguments[-1])) == 1


def test_a_whole_number_at_start_too(graph: Graph) -> None:
    program = graph.start("relocalizer", max_jump_m=1, autostart=False)
    graph.wait_for(lambda: graph.is_up("relocalizer"))
    assert graph.parameter(NODE, "max_jump_m") == 1
    program.stop()
