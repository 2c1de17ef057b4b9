"""Conditions on the figures of an evaluation, for CI: `recall_5cm_5deg>=0.9,latency_p95_ms<=100`."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from vloc_ros.errors import ConfigError
from vloc_ros.evaluation.metrics import PERCENTILES, PLACE_ACCURACY, summarize

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
CONDITION = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(>=|<=|==|>|<)\s*([^\s<>=]\S*)\s*")
STAGE_FIGURE = re.compile(r"latency_(?:([a-z_]+)_)?p(\d+)_ms")


@dataclass(frozen=True)
class Requirement:
    """`name` of a figure, as `figures` calls it, a comparison of COMPARISONS, and what to compare with."""

    name: str
    comparison: str
    limit: float

    def __str__(self) -> str:
        return f"{self.name}{self.comparison}{self.limit:g}"

    def failure(self, figures: Mapping[str, float | None]) -> str | None:
        """Why it does not hold; None if it does. A figure that does not exist, such as a median of nothing, fails."""
        value = figures.get(self.name)
        if value is not None and COMPARISONS[self.comparison](value, self.limit):
            return None
        return f"{self}: it is {'not there' if value is None else f'{value:g}'}"


def parse_requirements(text: str) -> list[Requirement]:
    """The conditions of a comma-separated list. Raises ConfigError naming the one that is none, or its figure."""
    requirements = []
    for part in text.split(","):
        match = CONDITION.fullmatch(part)
        if match is None:
            known = ", ".join(COMPARISONS)
            raise ConfigError(f"requirement '{part.strip()}' is not of the form FIGURE>=NUMBER, with one of {known}")
        name, comparison, limit = match.groups()
        try:
            number = float(limit)
        except ValueError as error:
            raise ConfigError(f"requirement '{part.strip()}': {limit!r} is not a number") from error
        _require_known(name, part.strip())
        requirements.append(Requirement(name, comparison, number))
    return requirements


def figures(summary: Mapping[str, Any]) -> dict[str, float | None]:
    """The numbers of an evaluation's summary by name; `latency_p95_ms` is that of `total`, `latency_pnp_p95_ms` that
    of a stage."""
    flat = {name: value for name, value in summary.items() if value is None or isinstance(value, int | float)}
    for stage, percentiles in summary["latency_ms"].items():
        for percentile, value in percentiles.items():
            flat[f"latency_{stage}_{percentile}_ms"] = value
            if stage == "total":
                flat[f"latency_{percentile}_ms"] = value
    return flat


def junit_xml(requirements: Sequence[Requirement], values: Mapping[str, float | None]) -> str:
    """The requirements as test cases of a JUnit file."""
    failures = {str(requirement): requirement.failure(values) for requirement in requirements}
    counts = {"tests": str(len(failures)), "failures": str(sum(why is not None for why in failures.values()))}
    suite = ElementTree.Element("testsuite", {"name": "vloc evaluate", **counts})
    for name, why in failures.items():
        case = ElementTree.SubElement(suite, "testcase", classname="vloc.evaluate", name=name)
        if why is not None:
            ElementTree.SubElement(case, "failure", message=why)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _require_known(name: str, where: str) -> None:
    known = [key for key in figures(summarize([], [])) if key != "latency_ms"]
    known += ["failed", "nees", "coverage_95", PLACE_ACCURACY]
    stage = STAGE_FIGURE.fullmatch(name)
    if name in known or (stage and int(stage[2]) in PERCENTILES):
        return
    latencies = ", ".join(f"latency_p{percentile}_ms" for percentile in PERCENTILES)
    raise ConfigError(f"requirement '{where}': there is no figure '{name}', there are {', '.join(known)}, {latencies}")
