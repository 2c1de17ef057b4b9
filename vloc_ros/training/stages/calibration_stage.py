"""Stage 8, calibration: how far the map's poses can be believed, its accuracy, and the map itself."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vloc_ros.core.model_spec import Role
from vloc_ros.core.types import LandmarkMap
from vloc_ros.datasets import Dataset
from vloc_ros.errors import ConfigError, MapError
from vloc_ros.evaluation.evaluate import CORES, evaluate
from vloc_ros.evaluation.recording import Recording
from vloc_ros.files import atomic_file, write_errors
from vloc_ros.inference import SessionOptions, open_sessions
from vloc_ros.localizer import Localizer
from vloc_ros.mapping.novel_views import NovelViews
from vloc_ros.maps import read_map
from vloc_ros.maps.names import MANIFEST_FILE
from vloc_ros.maps.writer import map_files, write_files
from vloc_ros.methods import get_method
from vloc_ros.progress import Progress
from vloc_ros.training.accuracy import accuracy_of, describe, doubt
from vloc_ros.training.cached_frames import reading_caches
from vloc_ros.training.calibrate import fit_calibration, fit_gate
from vloc_ros.training.correction import FittedCorrection, fitted_correction
from vloc_ros.training.curves import read_curves
from vloc_ros.training.hidden_samples import HiddenViews, errors_by_distance
from vloc_ros.training.pose_pairs import PosePairs
from vloc_ros.training.preview import draw_preview, worst_pictures
from vloc_ros.training.samples import Sample, collect_samples, corrected_samples, hopeless_samples, pairs_of
from vloc_ros.training.stages.network_files import Networks
from vloc_ros.training.stages.settings import CalibrationSettings
from vloc_ros.training.stages.stage import Stage
from vloc_ros.training.stages.stage_records import RESULT, content_of, written_map
from vloc_ros.training.training_files import LOGS

Accuracy = Mapping[str, float]


@dataclass(frozen=True, eq=False)
class CalibrationStage(Stage[Accuracy]):
    """Fits the correction field on mapping frames, calibration and gate on held-out frames and on novel views from
    beside them, measures, and writes the map, which is `uncalibrated` until then. `summary`: what the map tells of how
    it was made; `logs`: where in the work directory the curves of its training are, if there are any; `hidden`: of
    a map of points, with `mapping` frames whose key points are known, and `recordings`, which its report shows."""

    settings: CalibrationSettings
    uncalibrated: LandmarkMap
    networks: Mapping[Role, Networks]
    mapping: Dataset
    held_out: Dataset
    novel_views: Sequence[NovelViews]
    summary: Mapping[str, Any]
    logs: str = LOGS
    hidden: HiddenViews | None = None
    recordings: Sequence[Recording] = ()

    name = "calibration"

    def inputs(self) -> Mapping[str, Any]:
        return self.settings.inputs()

    def make(self, directory: Path, progress: Progress) -> Accuracy:
        models, held_out = self.uncalibrated.manifest.models, self.held_out
        method = get_method(self.uncalibrated.manifest.method)
        sessions = open_sessions(
            self.networks, models, SessionOptions("onnxruntime", threads=1)
        )  # a thread for each image
        as_made = Localizer(self.uncalibrated, method, sessions)
        fitted, samples = self._samples(as_made, progress)
        calibration = fit_calibration(samples)
        gate = fit_gate(samples, calibration, self.settings.false_positive_rate)
        calibrated = replace(self.uncalibrated.manifest, calibration=calibration, gate=gate)
        gated = replace(self.uncalibrated, correction=fitted.field if fitted else None, manifest=calibrated)
        localizer = Localizer(gated, method, sessions)
        evaluation = evaluate(localizer, held_out, workers=CORES)
        accuracy = accuracy_of(evaluation)
        if warning := doubt(accuracy):
            progress.say(warning)
        manifest = replace(
            gated.manifest,
            accuracy={
                "held_out_frames": len(held_out),
                **accuracy,
                **({"correction": fitted.report.figures()} if fitted else {}),
                **errors_by_distance(samples),
            },
            training={**gated.manifest.training, **self.summary},
            unknown_scale=self.settings.unknown_scale,
        )
        preview = draw_preview(localizer, held_out.frame(len(held_out) // 2).image)
        mapping = {
            "curves": read_curves(directory / self.logs),
            "held_out": [record.to_json() for record in evaluation.records],
            "pictures": worst_pictures(evaluation.records, held_out),
            "recordings": [recording.to_json() for recording in self.recordings],
        }
        self._write(directory, map_files(replace(gated, manifest=manifest), self.networks, preview, mapping), accuracy)
        return accuracy

    def _write(self, directory: Path, contents: Mapping[str, bytes], accuracy: Accuracy) -> None:
        """The map, once the record that says so is on the disk, which takes its place behind it: a map that was
        replaced and is not known to be this run's would be in the way of the next one."""
        result = {"map": hashlib.sha256(contents[MANIFEST_FILE]).hexdigest(), "accuracy": accuracy}
        with write_errors(directory / RESULT), atomic_file(directory / RESULT) as file:
            file.write((json.dumps(result, indent=1) + "\n").encode())
            file.flush()
            write_files(self.settings.out, contents)

    def _samples(self, as_made: Localizer, progress: Progress) -> tuple[FittedCorrection | None, list[Sample]]:
        """The correction field, and poses as the map will correct them."""
        clean = evaluate(as_made, self.held_out, workers=CORES).records
        if self.hidden is None:
            with progress.bar("correction") as advance:
                fitted = fitted_correction(as_made, self.mapping, clean, PosePairs.of([]), advance)
            _say(fitted, progress)
            with progress.bar("calibration") as advance:
                # Without the field: chosen on frames between others, it leaves more of the errors elsewhere.
                return fitted, collect_samples(as_made, self.held_out, self.novel_views, clean, advance)
        with progress.bar("hidden views") as advance:
            hidden = self.hidden.samples(as_made, advance)
        with progress.bar("correction") as advance:
            fitted = fitted_correction(reading_caches(as_made), self.mapping, clean, pairs_of(hidden), advance)
        _say(fitted, progress)
        with progress.bar("calibration") as advance:
            samples = collect_samples(as_made, self.held_out, self.novel_views, clean, advance)
        with progress.bar("mirrored") as advance:
            samples += hidden + hopeless_samples(as_made, self.hidden.frames.parent, advance)
        return fitted, corrected_samples(samples, fitted)

    def _written(self) -> str:
        return content_of(self.settings.out / MANIFEST_FILE)

    def artefact(self, directory: Path) -> Iterable[Path]:
        return (directory / RESULT,)

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


def _say(fitted: FittedCorrection | None, progress: Progress) -> None:
    if fitted is not None:
        progress.say(fitted.report.describe())
