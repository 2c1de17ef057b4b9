"""`vloc map --workers`: the places of a joined data set, mapped one by one as tasks, and put together as a building.

Each place has a work directory of its own and is mapped as if it were alone: a run that was interrupted goes on, and a
place that is added leaves the others as they are. What tells places apart is made of their points in seconds.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time

import numpy as np

from vloc_ros.core.color_shares import color_shares
from vloc_ros.core.place_index import INT8_SCALE, PlaceIndex, quantized, sorted_index
from vloc_ros.core.points import Points
from vloc_ros.datasets.joined_places import KIND, ListedPlace, listed_places
from vloc_ros.errors import ConfigError, MapError
from vloc_ros.mapping.vlad import visual_words
from vloc_ros.maps import StoredMap, read_map
from vloc_ros.maps.building import holds_others, joined_overview, read_building, write_building
from vloc_ros.maps.building_json import read_said
from vloc_ros.maps.names import BUILDING_FILE, MANIFEST_FILE, PLACES
from vloc_ros.maps.reader import is_building
from vloc_ros.optional_packages import optional_packages, pip_install
from vloc_ros.progress import Progress, Silent
from vloc_ros.tasks import Done, Engine
from vloc_ros.training.map_options import MapOptions
from vloc_ros.training.stages.stage_records import content_of, written_map

WORDS = 1024  # visual words that points are sorted by
MOST_POINTS = 8000  # of a place, that recognise it


@dataclass(frozen=True)
class MappedPlace:
    """A place that is mapped: with how much processor time, and whether its map is another than it was."""

    seconds: float
    changed: bool


def map_building(
    options: MapOptions, engine: Engine, progress: Progress | None = None, overwrite: bool = False
) -> None:
    """Make the building `options.out` of the places that `options.root` lists. A map of a place that this run has not
    made, or that was changed since, as `vloc align` does, stays as it is, unless it may be overwritten. Raises
    ConfigError for places that could not be mapped, once all others are; MapError for what cannot be put together."""
    progress = progress or Silent()
    places = require_places(options)
    tasks = {place.name: place_options(options, place) for place in places}
    kept = [] if overwrite else [name for name, each in tasks.items() if _is_of_others(each)]
    if kept and options.fresh:
        raise ConfigError(f"--fresh: place {kept[0]} has a map already; --overwrite replaces it")
    for name in kept:
        del tasks[name]
        progress.say(f"{name}: its map was not made by this run, or was changed since, and stays; --overwrite maps it")
    try:
        _map_places(tasks, engine, progress)
    except (ConfigError, KeyboardInterrupt):
        _keep_whole(options, places, progress)
        raise
    put_together(options.out, [place.name for place in places], options.frame_id, progress)


def _map_places(tasks: Mapping[str, MapOptions], engine: Engine, progress: Progress) -> None:
    """Raises ConfigError for places that could not be mapped, once all others are."""
    failed: list[Done[MappedPlace]] = []
    with engine.opened() as opened, progress.bar("places") as advance:
        advance(0, len(tasks))
        for count, done in enumerate(opened.run(map_place, tasks), start=1):
            advance(count, len(tasks))
            progress.say(_described(done))
            if done.value is None:
                failed.append(done)
    if failed:
        others = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
        raise ConfigError(
            f"place {failed[0].name}{others} of {len(tasks)} could not be mapped: {failed[0].error}; the same command "
            "goes on with what is left"
        )


def _keep_whole(options: MapOptions, places: Sequence[ListedPlace], progress: Progress) -> None:
    """Where not all places were mapped: put a building that was there together of the maps that there are, if some are
    not any more what it says of them. It could not be used otherwise."""
    if not is_building(options.out) or not _has_new_maps(options.out):
        return
    mapped = [place.name for place in places if _map_id(options.out / PLACES / place.name) is not None]
    with suppress(MapError):  # then it stays as it is, and what is told is why not all places were mapped
        put_together(options.out, mapped, options.frame_id, progress)


def _has_new_maps(out: Path) -> bool:
    """Whether maps of a building's places are others than when it was put together."""
    try:
        said = read_said(out)[2]["places"]
    except MapError:
        return True
    manifests = {name: out / PLACES / name / MANIFEST_FILE for name in said}
    return any(path.exists() and content_of(path) != said[name]["map"] for name, path in manifests.items())


def require_places(options: MapOptions) -> Sequence[ListedPlace]:
    """The places of the options. Raises ConfigError for options that a building is not made with, and for a directory
    of something else."""
    if options.dataset != KIND:
        raise ConfigError(f"--dataset {options.dataset}: tasks are the places of the data set {KIND}")
    if "features" not in options.method.stages:
        raise ConfigError(f"--method {options.method.method}: places are told apart by points, which maps of pram have")
    for name, given in (("until", options.until), ("mesh", options.mesh), ("update", options.update)):
        if given:
            raise ConfigError(f"--{name} {given}: has no effect on places that are mapped as tasks")
    out = options.out
    if not is_building(out) and holds_others(out):
        raise ConfigError(f"{out}: is there already and holds no {BUILDING_FILE}, so it is no building")
    return listed_places(options.root, options.split, options.poses)


def place_options(options: MapOptions, place: ListedPlace) -> MapOptions:
    """How one place is mapped: as if it were alone, in a frame of its own."""
    return replace(
        options,
        dataset=place.dataset,
        root=place.root,
        poses=None if place.poses is None else str(place.poses),
        out=options.out / PLACES / place.name,
        workdir=options.workdir / place.name,
        frame_id=f"{options.frame_id}_{place.name}",
        surface=True,
    )


def map_place(options: MapOptions) -> MappedPlace:
    """The task of one place."""
    with optional_packages("making maps", pip_install("-r requirements/offline.txt")):
        from vloc_ros.training.stages.build_map import build_map  # of which only workers have a use

        before, began = _map_id(options.out), process_time()
        build_map(options)
    return MappedPlace(process_time() - began, _map_id(options.out) != before)


def put_together(out: Path, names: Sequence[str], frame_id: str, progress: Progress | None = None) -> None:
    """Make what tells the places apart, and the file that names them. Visual words stay as they are, once learned."""
    progress = progress or Silent()
    maps: dict[str, StoredMap] = {}
    with progress.bar("recognition") as advance:
        for count, name in enumerate(names, start=1):
            maps[name] = read_map(out / PLACES / name)
            advance(count, len(names))
    overview = joined_overview(frame_id, maps)
    index = place_index([stored.landmark_map.points for stored in maps.values()], _learned_words(out))
    write_building(out, overview, index, maps)
    progress.say(f"{out}: {len(names)} places, {len(index.descriptors)} points that tell them apart")


def place_index(places: Sequence[Points | None], words: np.ndarray | None = None) -> PlaceIndex:
    """The index of the points of all places, with these visual words, or with words that are learned from them."""
    known = [points for points in places if points is not None]
    parts = [_recognised_by(points) for points in known]
    if words is None or words.shape[1] != parts[0].shape[1]:
        words = visual_words(np.concatenate(parts).astype(np.float32) / np.float32(INT8_SCALE), WORDS, spread=False)
    has_colors = all(points.colors.any() for points in known)
    return sorted_index(words, parts, np.stack([color_shares(each.colors) for each in known]) if has_colors else None)


def _recognised_by(points: Points) -> np.ndarray:
    """Descriptors (N, D) int8 of MOST_POINTS of a place's points, spread evenly over their order."""
    rows = np.unique(np.linspace(0, len(points) - 1, min(len(points), MOST_POINTS)).astype(np.intp))
    return quantized(points.unit_descriptors[rows])


def _learned_words(out: Path) -> np.ndarray | None:
    try:
        return read_building(out).index.words if is_building(out) else None
    except MapError:  # one whose places have changed, or that is damaged: made anew
        return None


def _is_of_others(options: MapOptions) -> bool:
    """Whether there is a map that is not the one that was written from the work directory last."""
    if _map_id(options.out) is None:
        return False
    return options.fresh or written_map(options.workdir) != content_of(options.out / MANIFEST_FILE)


def _map_id(directory: Path) -> str | None:
    try:
        return read_map(directory).map_id
    except MapError:
        return None


def _described(done: Done[MappedPlace]) -> str:
    if done.value is None:
        return f"{done.name}: {done.error}"
    return f"{done.name}: {'mapped' if done.value.changed else 'unchanged'} in {done.value.seconds:.0f} s of a core"
