"""Stage 7, calibration: how far the map's poses can be believed, its accuracy, and the map itself."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vloc_ros.core.model_spec import NETWORK
from vloc_ros.core.types import LandmarkMap
from vloc_ros.datasets import Dataset
from vloc_ros.datasets.joined_places import place_parts
from vloc_ros.errors import ConfigError, MapError
from vloc_ros.evaluation.evaluate import evaluate
from vloc_ros.files import write_text
from vloc_ros.inference import SessionOptions, open_session
from vloc_ros.localizer import Localizer
from vloc_ros.mapping.geometry_kinds import GeometryKind
from vloc_ros.mapping.novel_views import NovelViews
from vloc_ros.mapping.place_geometry import Geometry
from vloc_ros.maps import read_map, write_map
from vloc_ros.maps.names import MANIFEST_FILE
from vloc_ros.methods import get_method
from vloc_ros.progress import Progress
from vloc_ros.training.accuracy import accuracy_of, describe
from vloc_ros.training.calibrate import collect_samples, fit_calibration, fit_gate
from vloc_ros.training.curves import read_curves
from vloc_ros.training.preview import draw_preview
from vloc_ros.training.stages.export_stage import Networks
from vloc_ros.training.stages.sample_stage import can_be_rendered
from vloc_ros.training.stages.settings import CalibrationSettings
from vloc_ros.training.stages.stage import Stage
from vloc_ros.training.stages.stage_records import RESULT, content_of, written_map
from vloc_ros.training.trainer import LOGS

CALIBRATION_VIEWS = 3  # from beside each held-out frame

Accuracy = Mapping[str, float]


@dataclass(frozen=True, eq=False)
class CalibrationStage(Stage[Accuracy]):
    """Fits calibration and gate on held-out frames, measures, and writes the map. `summary`: what the map tells of how
    it was trained; `seed`: of the novel views."""

    settings: CalibrationSettings
    kind: GeometryKind
    geometry: Geometry
    networks: Networks
    held_out: Dataset
    untrained: LandmarkMap
    summary: Mapping[str, Any]
    seed: int

    name = "calibration"

    def inputs(self) -> Mapping[str, Any]:
        return self.settings.inputs()

    def make(self, directory: Path, progress: Progress) -> Accuracy:
        untrained, held_out = self.untrained, self.held_out
        method, model = get_method(untrained.manifest.method), untrained.manifest.models[NETWORK]
        sessions = {NETWORK: open_session(self.networks, model, SessionOptions("onnxruntime"))}
        with progress.bar("calibration") as advance:
            samples = collect_samples(Localizer(untrained, method, sessions), held_out, self._novel_views(), advance)
        calibration = fit_calibration(samples)
        gate = fit_gate(samples, calibration, self.settings.false_positive_rate)
        gated = replace(untrained, manifest=replace(untrained.manifest, calibration=calibration, gate=gate))
        localizer = Localizer(gated, method, sessions)
        evaluation = evaluate(localizer, held_out)
        accuracy = accuracy_of(evaluation)
        manifest = replace(
            gated.manifest,
            accuracy={"held_out_frames": len(held_out), **accuracy},
            training={**gated.manifest.training, **self._depth(), **self.summary},
        )
        preview = draw_preview(localizer, held_out.frame(len(held_out) // 2).image)
        mapping = {
            "curves": read_curves(directory / LOGS),
            "held_out": [record.to_json() for record in evaluation.records],
        }
        write_map(self.settings.out, replace(gated, manifest=manifest), {NETWORK: self.networks}, preview, mapping)
        result = {"map": self._written(), "accuracy": accuracy}
        write_text(directory / RESULT, json.dumps(result, indent=1) + "\n")
        return accuracy

    def _novel_views(self) -> list[NovelViews]:
        """From beside the held-out frames of each place that they can be rendered from."""
        spec = self.untrained.manifest.models[NETWORK].grid
        parts = [self.geometry.of(name).frames(part) for name, part in place_parts(self.held_out)]
        return [
            NovelViews(part, CALIBRATION_VIEWS * len(part), spec.width, spec.height, self.seed)
            for part in parts
            if can_be_rendered(part, self.kind)
        ]

    def _depth(self) -> dict[str, Any]:
        corrections = self.geometry.depth_corrections.items()
        return {f"depth_correction_{n}" if n else "depth_correction": asdict(each) for n, each in corrections}

    def _written(self) -> str:
        return content_of(self.settings.out / MANIFEST_FILE)

    def is_there(self, directory: Path) -> bool:
        """Whether the map is still the one that was written, and whole."""
        try:
            read_map(self.settings.out)
        except MapError:
            return False
        return written_map(directory) == self._written()

    def load(self, directory: Path) -> Accuracy:
        try:
            return dict(json.loads((directory / RESULT).read_text())["accuracy"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{directory / RESULT}: damaged ({error}); --fresh makes it anew") from error

    def describe(self, directory: Path, product: Accuracy) -> str:
        return f"{self.settings.out}: {describe(product)} on {len(self.held_out)} held-out frames"
