"""JSON of other programs and of people: finite numbers of a size that means something, and a bounded depth."""

import json
import math
from typing import Any

from vloc_ros.errors import ConfigError

MAX_NUMBER = 1e100  # of a real one, whose square is a number too; covariances of bad poses can be very large
MAX_INTEGER = 2**62
MAX_DIGITS = 40


def parse_json(content: bytes | str) -> Any:
    """What a JSON text holds. Raises ConfigError for what is none, and for NaN and endless numbers in it."""
    try:
        return json.loads(content, parse_float=_real, parse_int=_integer, parse_constant=_real)
    except RecursionError as error:
        raise ConfigError("not valid JSON: too many brackets in each other") from error
    except ValueError as error:  # UnicodeDecodeError is one
        raise ConfigError(f"not valid JSON: {str(error)[:200]}") from error


def finite_number(node: Any) -> float:
    """A finite real number. Raises TypeError for anything else."""
    if type(node) not in (int, float):
        raise TypeError(f"{type(node).__name__} instead of a number")
    return float(node)


def _real(word: str) -> float:
    value = float(word)
    if not math.isfinite(value) or abs(value) > MAX_NUMBER:
        raise ValueError(f"the number {word[:MAX_DIGITS]} is not finite, or too large")
    return value


def _integer(word: str) -> int:
    if len(word) > MAX_DIGITS or abs(int(word)) > MAX_INTEGER:
        raise ValueError(f"the number {word[:MAX_DIGITS]} is too large")
    return int(word)
