"""Many bags, each evaluated by itself as a task: what is kept of each, and what got worse since another run."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vloc_ros.bags.options import BagOptions
from vloc_ros.errors import ConfigError, reason_of
from vloc_ros.evaluation.alignment import Correction
from vloc_ros.evaluation.evaluate_bag import evaluate_bag, frames_named
from vloc_ros.evaluation.json_parsing import parse_json
from vloc_ros.evaluation.metrics import RECALL_LIMITS, RIGHT_RECALL, median_text
from vloc_ros.evaluation.requirements import Requirement, figures
from vloc_ros.files import write_text
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import load_localizer

FORMAT = 1
WITHIN = f"within {RECALL_LIMITS[RIGHT_RECALL]}"
# How much worse than in the run before a figure may be by chance alone.
LESS_RECALL = 0.02  # share of the frames
MORE_ERROR, MORE_ERROR_M = 1.2, 0.001  # factor of the median error, and metres


@dataclass(frozen=True)
class BagTask:
    """What is to be evaluated: plain values. `public_key`: of who has to have signed the map, if that is asked for;
    `page`: whether a report is wanted."""

    name: str
    bag: Path
    map: Path
    options: BagOptions
    correction: Correction
    session: SessionOptions
    public_key: Path | None = None
    page: bool = False


@dataclass(frozen=True)
class BagRun:
    """What is known of a bag: the figures of its evaluation, or in one line why there are none. `evaluation`: as
    `Evaluation.write_json` has it, and `page` its report; neither is kept in the results of all bags."""

    summary: Mapping[str, Any] | None
    error: str | None = None
    map_id: str = ""
    evaluation: str = field(default="", compare=False)
    page: str = field(default="", compare=False)

    def to_json(self) -> dict[str, Any]:
        return {"summary": self.summary and dict(self.summary), "error": self.error, "map_id": self.map_id}

    @staticmethod
    def from_json(node: Mapping[str, Any]) -> "BagRun":
        """What `to_json` made. Raises TypeError, KeyError or ConfigError."""
        summary, error = node["summary"], node["error"]
        if (summary is None) == (error is None):
            raise ConfigError("a bag has either a summary or an error")
        if summary is not None:
            for name in ("frames", "rejected", "wrong_accepted", "median_translation_m", *RECALL_LIMITS):
                summary[name]
            figures(summary)
        return BagRun(summary, None if error is None else str(error), str(node["map_id"]))


def evaluate_task(task: BagTask) -> BagRun:
    """Evaluate one bag; a task. Raises VlocError."""
    localizer = load_localizer(task.map, task.session, public_key=task.public_key)
    manifest = localizer.landmark_map.manifest
    manifest.require_index(task.options.place)
    evaluation = evaluate_bag(localizer, task.bag, task.options, task.correction)
    page = ""
    if task.page:
        from vloc_ros.evaluation.report.evaluation_report import report_of  # matplotlib is optional

        frame = manifest.frame_to_publish(task.options.place)
        page = report_of(
            task.name, evaluation, localizer, lambda names: frames_named(task.bag, task.options, frame, names)
        )
    return BagRun(evaluation.summary(), None, localizer.map_id, evaluation.to_text(), page)


def write_runs(path: Path, runs: Mapping[str, BagRun]) -> None:
    """Write the figures of all bags. Raises ConfigError when they cannot be written."""
    content = {"format": FORMAT, "bags": {name: run.to_json() for name, run in runs.items()}}
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_runs(path: Path) -> dict[str, BagRun]:
    """What `write_runs` wrote. Raises ConfigError for anything else."""
    try:
        content = parse_json(path.read_bytes())
        if content["format"] != FORMAT:
            raise ConfigError(f"is of format {content['format']}, this version knows {FORMAT}")
        return {str(name): BagRun.from_json(node) for name, node in content["bags"].items()}
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {reason_of(error)}") from error
    except (ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
        raise ConfigError(f"{path}: not as `vloc evaluate --bags --json` writes it ({error})") from error


def regressions(now: Mapping[str, BagRun], before: Mapping[str, BagRun]) -> dict[str, list[str]]:
    """By bag, what is worse than it was before, in one line each; a bag that was not there before is not worse."""
    found = {name: _worse(now.get(name), run) for name, run in before.items()}
    return {name: lines for name, lines in found.items() if lines}


def _worse(now: BagRun | None, before: BagRun) -> list[str]:
    if before.summary is None:
        return []
    if now is None:
        return ["is not among the bags any more"]
    if now.summary is None:
        return ["failed, it did not before"]
    new, old, lines = now.summary, before.summary, []
    if new[RIGHT_RECALL] < old[RIGHT_RECALL] - LESS_RECALL:
        lines.append(f"{WITHIN}: {new[RIGHT_RECALL]:.1%}, it was {old[RIGHT_RECALL]:.1%}")
    if new["wrong_accepted"] > old["wrong_accepted"]:
        lines.append(f"accepted, but wrong: {new['wrong_accepted']}, it was {old['wrong_accepted']}")
    error_m, before_m = new["median_translation_m"], old["median_translation_m"]
    if before_m is not None and (error_m is None or error_m > max(MORE_ERROR * before_m, before_m + MORE_ERROR_M)):
        lines.append(f"median error: {median_text(new)}, it was {median_text(old)}")
    return lines


def missed(runs: Mapping[str, BagRun], requirements: Sequence[Requirement]) -> dict[str, list[str]]:
    """By bag, which of the requirements do not hold."""
    found = {
        name: [why for each in requirements if (why := each.failure(figures(run.summary)))]
        for name, run in runs.items()
        if run.summary is not None
    }
    return {name: lines for name, lines in found.items() if lines}


HEAD = ("bag", "frames", "median error", WITHIN, "rejected", "wrong", "latency p50", "")


def table_rows(runs: Mapping[str, BagRun], remarks: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """A row for each bag, as HEAD has it; `remarks` by bag."""
    return [(name, *_figures(run), "; ".join(remarks.get(name, ()))) for name, run in runs.items()]


def _figures(run: BagRun) -> tuple[str, ...]:
    if run.summary is None:
        return "failed", "", "", "", "", ""
    summary, total = run.summary, run.summary["latency_ms"].get("total")
    return (
        str(summary["frames"]),
        median_text(summary),
        f"{summary[RIGHT_RECALL]:.1%}",
        str(summary["rejected"]),
        str(summary["wrong_accepted"]),
        "none" if total is None else f"{total['p50']:.1f} ms",
    )
