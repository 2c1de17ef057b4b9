"""The stage export of sparse methods: the networks that their map carries."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vloc_ros.core.feature_spec import EXTRACTOR, SIFT
from vloc_ros.core.model_spec import Role
from vloc_ros.files import write_bytes
from vloc_ros.maps.names import network_file
from vloc_ros.methods.pram.method import RECOGNIZER
from vloc_ros.progress import Progress
from vloc_ros.training.features.opening import open_extractor
from vloc_ros.training.method_options import SparseOptions, options_of_stage
from vloc_ros.training.stages.feature_stage import features_of, used_key_points
from vloc_ros.training.stages.network_files import Networks, read_network
from vloc_ros.training.stages.source_stage import Sources
from vloc_ros.training.stages.stage import Stage

if TYPE_CHECKING:
    from vloc_ros.training.pram.network import Recognizer

RoleNetworks = Mapping[Role, Networks]


@dataclass(frozen=True, eq=False)
class SparseExportStage(Stage[RoleNetworks]):
    """Writes the extractor, for images of the size that key points were found in; SIFT has none. And the recognizer, if
    one was trained."""

    method: SparseOptions
    sources: Sources
    recognizer: "Recognizer | None"

    name = "export"

    def inputs(self) -> Mapping[str, Any]:
        return options_of_stage(self.method, "export")

    def make(self, directory: Path, progress: Progress) -> RoleNetworks:
        size, key_points = features_of(self.sources)[0].size, used_key_points(self.method, self.sources)
        networks = open_extractor(str(self.method.features), size, key_points).networks
        if self.recognizer is not None:
            from vloc_ros.training.pram.deploy import exported_recognizer  # loads PyTorch

            recognizer = exported_recognizer(self.recognizer, features_of(self.sources)[0], key_points)
            networks = {**networks, RECOGNIZER: {"float32": recognizer}}
        for role, files in networks.items():
            write_bytes(_file(directory, role), files["float32"])
        return networks

    def load(self, directory: Path) -> RoleNetworks:
        return {role: {"float32": read_network(_file(directory, role))} for role in self._roles()}

    def artefact(self, directory: Path) -> Iterable[Path]:
        return (_file(directory, role) for role in self._roles())

    def _roles(self) -> tuple[Role, ...]:
        extractor: tuple[Role, ...] = () if self.method.features == SIFT else (EXTRACTOR,)
        return extractor if self.recognizer is None else (*extractor, RECOGNIZER)

    def describe(self, directory: Path, product: RoleNetworks) -> str:
        sizes = (f"{role} of {len(files['float32']) / 1e6:.1f} MB" for role, files in product.items())
        return ", ".join(sizes) or "no network"


def _file(directory: Path, role: Role) -> Path:
    return directory / "networks" / network_file(role)
