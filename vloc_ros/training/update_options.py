"""What updating a map can be told; plain values."""

from dataclasses import dataclass
from pathlib import Path

from vloc_ros.errors import ConfigError


@dataclass(frozen=True)
class UpdateOptions:
    """`map`: the directory of the map to update, which is only read. `workdir`: its work directory, which says what it
    was made from; None: beside it, where `vloc map` puts it. `recordings`: so many are kept at most, the newest ones.
    Raises ConfigError."""

    map: Path
    workdir: Path | None
    recordings: int

    def __post_init__(self) -> None:
        if self.recordings < 2:
            raise ConfigError(f"--keep-recordings {self.recordings}: an update is of two recordings at least")

    @property
    def map_workdir(self) -> Path:
        return self.workdir or self.map.with_name(f"{self.map.name}.work")
