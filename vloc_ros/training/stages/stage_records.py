"""What a work directory says of the stages that are done in it: what each was made from."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vloc_ros.errors import ConfigError
from vloc_ros.files import write_text
from vloc_ros.training.method_options import STAGES, StageName

RECORDS = "stages.json"
RESULT = "calibration.json"  # of the last stage: which map it wrote, and how accurate that is
FORMAT = 2  # 1 was options.json, of all stages together
BLOCK = 1 << 20  # bytes that are read at once


@dataclass(frozen=True)
class Record:
    """A stage that was made from `inputs`; the `fingerprint` is of these and of all stages before it."""

    inputs: Mapping[str, Any]
    fingerprint: str


@dataclass(frozen=True)
class Records:
    """By stage."""

    stages: Mapping[StageName, Record] = field(default_factory=dict)

    def inputs_of(self, stage: StageName) -> Mapping[str, Any]:
        """What a stage was made from; nothing if it was not made."""
        return self.stages[stage].inputs if stage in self.stages else {}

    def with_stage(self, stage: StageName, record: Record) -> "Records":
        return Records({**self.stages, stage: record})

    def before(self, stage: StageName) -> "Records":
        """Without that stage and those behind it."""
        earlier = STAGES[: STAGES.index(stage)]
        return Records({name: record for name, record in self.stages.items() if name in earlier})

    def save(self, directory: Path) -> None:
        """Write them, all at once. Raises ConfigError when they cannot be written."""
        stages = {name: vars(record) for name, record in self.stages.items()}
        content = {"format": FORMAT, "stages": stages}
        write_text(directory / RECORDS, json.dumps(content, indent=1) + "\n")


def load_records(directory: Path) -> Records:
    """Read what `save` wrote. Raises ConfigError for a file that is damaged or of another version."""
    path = directory / RECORDS
    try:
        content = json.loads(path.read_text())
        if (found := content["format"]) != FORMAT:
            raise ConfigError(f"{path}: is of format {found}, this version knows {FORMAT}; --fresh starts anew")
        listed = content["stages"].items()
        return Records({name: Record(dict(each["inputs"]), str(each["fingerprint"])) for name, each in listed})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: damaged ({error}); --fresh starts anew") from error


def written_map(directory: Path) -> str | None:
    """What `content_of` said of the manifest that the run of a work directory wrote last; None if there is none."""
    try:
        return str(json.loads((directory / RESULT).read_text())["map"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def plain(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """As they come back from a file."""
    values: dict[str, Any] = json.loads(json.dumps(inputs, default=str))
    return values


def fingerprint_of(inputs: Mapping[str, Any], before: str) -> str:
    """Of a stage's inputs and of the stages `before` it."""
    return hashlib.sha256(f"{before} {json.dumps(inputs, sort_keys=True)}".encode()).hexdigest()


def content_of(path: Path) -> str:
    """Hash of a file, or of all files in a directory with their names; "missing" where there is neither."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        parts = [f"{file.relative_to(path)} {content_of(file)}" for file in files]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
    if not path.is_file():
        return "missing"
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            found.update(block)
    return found.hexdigest()
