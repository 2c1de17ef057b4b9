"""A recorded drive through several places of a map: the frames of each are evaluated against its own truth."""

from collections.abc import Callable, Sequence
from typing import Any

from vloc_ros.core.manifest import Manifest
from vloc_ros.datasets.place_times import PlaceTimes
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.evaluation.evaluate import Evaluation

SKIPPED = "skipped_"  # counts of a source


def require_places(times: PlaceTimes, manifest: Manifest) -> None:
    """Raise ConfigError for a place that the map does not have, and for a map of one place."""
    if len(manifest.places) < 2:
        raise ConfigError("--place-times: the map is of one place")
    for name in times.places:
        manifest.require_index(name)


def evaluate_places(times: PlaceTimes, evaluate: Callable[[str, Callable[[int], bool]], Evaluation]) -> Evaluation:
    """All frames in the order of their stamps; `evaluate(place, is_there)` those of one place, whose stamps
    `is_there`, which may be none. Raises DatasetError where there is none in any place."""

    def part(place: str) -> Evaluation:
        return evaluate(place, lambda stamp_ns: times.at(stamp_ns) == place)

    parts = [part(place) for place in times.places]
    records = sorted((record for each in parts for record in each.records), key=lambda record: record.stamp_ns)
    if not records:
        raise DatasetError(f"--place-times: no image with ground truth in {', '.join(times.places)}")
    return Evaluation(tuple(records), _joined([dict(each.source) for each in parts], times))


def _joined(sources: Sequence[dict[str, Any]], times: PlaceTimes) -> dict[str, Any]:
    """What is said of the first place, with the counts of all."""
    counts = {name: sum(each.get(name, 0) for each in sources) for name in sources[0] if name.startswith(SKIPPED)}
    return {**sources[0], **counts, "places": list(times.names)}
