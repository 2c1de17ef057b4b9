"""Stage 3 of sparse methods, poses: whether the recorded poses agree where frames show the same, and poses that do."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.adjusted_poses import AdjustedPoses
from vloc_ros.datasets.subset import Subset
from vloc_ros.datasets.types import Dataset
from vloc_ros.errors import DatasetError
from vloc_ros.files import write_text
from vloc_ros.geometry.transforms import blended, invert
from vloc_ros.mapping.array_files import group, grouped, loaded_arrays, save_arrays
from vloc_ros.mapping.depth_calibration import DepthCorrection
from vloc_ros.mapping.frame_features import read_frame_features
from vloc_ros.mapping.geometry_kinds import THREADS
from vloc_ros.mapping.loop_closure import Disagreement, LoopClosure, close_loops
from vloc_ros.mapping.place_geometry import Place
from vloc_ros.progress import Progress
from vloc_ros.training.method_options import SparseOptions, options_of_stage
from vloc_ros.training.stages.source_stage import Sources
from vloc_ros.training.stages.stage import Stage

Float = NDArray[np.float64]

ARRAYS, FIGURES = "poses.npz", "poses.json"
AS_RECORDED = "as recorded, not checked"


@dataclass(frozen=True, eq=False)
class CheckedPoses:
    """Of each place that was checked, by name, in their order."""

    places: Mapping[str, LoopClosure]

    def applied(self, sources: Sources) -> Sources:
        """The sources with the adjusted poses; held-out frames go with the training frames before and behind them."""
        if not any(found.adjusted for found in self.places.values()):
            return sources
        places = tuple(self._moved(place) for place in sources.places)
        moved = {name: place.frames.map_from_camera(i) for place in places for i, name in enumerate(place.frames.names)}
        training = AdjustedPoses(sources.training, np.stack([moved[name] for name in sources.training.names]))
        held_out = AdjustedPoses(sources.held_out, moved_with(sources.training, training, sources.held_out))
        return replace(sources, places=places, training=training, held_out=held_out)

    def _moved(self, place: Place) -> Place:
        found = self.places.get(place.name)
        if found is None or not found.adjusted:
            return place
        return replace(place, frames=AdjustedPoses(place.frames, found.map_from_camera))


@dataclass(frozen=True, eq=False)
class PoseStage(Stage[CheckedPoses]):
    """Checks the poses of places whose depth is known, if `reads_depth`, and adjusts what drifts."""

    method: SparseOptions
    reads_depth: bool
    sources: Sources

    name = "poses"

    def inputs(self) -> Mapping[str, Any]:
        return options_of_stage(self.method, "poses")

    def make(self, directory: Path, progress: Progress) -> CheckedPoses:
        checked = CheckedPoses(self._found(progress))
        for found in checked.places.values():
            _tell(found, progress)
        _save(directory, checked)
        return checked

    def _found(self, progress: Progress) -> dict[str, LoopClosure]:
        found = {}
        for place in self.sources.places:
            if self.reads_depth and place.frames.has_depth and self.method.loops != "off":
                assert place.features is not None
                features = read_frame_features(place.frames, place.features, DepthCorrection())
                found[place.name] = close_loops(features, THREADS, progress)
        return found

    def load(self, directory: Path) -> CheckedPoses:
        return _load(directory)

    def artefact(self, directory: Path) -> Iterable[Path]:
        return directory / ARRAYS, directory / FIGURES

    def describe(self, directory: Path, product: CheckedPoses) -> str:
        lines = [f"{name}{': ' if name else ''}{found.describe()}" for name, found in product.places.items()]
        return "; ".join(lines) or AS_RECORDED


def _tell(found: LoopClosure, progress: Progress) -> None:
    """What a person may want to look at before the long stages."""
    for each in found.disagreements:
        progress.say(f"two passes disagreed before: {each.describe()}")
    for each in found.left:
        progress.say(f"two passes disagree, or two places look alike: {each.describe()}")


def moved_with(recorded: Dataset, adjusted: Dataset, others: Dataset) -> Float:
    """Poses (N, 4, 4) of `others`: parts of one data set with the frames that were `recorded` and `adjusted`. Each goes
    as the frames of its place before and behind it go, the nearer one more."""
    assert isinstance(recorded, Subset)
    assert isinstance(others, Subset)
    places = np.array([recorded.place(index) for index in range(len(recorded))])
    found = []
    for index, position in enumerate(others.indices):
        pose = others.map_from_camera(index)
        own = np.flatnonzero(places == others.place(index))
        behind = int(np.searchsorted(np.asarray(recorded.indices)[own], position))
        around = own[[max(0, behind - 1), min(behind, len(own) - 1)]].tolist()
        first, second = (adjusted.map_from_camera(row) @ invert(recorded.map_from_camera(row)) @ pose for row in around)
        before, after = (recorded.indices[row] for row in around)
        share = min(1.0, max(0.0, (position - before) / max(1, after - before)))  # there may be none behind
        found.append(blended(first, second, share))
    return np.stack(found)


def _save(directory: Path, checked: CheckedPoses) -> None:
    """Both files, each all at once."""
    arrays: dict[str, Any] = {"names": np.array(list(checked.places), dtype=np.str_)}
    figures = {}
    for number, (name, found) in enumerate(checked.places.items()):
        values = asdict(found)
        poses = {key: values.pop(key) for key in ("map_from_camera", "recorded")}
        arrays |= grouped(str(number), poses)
        figures[name] = values
    save_arrays(directory / ARRAYS, arrays)
    write_text(directory / FIGURES, json.dumps(figures, indent=1) + "\n")


def _load(directory: Path) -> CheckedPoses:
    path = directory / FIGURES
    try:
        figures = json.loads(path.read_text())
        with loaded_arrays(directory / ARRAYS, "record of poses") as arrays:
            return CheckedPoses(
                {
                    name: LoopClosure(**_figures(figures[name]), **group(arrays, str(number)))
                    for number, name in enumerate(arrays["names"].tolist())
                }
            )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DatasetError(f"{path}: not a complete record of poses ({error}); --fresh makes it anew") from error


def _figures(values: dict[str, Any]) -> dict[str, Any]:
    lists = {key: tuple(Disagreement(**each) for each in values[key]) for key in ("disagreements", "left")}
    return {**values, **lists}
