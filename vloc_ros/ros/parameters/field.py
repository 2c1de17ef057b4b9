"""A ROS parameter as a field of a dataclass: all there is to say about it, and what follows from that."""

import math
from collections.abc import Sequence
from dataclasses import MISSING, Field, field
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

from vloc_ros.errors import ConfigError

TEXTS = tuple[str, ...]


def parameter(
    default: Any,
    description: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    live: bool = True,
    begins: str = "",
) -> Any:
    """A dataclass field that says all there is to say about a ROS parameter; `live`: it may change while configured.

    Nodes declare it with this text. The comments of config/*.yaml and the tables of docs/ are made of it by
    `python -m vloc_ros.ros.describe_parameters`; `begins` is the heading above the parameter there.
    """
    metadata = {"description": description, "unit": unit, "low": low, "high": high, "choices": tuple(choices)}
    return field(default=default, metadata={**metadata, "live": live, "begins": begins})


def check(spec: "Field[Any]", value: object) -> None:
    """Raises ConfigError for a value of another type or out of range."""
    kind, low, high, choices = spec.type, *(spec.metadata[key] for key in ("low", "high", "choices"))
    if kind == TEXTS and isinstance(value, tuple) and all(isinstance(text, str) for text in value):
        kind = tuple
    if type(value) is not kind:
        name = "a list of texts, in quotes" if kind == TEXTS else getattr(kind, "__name__", kind)
        raise ConfigError(f"parameter {spec.name} is {value!r} ({type(value).__name__}), must be {name}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"parameter {spec.name} is {value}, must be finite")
    if isinstance(value, int | float) and ((low is not None and value < low) or (high is not None and value > high)):
        raise ConfigError(f"parameter {spec.name} is {value}, must be {_range_text(low, high)}")
    if choices and value not in choices:
        raise ConfigError(f"parameter {spec.name} is {value!r}, must be one of {', '.join(choices)}")


def _range_text(low: float | None, high: float | None) -> str:
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"


def range_of(spec: "Field[Any]") -> str:
    """What values a parameter may have, with their unit, for people; "" for any of its type."""
    low, high, choices, unit = (spec.metadata[key] for key in ("low", "high", "choices", "unit"))
    if choices:
        return ", ".join(choices)
    return f"{_range_text(low, high)} {unit}".rstrip() if low is not None else ""


def descriptor_of(spec: "Field[Any]") -> ParameterDescriptor:
    """What a node declares."""
    assert spec.default is not MISSING
    low, high, choices, unit = (spec.metadata[key] for key in ("low", "high", "choices", "unit"))
    constraints = [f"one of {', '.join(choices)}"] if choices else []
    constraints += [f"unit: {unit}"] if unit else []
    constraints += [] if spec.metadata["live"] else ["fixed while the node is configured"]
    descriptor = ParameterDescriptor(
        description=spec.metadata["description"],
        additional_constraints="; ".join(constraints),
        # So that `max_jump_m:=1` is not refused for want of a decimal point; the types are checked here.
        dynamic_typing=True,
    )
    if low is not None and spec.type is float:
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=float(low), to_value=float("inf") if high is None else float(high))
        ]
    elif low is not None:
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=2**31 if high is None else int(high))]
    return descriptor


def as_ros(value: object) -> object:
    """A value as rclpy takes it."""
    return list(value) if isinstance(value, tuple) else value


def from_ros(kind: object, value: object) -> object:
    """A value as rclpy gives it, as one of the type; whole numbers are welcome where a float is meant."""
    if kind is float and type(value) is int:
        return float(value)
    if kind == TEXTS and (value is None or isinstance(value, list)):
        return tuple(value or ())  # the empty list of a configuration file has no type, and no value
    return value
