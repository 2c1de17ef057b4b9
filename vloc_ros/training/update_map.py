"""`vloc map --update`: a map of a place and a second recording of it become a new map.

The new recording is localized in the old map, which says where its poses lie in the frame of the place. Then the
recordings are reconstructed together, as one data set (`vloc_ros/datasets/recordings.py`), and what the new one
contradicts is retired (`vloc_ros/mapping/changes.py`). The new map is written once it localizes as well as the old one.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vloc_ros.core.arrays import evenly_spread
from vloc_ros.core.feature_spec import ONNX
from vloc_ros.core.manifest import NO_SCALE
from vloc_ros.datasets import Dataset
from vloc_ros.datasets.recordings import KIND, RecordingList, RecordingSource, load_recordings, number_of
from vloc_ros.datasets.subset import Subset, split_held_out
from vloc_ros.errors import ConfigError, DatasetError, MapError, VlocError
from vloc_ros.evaluation.alignment import against
from vloc_ros.evaluation.evaluate import CORES, evaluate
from vloc_ros.evaluation.map_alignment import MapAlignment, align_map, pairs_of
from vloc_ros.evaluation.metrics import RIGHT_RECALL, summarize
from vloc_ros.evaluation.records import FrameRecord
from vloc_ros.evaluation.report.mapping_record import read_mapping_record
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import Localizer, open_localizer
from vloc_ros.maps import StoredMap, read_map, require_replaceable
from vloc_ros.maps.names import MANIFEST_FILE
from vloc_ros.maps.placement import ALIGNMENT
from vloc_ros.maps.writer import sealed, write_files
from vloc_ros.progress import Progress, Silent
from vloc_ros.training.map_options import COLMAP, IMAGES, MapOptions
from vloc_ros.training.method_options import STAGES, MethodOptions, load_recipe
from vloc_ros.training.settled_recording import settled
from vloc_ros.training.stages.build_map import build_map, posed
from vloc_ros.training.stages.settings import source_settings
from vloc_ros.training.stages.source_stage import LISTED as SOURCES
from vloc_ros.training.stages.stage_records import load_records
from vloc_ros.training.stages.work_directory import work_directory
from vloc_ros.training.update_options import UpdateOptions
from vloc_ros.training.workers import Workers

LISTED, CANDIDATE = "recordings.json", "candidate"  # in the work directory: what is mapped, and the map until it passes
LOCALIZED = 300  # frames of the new recording that the alignment rests on, at most
LOST, WORSE, WORSE_M = 0.05, 1.2, 0.002  # the share of frames and the median error that a new map may be worse by

Figures = Mapping[str, Any]


def update_map(options: MapOptions, progress: Progress | None = None) -> None:
    """Make the map `options.out` of what `options.update` names and of a new recording. Continues as `build_map` does.
    Raises VlocError for bad input, and MapError for a map that localizes worse than the old one; it is then in the work
    directory and not at `out`."""
    wanted, progress = options.update, progress or Silent()
    assert wanted is not None
    stored = read_map(wanted.map)
    _require_updatable(options, wanted, stored)
    before = _recordings_of(wanted, stored)
    workers = Workers.join()
    workers.leave()  # there is nothing that several could share
    if workers.rank:
        return
    options = replace(posed(options, load_recipe(options.method), Workers(), progress), update=None)
    listed, candidate = options.workdir / LISTED, options.workdir / CANDIDATE
    with work_directory(options.workdir, options.fresh, Workers(), progress, None):
        after = _with_new(before, options, wanted, stored, listed, progress)
        after.save(listed)
    options = replace(options, fresh=False)
    of_all = replace(
        options, dataset=KIND, root=listed.resolve(), split="all", poses=None, out=candidate,
        frame_id=_own_frame(stored), surface=stored.landmark_map.surface is not None,
    )  # fmt: skip
    if not after.settled:
        build_map(replace(of_all, until="geometry"), progress)
        settled(after, of_all, progress).save(listed)
    build_map(of_all, progress)
    if options.until in (None, STAGES[-1]):
        made = read_map(candidate)
        _require_as_good(after.update["old_map"], made, candidate)
        _publish(options.out, made, stored)
        progress.say(f"update: {options.out}: as good as {wanted.map} or better on what neither was made from")


def _require_updatable(options: MapOptions, wanted: UpdateOptions, stored: StoredMap) -> None:
    """Raise ConfigError for maps and options that an update cannot be of."""
    manifest = stored.landmark_map.manifest
    for whose, name in ((f"{wanted.map}: the map is", manifest.method), ("--method", options.method.method)):
        if name != "pram":
            raise ConfigError(f"{whose} {name}: only maps of pram can be updated, others are made anew")
    if manifest.unknown_scale:
        raise ConfigError(f"{wanted.map}: {NO_SCALE}, a recording in metres cannot be added to it")
    if len(manifest.places) > 1:
        raise ConfigError(f"{wanted.map}: is of {len(manifest.places)} places, a map of one can be updated")
    if options.dataset in (IMAGES, COLMAP):
        raise ConfigError(f"--dataset {options.dataset}: an update needs a recording with poses and depth")
    if manifest.features and (named := _features(options.method)) != manifest.features.name:
        raise ConfigError(f"--features {named}: the map {wanted.map} has {manifest.features.name}, an update keeps it")
    if os.path.realpath(options.workdir) == os.path.realpath(wanted.map_workdir):
        raise ConfigError(f"--workdir {options.workdir}: is that of the map to update, which stays as it is")
    require_replaceable(options.out)


def _features(method: MethodOptions) -> str:
    features = getattr(method, "features", "")
    return ONNX if isinstance(features, Path) else str(features)


def _recordings_of(wanted: UpdateOptions, stored: StoredMap) -> RecordingList:
    """What the old map was made from, as its work directory says. Raises ConfigError, DatasetError."""
    workdir = wanted.map_workdir
    if not workdir.is_dir():
        raise ConfigError(
            f"{workdir}: there is no work directory, which says what the map was made from; --update-workdir says where"
        )
    made_from = load_records(workdir).inputs_of("sources")
    if not made_from or not load_records(workdir).inputs_of("calibration"):
        raise ConfigError(f"{workdir}: is not the work directory of a finished map; --update-workdir says where it is")
    _require_same_images(workdir, wanted, stored)
    root = made_from["root"]
    if made_from["dataset"] == KIND:
        listed = load_recordings(Path(root))
    else:
        split, poses = _absolute(made_from["split"]), _absolute(made_from["poses"])
        assert split is not None
        listed = RecordingList((RecordingSource(1, made_from["dataset"], root, split, poses),))
    for source in listed.sources:
        try:
            source.open()
        except VlocError as error:
            raise DatasetError(f"{workdir}: what the map was made from cannot be read again: {error}") from error
    return listed


def _require_same_images(workdir: Path, wanted: UpdateOptions, stored: StoredMap) -> None:
    """Raise ConfigError for a work directory of another map than the one to update, as far as that one tells."""
    mapped = [name for recording in read_mapping_record(stored).recordings for name in recording.names]
    try:
        places = json.loads((workdir / SOURCES).read_text())["places"].values()
        listed = [name for names in places for name in names]
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ConfigError(f"{workdir / SOURCES}: damaged ({error}); --update-workdir says where it is") from error
    if mapped and mapped != listed:
        raise ConfigError(
            f"{workdir}: is the work directory of a map of other images than {wanted.map} was made from; "
            "--update-workdir says where that is"
        )


def _absolute(text: str | None) -> str | None:
    """A path that is the same wherever the next command is given; names stay."""
    return str(Path(text).resolve()) if text and Path(text).exists() else text


def _own_frame(stored: StoredMap) -> str:
    """The frame of the place's coordinates, which the recordings are brought into."""
    place = stored.landmark_map.manifest.places
    return place[0].frame_id if place else stored.landmark_map.manifest.frame_id


def _with_new(
    before: RecordingList, options: MapOptions, wanted: UpdateOptions, stored: StoredMap, path: Path, progress: Progress
) -> RecordingList:
    """The recordings with the new one in the frame of the others; of an earlier run, where nothing has changed."""
    settings = source_settings(options)
    source = RecordingSource(
        max(each.number for each in before.sources) + 1,
        settings.dataset,
        None if settings.root is None else str(settings.root.resolve()),
        _absolute(settings.split) or "",
        _absolute(settings.poses),
    )
    frames, kept = source.open(), before.sources[-(wanted.recordings - 1) :]
    inputs = {"map": stored.map_id, "frames": _digest(frames), "recordings": len(kept) + 1}
    if not options.fresh and path.exists() and (earlier := load_recordings(path)).update.get("inputs") == inputs:
        progress.say(f"update: unchanged, aligned to {wanted.map}: {earlier.update['alignment']}")
        return earlier
    localizer = open_localizer(stored, str(wanted.map), SessionOptions("onnxruntime", threads=1))
    found, records = _aligned(localizer, frames, wanted.map, progress)
    progress.say(f"update: the new recording is aligned to {wanted.map}: {found}")
    views = localizer.landmark_map.mapping_views
    held_out = set(split_held_out(frames)[1].names)
    truth = found.map_from_place @ np.stack([record.true_map_from_camera for record in records])
    of_new = [record for record in against(records, truth, views) if record.name in held_out]
    old = {str(source.number): _figures(of_new), **_old_figures(localizer, kept, progress)}
    moved = tuple(found.map_from_place.ravel().tolist())
    left_out = [each.number for each in before.sources if each not in kept]
    update = {
        "inputs": inputs, "of": stored.map_id, "alignment": found.to_summary(), "old_map": old, "left_out": left_out
    }  # fmt: skip
    still = tuple(name for name in before.retired if number_of(name) not in left_out)
    return RecordingList((*kept, replace(source, place_from_recording=moved)), still, update)


def _digest(frames: Dataset) -> str:
    """Of all names and poses."""
    found = hashlib.sha256("\n".join(frames.names).encode())
    for index in range(len(frames)):
        found.update(frames.map_from_camera(index).tobytes())
    return found.hexdigest()


def _aligned(
    localizer: Localizer, frames: Dataset, where: Path, progress: Progress
) -> tuple[MapAlignment, Sequence[FrameRecord]]:
    """Where the recording's poses lie in the place, and its frames, held-out ones and many others, as the map localizes
    them. Raises DatasetError where too few are localized, or where they contradict each other."""
    held_out = split_held_out(frames)[1].indices
    spread = evenly_spread(len(frames), LOCALIZED).tolist()
    some = Subset(frames, sorted({*spread, *held_out}))
    with progress.bar("localizing") as advance:
        records = evaluate(localizer, some, advance, workers=CORES).records
    try:
        estimates, recorded = pairs_of(records)
        # Even a robot that drives straight on: what the orientations leave open, the points that both see settle.
        return align_map(recorded, estimates, same_camera=True), records
    except DatasetError as error:
        raise DatasetError(f"--update {where}: the new recording cannot be aligned to the map: {error}") from error


def _old_figures(localizer: Localizer, kept: Sequence[RecordingSource], progress: Progress) -> dict[str, Figures]:
    """By recording, how well the old map localizes its held-out frames."""
    found = {}
    for source in kept:
        held_out = split_held_out(source.open())[1]
        truth = np.reshape(source.place_from_recording, (4, 4))
        with progress.bar(f"held-out frames of recording {source.number}") as advance:
            records = evaluate(localizer, held_out, advance, workers=CORES).records
        poses = truth @ np.stack([record.true_map_from_camera for record in records])
        found[str(source.number)] = _figures(against(records, poses, localizer.landmark_map.mapping_views))
    return found


def _figures(records: Sequence[FrameRecord]) -> Figures:
    summary = summarize([record.error for record in records], [])
    return {name: summary[name] for name in ("frames", "median_translation_m", "median_rotation_deg", RIGHT_RECALL)}


def held_out_figures(records: Sequence[FrameRecord]) -> dict[str, Figures]:
    """By recording, how well a map that was updated localizes its held-out frames."""
    numbers = sorted({number_of(record.name) for record in records})
    return {str(n): _figures([record for record in records if number_of(record.name) == n]) for n in numbers}


def _require_as_good(old: Mapping[str, Figures], made: StoredMap, where: Path) -> None:
    """Raise MapError where the new map is worse than the old one on the held-out frames of any recording."""
    new = held_out_figures(read_mapping_record(made).held_out)
    for number, after in new.items():
        if fault := worse(old[number], after):
            raise MapError(f"update: held-out frames of recording {number} {fault}; the map is kept in {where}")


def worse(before: Figures, after: Figures) -> str:
    """What of held-out frames is worse than before, by more than chance; "" for nothing."""
    least = before[RIGHT_RECALL] - max(LOST, 1 / max(1, after["frames"]))
    if after[RIGHT_RECALL] < least:
        return f"within 5 cm, 5 deg were {before[RIGHT_RECALL]:.0%} in the old map and are {after[RIGHT_RECALL]:.0%}"
    was, now = before["median_translation_m"], after["median_translation_m"]
    if was is not None and (now is None or now > WORSE * was + WORSE_M):
        return f"had a median error of {100 * was:.2f} cm in the old map and have {_centimetres(now)}"
    return ""


def _centimetres(metres: float | None) -> str:
    return "none: most are rejected" if metres is None else f"{100 * metres:.2f} cm"


def _publish(out: Path, made: StoredMap, old: StoredMap) -> None:
    """Write the new map; where the old one was aligned to another frame (`vloc align`), it is in that frame too."""
    before, manifest = old.landmark_map.manifest, made.landmark_map.manifest
    if not any(place.map_from_place for place in before.places):
        write_files(out, made.files)
        return
    accuracy = {**manifest.accuracy, ALIGNMENT: before.accuracy.get(ALIGNMENT, {})}
    manifest = replace(manifest, frame_id=before.frame_id, places=before.places, accuracy=accuracy)
    write_files(out, sealed(manifest, {name: each for name, each in made.files.items() if name != MANIFEST_FILE}))
