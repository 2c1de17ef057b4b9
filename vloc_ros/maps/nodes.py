"""What a parsed document says as instances of dataclasses, strictly checked, and the inverse."""

import dataclasses
import math
import reprlib
from collections.abc import Mapping
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from vloc_ros.errors import ConfigError, MapError
from vloc_ros.maps import strict_yaml

T = TypeVar("T")

EXPECTED = {bool: "true or false", int: "an integer", float: "a finite number", str: "a text"}


def build(cls: type[T], node: object, where: str) -> T:
    """An instance of a dataclass from a mapping that has exactly its fields, each of the annotated type; those whose
    metadata says `optional` may be missing. Raises MapError; `where` the mapping is stands in front of the keys that
    messages name."""
    kinds = get_type_hints(cls)
    prefix = f"{where}." if where else ""
    values = typed(node, Mapping[str, Any], where)
    optional = {each.name for each in dataclasses.fields(cls) if each.metadata.get("optional")}  # type: ignore[arg-type]
    for key in kinds:
        if key not in values and key not in optional:
            raise MapError(f"{prefix}{key} is missing")
    for key in values:
        if key not in kinds:
            raise MapError(f"{prefix}{key} is no key of this format, it is {reprlib.repr(values[key])}")
    try:
        return cls(**{key: typed(value, kinds[key], prefix + key) for key, value in values.items()})
    except ConfigError as error:
        raise MapError(str(error)) from error


def typed(value: Any, kind: Any, where: str) -> Any:
    """`value` as `kind`: bool, int, float, str, tuple[KIND, ...], Mapping[str, KIND], KIND | None, a dataclass,
    Any."""
    origin, kinds = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return build(kind, value, where)  # type: ignore[arg-type]
    if origin is UnionType:
        return None if value is None else typed(value, kinds[0], where)
    if kind is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if kind in (bool, int, str) and type(value) is kind and value != "":
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(typed(item, kinds[0], f"{where}[{number}]") for number, item in enumerate(value))
    if origin is not None and isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: typed(item, kinds[1], f"{where}.{key}") for key, item in value.items()}
    expected = "a list" if origin is tuple else EXPECTED.get(kind, "keys and values")
    raise MapError(f"{where} is {reprlib.repr(value)}, expected {expected}")


def plain(value: Any, where: str) -> Any:
    """`value` in YAML's own types: dictionaries, lists, texts, numbers, booleans, null; `optional` fields of a
    dataclass that have their default are left out. Raises MapError."""
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value) if not _is_left_out(field, value)]
        return {name: plain(getattr(value, name), f"{where}.{name}") for name in names}
    if isinstance(value, Mapping):
        return {plain(str(key), where): plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):  # such as the name of a file, which may hold anything
        return strict_yaml.CONTROL.sub(lambda odd: odd[0].encode("unicode_escape").decode(), value)
    if value is not None and type(value) not in (int, float, bool):
        raise MapError(f"{where}: {reprlib.repr(value)} cannot be written")
    if isinstance(value, float) and not math.isfinite(value):
        raise MapError(f"{where}: {value} is not finite")
    return value


def _is_left_out(field: "dataclasses.Field[Any]", owner: object) -> bool:
    return bool(field.metadata.get("optional")) and getattr(owner, field.name) == field.default
