"""`vloc align`: where does a map lie in another frame, such as that of a navigation map?"""

import argparse
import os
from dataclasses import dataclass, replace
from pathlib import Path

from vloc_ros.bags.options import BagOptions, GroundTruthOptions
from vloc_ros.bags.reader import bag_packages
from vloc_ros.cli.command import Command
from vloc_ros.cli.options import (
    add_bag_camera,
    add_session,
    add_split,
    note,
    session_options,
    warn_of_cameras,
)
from vloc_ros.cli.progress_bar import frame_bar
from vloc_ros.core.manifest import NO_SCALE, require_frame_id
from vloc_ros.core.places import unplaced
from vloc_ros.datasets import DATASETS, open_dataset
from vloc_ros.errors import ConfigError, VlocError, printable
from vloc_ros.evaluation.evaluate import Evaluation, evaluate
from vloc_ros.files import uninterrupted
from vloc_ros.geometry.pose_error import PoseTolerance
from vloc_ros.geometry.transforms import POSE_COLUMNS, pose_vector
from vloc_ros.localizer import Localizer, open_localizer
from vloc_ros.maps import StoredMap, read_map, read_stored
from vloc_ros.maps.building import enter_place, read_building
from vloc_ros.maps.names import PLACES
from vloc_ros.maps.reader import is_building
from vloc_ros.maps.writer import write_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("map", type=Path, metavar="MAP", help="map directory, or a building; it is changed")
    parser.add_argument(
        "--to", required=True, metavar="POSES",
        help="poses of the images in the other frame: of a --bag a TUM file, tf, tf:FRAME or a topic; of a --dataset "
        "the file that its --poses takes",
    )  # fmt: skip
    parser.add_argument(
        "--frame-id", default="", metavar="FRAME",
        help="what the other frame is called (default: as the bag says, else as the map's frame); of a building, it is "
        "the building's own",
    )  # fmt: skip
    parser.add_argument("--place", metavar="NAME", help="which place, for a map of several, or a building")
    parser.add_argument(
        "--limit-cm", type=float, default=20.0, metavar="CM", help="of the median residual (default: %(default)g)"
    )
    parser.add_argument(
        "--limit-deg", type=float, default=5.0, metavar="DEG", help="of the median residual (default: %(default)g)"
    )
    parser.add_argument("--bag", type=Path, metavar="BAG", help="ROS 2 bag with images of the place")
    group = parser.add_argument_group("bags")
    add_bag_camera(group)
    group.add_argument(
        "--poses-frame", default="", metavar="FRAME",
        help="the frame whose poses --to are, which /tf_static connects with the camera's (default: as the messages "
        "say, or the camera's)",
    )  # fmt: skip
    group.add_argument(
        "--poses-gap", type=float, default=GroundTruthOptions.max_gap_s, metavar="SECONDS",
        help="interpolate poses no longer (default: %(default)g)",
    )  # fmt: skip
    group.add_argument(
        "--time-offset", type=float, default=0.0, metavar="SECONDS", help="the poses' clock minus the images'"
    )
    parser.add_argument("--dataset", choices=tuple(DATASETS), help="kind of posed images, instead of a bag")
    parser.add_argument("--root", type=Path, metavar="PATH", help="its directory")
    add_split(parser, default="all")
    add_session(parser)


def run(options: argparse.Namespace) -> int:
    if bool(options.bag) == bool(options.dataset):
        raise ConfigError("give the images of the place that POSES are of: --bag BAG or --dataset KIND --root PATH")
    if options.frame_id:
        require_frame_id(options.frame_id)
    wanted = _wanted(options)
    localizer = open_localizer(wanted.stored, str(wanted.directory), session_options(options), note)
    manifest = localizer.landmark_map.manifest
    if manifest.unknown_scale:
        raise ConfigError(f"{options.map}: {NO_SCALE}, so nothing rigid brings them into another frame")
    # An earlier alignment says nothing of this one.
    localizer = replace(localizer, landmark_map=replace(localizer.landmark_map, manifest=unplaced(manifest)))
    evaluation = _bag(localizer, options, wanted) if options.bag else _dataset(localizer, options)
    from vloc_ros.evaluation.map_alignment import align_map, pairs_of  # SciPy is optional
    from vloc_ros.maps.placement import place_map

    place_from_camera, map_from_camera = pairs_of(evaluation.records)
    limit = PoseTolerance(options.limit_cm / 100, options.limit_deg)
    found = align_map(place_from_camera, map_from_camera, limit)
    frame_id = wanted.named(options.frame_id or evaluation.source.get("truth", {}).get("frame") or wanted.frame_id)
    summary = {"frame": frame_id, "poses": options.to, **found.to_summary()}
    with uninterrupted():
        place_map(wanted.directory, wanted.place, frame_id, found.map_from_place, summary)
        if wanted.building is not None:
            _enter(wanted.building, wanted)
    map_id = read_stored(options.map).map_id
    pose = " ".join(f"{value:.6f}" for value in pose_vector(found.map_from_place))
    rows = (
        ("map_from_place", f"{pose} ({POSE_COLUMNS}), in the frame '{frame_id}'"),
        ("fitted to", str(found)),
        (
            "map",
            f"{options.map}, its id is {map_id} now: sign it again, and update `allowed_map_ids` that name it",
        ),
    )
    print("\n".join(f"{name:<16}{printable(value)}" for name, value in rows))
    return 0


@dataclass(frozen=True)
class Wanted:
    """The map that is to be aligned, where it lies and which of its places; `frame_id`: what the other frame is called
    unless something else is said. `building`: that the map is of a place of, which keeps its frame."""

    stored: StoredMap
    directory: Path
    place: str | None
    frame_id: str
    building: Path | None = None

    def named(self, frame_id: str) -> str:
        """The name of the other frame. Raises ConfigError for one that the places of a building do not lie in."""
        if self.building is not None and frame_id != self.frame_id:
            raise ConfigError(
                f"{self.building}: its places lie in the frame {self.frame_id!r}, POSES are of {frame_id!r}: "
                f"give --frame-id {self.frame_id} if that is the same frame"
            )
        return frame_id


def _wanted(options: argparse.Namespace) -> Wanted:
    if not is_building(options.map):
        _require_own(options.map)
        stored = read_map(options.map)
        manifest = stored.landmark_map.manifest
        manifest.require_index(options.place)
        return Wanted(stored, options.map, options.place, manifest.frame_id)
    building = read_building(options.map)
    manifest = building.landmark_map.manifest
    if options.place not in manifest.place_names:
        names = ", ".join(manifest.place_names)
        raise ConfigError(f"{options.map}: is a building, give one of its places as --place: {names}")
    directory = building.directory / PLACES / options.place
    wanted = Wanted(building.read_place(options.place), directory, None, manifest.frame_id, options.map)
    wanted.named(options.frame_id or manifest.frame_id)
    return wanted


def _require_own(directory: Path) -> None:
    """Raise ConfigError for the map of a place of a building, which would not know it any more."""
    place = Path(os.path.realpath(directory))
    building = place.parents[1]
    if place.parent.name == PLACES and is_building(building):
        raise ConfigError(
            f"{directory}: is the map of a place of the building {building}; give `vloc align {building} --place "
            f"{place.name}`, which changes both"
        )


def _enter(building: Path, wanted: Wanted) -> None:
    """Have the building say where its place lies now; where that cannot be written, its map is again as it was."""
    try:
        enter_place(building, wanted.directory.name)
    except VlocError:
        write_files(wanted.directory, wanted.stored.files)
        raise


def _dataset(localizer: Localizer, options: argparse.Namespace) -> Evaluation:
    if len(places := localizer.landmark_map.manifest.place_names) > 1:
        raise ConfigError(f"--dataset: the map is of several places, {', '.join(places)}; give --bag and --place")
    dataset = open_dataset(options.dataset, options.root, options.split, options.to)
    warn_of_cameras(localizer, (dataset.camera(index) for index in range(len(dataset))))
    with frame_bar() as advance:
        return evaluate(localizer, dataset, advance)


def _bag(localizer: Localizer, options: argparse.Namespace, wanted: Wanted) -> Evaluation:
    # In the map's own frame, not in that of the place.
    source = f"tf:{wanted.frame_id}" if options.to == "tf" else options.to
    poses = GroundTruthOptions(source, options.poses_frame, options.poses_gap, options.time_offset, option="--to")
    camera = options.image_topic, options.camera_info_topic
    asked = BagOptions(*camera, options.rectified, poses, wanted.place, tuple(options.tf_topic), options.camera_frame)
    with bag_packages():
        from vloc_ros.evaluation.alignment import Correction
        from vloc_ros.evaluation.evaluate_bag import evaluate_bag
    with frame_bar() as advance:
        return evaluate_bag(localizer, options.bag, asked, Correction(), advance)


COMMAND = Command(
    "Find where a map lies in another frame: images are localized in the map, and these poses are fitted rigidly to "
    "those that the same images have in the other frame. The map keeps the result (map_from_place), and nodes publish "
    "poses in that frame from then on. The map is changed as a whole or not at all; of a building, that of one place.",
    add_arguments,
    run,
)
