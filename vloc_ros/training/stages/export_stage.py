"""Stage 7, export: what was learned as network files, each compared with what was learned."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vloc_ros.core.model_spec import NETWORK, Precision
from vloc_ros.core.types import LandmarkMap
from vloc_ros.datasets import Dataset
from vloc_ros.datasets.pinhole_views import in_pinhole_views
from vloc_ros.files import write_bytes
from vloc_ros.methods import get_method
from vloc_ros.progress import Progress
from vloc_ros.training.export import export_onnx
from vloc_ros.training.parity import check_networks
from vloc_ros.training.recipe import DenseRecipe
from vloc_ros.training.stages.network_files import Networks, read_network
from vloc_ros.training.stages.settings import ExportSettings
from vloc_ros.training.stages.stage import Stage
from vloc_ros.training.trainer import Trainer

CHECKED_IMAGES = 4  # of what is exported


@dataclass(frozen=True, eq=False)
class ExportStage(Stage[Networks]):
    """Writes one network file for each precision."""

    settings: ExportSettings
    recipe: DenseRecipe
    trainer: Trainer
    held_out: Dataset
    untrained: LandmarkMap

    name = "export"

    def inputs(self) -> Mapping[str, Any]:
        return self.settings.inputs()

    def files(self) -> Mapping[str, Path]:
        return {"the checkpoint": self.trainer.checkpoint_path}

    def make(self, directory: Path, progress: Progress) -> Networks:
        spec, objective = self.untrained.manifest.models[NETWORK].grid, self.trainer.objective
        method, held_out = get_method(self.untrained.manifest.method), in_pinhole_views(self.held_out)
        networks: dict[Precision, bytes] = {}
        with progress.bar("export") as advance:
            for done, precision in enumerate(self.settings.precisions, start=1):
                networks[precision] = export_onnx(objective, spec, precision)
                advance(done, len(self.settings.precisions))
        checked = range(0, len(held_out), max(1, len(held_out) // CHECKED_IMAGES))
        manifest, scale = self.untrained.manifest, method.scales[0]
        images = (
            (held_out.names[index], method.prepare(held_out.frame(index).image, manifest, scale)) for index in checked
        )
        check_networks(networks, self.recipe, objective, spec, images)
        for precision, network in networks.items():
            write_bytes(_file(directory, precision), network)
        return networks

    def load(self, directory: Path) -> Networks:
        return {precision: read_network(_file(directory, precision)) for precision in self.settings.precisions}

    def artefact(self, directory: Path) -> Iterable[Path]:
        return (_file(directory, precision) for precision in self.settings.precisions)

    def describe(self, directory: Path, product: Networks) -> str:
        return ", ".join(f"{len(network) / 1e6:.1f} MB in {precision}" for precision, network in product.items())


def _file(directory: Path, precision: Precision) -> Path:
    return directory / "networks" / f"{precision}.onnx"
