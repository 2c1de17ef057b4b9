"""What the parameters of all nodes have, and how a node declares them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node

from vloc_ros.errors import ConfigError
from vloc_ros.ros.parameters.field import as_ros, check, descriptor_of, from_ros, parameter

T = TypeVar("T", bound="NodeParameters")


@dataclass(frozen=True)
class NodeParameters:
    """What both nodes have. Raises ConfigError naming the parameter for a value of another type or out of range."""

    autostart: bool = parameter(
        True, "Configure and activate at start. False: a lifecycle manager does that.", live=False, begins="Start"
    )

    def __post_init__(self) -> None:
        for spec in fields(self):
            check(spec, getattr(self, spec.name))


def declare(node: Node, kind: type[T]) -> T:
    """Declare all parameters of `kind` on a node and return their values. Raises ConfigError for a bad one."""
    try:
        values = {
            spec.name: node.declare_parameter(spec.name, as_ros(spec.default), descriptor_of(spec)).value
            for spec in fields(kind)
        }
    except InvalidParameterValueException as error:  # out of the range in the descriptor
        raise ConfigError(str(error)) from error
    return build_parameters(kind, values)


def build_parameters(kind: type[T], values: Mapping[str, Any]) -> T:
    """Checked parameters of values as ROS has them; whole numbers are welcome where a float is meant."""
    kinds = {spec.name: spec.type for spec in fields(kind)}
    checked: Mapping[str, Any] = {name: from_ros(kinds[name], value) for name, value in values.items()}
    return kind(**checked)


def fixed_while_configured(kind: type[NodeParameters]) -> frozenset[str]:
    """Names of the parameters that take effect only when the node is configured."""
    return frozenset(spec.name for spec in fields(kind) if not spec.metadata["live"])
