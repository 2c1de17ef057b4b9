"""The stage export of sparse methods: the networks that their map carries."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vloc_ros.core.feature_spec import EXTRACTOR, SIFT
from vloc_ros.core.model_spec import Role
from vloc_ros.errors import ModelError, reason_of
from vloc_ros.files import write_bytes
from vloc_ros.maps.names import network_file
from vloc_ros.progress import Progress
from vloc_ros.training.features.opening import open_extractor
from vloc_ros.training.method_options import SparseOptions, options_of_stage
from vloc_ros.training.stages.export_stage import Networks
from vloc_ros.training.stages.stage import Stage

RoleNetworks = Mapping[Role, Networks]


@dataclass(frozen=True, eq=False)
class SparseExportStage(Stage[RoleNetworks]):
    """Writes the extractor for images of `size` (width, height); SIFT has none."""

    method: SparseOptions
    size: tuple[int, int]

    name = "export"

    def inputs(self) -> Mapping[str, Any]:
        return options_of_stage(self.method, "export")

    def make(self, directory: Path, progress: Progress) -> RoleNetworks:
        networks = open_extractor(str(self.method.features), self.size, self.method.key_points).networks
        for role, files in networks.items():
            write_bytes(_file(directory, role), files["float32"])
        return networks

    def load(self, directory: Path) -> RoleNetworks:
        try:
            return {role: {"float32": _file(directory, role).read_bytes()} for role in self._roles()}
        except OSError as error:
            raise ModelError(f"{error.filename}: {reason_of(error)}; --fresh makes it anew") from error

    def artefact(self, directory: Path) -> Iterable[Path]:
        return (_file(directory, role) for role in self._roles())

    def _roles(self) -> tuple[Role, ...]:
        return () if self.method.features == SIFT else (EXTRACTOR,)

    def describe(self, directory: Path, product: RoleNetworks) -> str:
        sizes = (f"{role} of {len(files['float32']) / 1e6:.1f} MB" for role, files in product.items())
        return ", ".join(sizes) or "no network"


def _file(directory: Path, role: Role) -> Path:
    return directory / "networks" / network_file(role)
