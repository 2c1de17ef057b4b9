"""Bags and live runs on the command line: their options, and what they say about images and ground truth."""

import argparse
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vloc_ros.bags.options import BagOptions, GroundTruthOptions
from vloc_ros.bags.reader import bag_packages
from vloc_ros.cli.options import (
    SEARCH,
    add_bag_camera,
    add_camera_frames,
    add_cameras,
    add_old_name,
    time_offset,
    warn_of_cameras,
)
from vloc_ros.cli.progress_bar import frame_bar
from vloc_ros.datasets import Frame
from vloc_ros.datasets.place_times import PlaceTimes, read_place_times
from vloc_ros.errors import ConfigError, printable
from vloc_ros.evaluation.evaluate import Evaluation, LoadFrames
from vloc_ros.evaluation.several_places import evaluate_places, require_places
from vloc_ros.geometry.transforms import POSE_COLUMNS, invert
from vloc_ros.localizer import Localizer

if TYPE_CHECKING:
    from vloc_ros.datasets.bag_frames import BagFrames
    from vloc_ros.evaluation.alignment import Correction

FAULTS = ("invalid", "not_normalized", "backwards", "duplicates", "self_transforms")  # of the truth's poses
SKIPPED = ("skipped_without_stamp", "skipped_repeated_stamp", "skipped_without_transform")  # of the images


def add_options(parser: argparse.ArgumentParser) -> None:
    """Bags and live runs, and what may be done to their ground truth."""
    group = add_bag(parser)
    group.add_argument(
        "--recorded",
        type=Path,
        metavar="DIR",
        help="a live run that `vloc record` wrote; its truth is a TUM file, or in the --bag that was played",
    )
    group.add_argument(
        "--place-times", type=Path, metavar="FILE",
        help="of a drive through several places of the map, in place of --place: a file of 'stamp place' a line, where "
        "it was from that stamp on",
    )  # fmt: skip
    group.add_argument(
        "--priors",
        action="store_true",
        help="search most images near the track of the bag's odometry first, as on a robot (default: all of them in "
        "the whole map)",
    )
    group.add_argument("--align", action="store_true", help="move the ground truth rigidly to where it fits best")
    group.add_argument(
        "--time-offset",
        default="0",
        metavar=f"SECONDS|{SEARCH}",
        help="the ground truth's clock minus the images' (default: 0); or search within a second",
    )


def add_bag(parser: argparse.ArgumentParser) -> "argparse._ArgumentGroup":
    """A bag, which of its cameras, and where its ground truth is."""
    group = parser.add_argument_group("bags", "instead of --dataset; see docs/bags.md")
    group.add_argument("--bag", type=Path, metavar="BAG", help="ROS 2 bag: a directory, an .mcap or a .db3 file")
    add_bag_camera(group)
    add_cameras(group, "the topic of its images or the namespace of that; of a data set by its own names")
    add_camera_frames(group)
    group.add_argument(
        "--camera-tolerance", type=float, default=BagOptions.tolerance_s, metavar="SECONDS",
        help="images of --cameras are of one moment if their stamps are no farther apart (default: %(default)g)",
    )  # fmt: skip
    group.add_argument(
        "--odom-frame", default=BagOptions.odom_frame, metavar="FRAME",
        help="the odometry's frame: how the robot moved between two of these stamps, and for the track (default: "
        "%(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--base-frame", default=BagOptions.base_frame, metavar="FRAME",
        help="the robot's frame, which odometry moves (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--odometry-topic", default="", metavar="TOPIC",
        help="nav_msgs/Odometry that the track is to use instead of TF (default: TF, else the only one)",
    )  # fmt: skip
    group.add_argument(
        "--truth",
        default="",
        metavar="TOPIC|tf|tf:FRAME|FILE",
        help="ground truth: a topic of poses, odometry or transforms; TF, in the map's frame or in FRAME; or a TUM "
        "file (default: the only topic of poses, odometry aside)",
    )
    group.add_argument(
        "--truth-frame",
        default="",
        metavar="FRAME",
        help="the frame whose poses these are, which /tf_static connects with the camera's (default: as the messages "
        "say, or the camera's)",
    )
    group.add_argument(
        "--truth-gap", type=float, default=0.25, metavar="SECONDS", help="interpolate no longer (default: %(default)g)"
    )
    place = group.add_argument(
        "--place", metavar="NAME", help="which of the places it was recorded in, for a map of several"
    )
    add_old_name(group, "--scene", place)
    return group


def posed_frames(options: argparse.Namespace, localizer: Localizer, scope: ExitStack) -> "BagFrames":
    """The frames of the bag, which stays open as long as `scope`. Raises VlocError."""
    with bag_packages():
        from vloc_ros.bags.reader import open_bag
        from vloc_ros.datasets.bag_frames import bag_frames
        from vloc_ros.evaluation.evaluate_bag import in_place
    bag = scope.enter_context(open_bag(options.bag))
    frames = bag_frames(bag, bag_options(options, 0.0), _map_frame(options, localizer))
    frames.truth = in_place(frames.truth, localizer.landmark_map.manifest, options.place)
    return frames


def _map_frame(options: argparse.Namespace, localizer: Localizer) -> str:
    """The frame of the ground truth, if nothing says another: that which nodes publish in. Raises ConfigError for a
    place that the map does not have."""
    manifest = localizer.landmark_map.manifest
    if times := _place_times(options, localizer):
        return manifest.frame_to_publish(times.places[0])
    if manifest.index_of(options.place) is None:
        names = ", ".join(manifest.place_names)
        if options.place is None:
            raise ConfigError(f"--place: the map is of several places, {names}; say in which the bag was recorded")
        raise ConfigError(f"--place '{options.place}': the map has no such place, it has {names}")
    return manifest.frame_to_publish(options.place)


def _place_times(options: argparse.Namespace, localizer: Localizer) -> PlaceTimes | None:
    """Raises VlocError."""
    if getattr(options, "place_times", None) is None:  # `vloc view` has no such option
        return None
    if options.place or options.align or options.time_offset == SEARCH or options.priors:
        raise ConfigError("--place-times: goes without --place, --align, --priors and a search of the time offset")
    times = read_place_times(options.place_times)
    require_places(times, localizer.landmark_map.manifest)
    return times


def evaluated(localizer: Localizer, options: argparse.Namespace) -> tuple[Evaluation, LoadFrames]:
    """Evaluate a bag or a recording, and print where images and truth came from; also what gives the bag's frames.

    Raises VlocError.
    """
    if options.occlude:
        raise ConfigError("--occlude is for data sets")
    if options.priors and (options.recorded or options.batch > 1):
        other = "a live run was searched" if options.recorded else "with --batch, images are searched"
        raise ConfigError(f"--priors: {other} otherwise")
    map_frame, times = _map_frame(options, localizer), _place_times(options, localizer)
    evaluate_part = _recording if options.recorded else _bag
    with bag_packages():
        if times is None:
            evaluation = evaluate_part(localizer, options, options.place, None)
        else:
            evaluation = evaluate_places(times, partial(evaluate_part, localizer, options))
    print(description(evaluation.source, map_frame))

    def load(names: Collection[str]) -> Iterable[Frame]:
        from vloc_ros.evaluation.evaluate_bag import frames_named

        wanted = bag_options(options, correction_of(options).offset_s)
        return frames_named(options.bag, wanted, map_frame, names) if options.bag else ()

    return evaluation, load


def _bag(
    localizer: Localizer, options: argparse.Namespace, place: str | None, is_there: Callable[[int], bool] | None
) -> Evaluation:
    """In a place; `is_there`: at which stamps, None for all."""
    from vloc_ros.evaluation.evaluate_bag import evaluate_bag

    correction = correction_of(options)
    wanted = replace(bag_options(options, correction.offset_s), place=place, only_at=is_there)
    with frame_bar() as advance:
        look_at = partial(warn_of_cameras, localizer)
        return evaluate_bag(localizer, options.bag, wanted, correction, advance, look_at, options.priors)


def _recording(
    localizer: Localizer, options: argparse.Namespace, place: str | None, is_there: Callable[[int], bool] | None
) -> Evaluation:
    """As `_bag`, of a live run."""
    from vloc_ros.bags.ground_truth import read_tum_ground_truth
    from vloc_ros.bags.reader import open_bag
    from vloc_ros.core.places import map_from_place
    from vloc_ros.datasets.bag_frames import bag_frames
    from vloc_ros.evaluation.alignment import corrected
    from vloc_ros.evaluation.evaluate_bag import in_place
    from vloc_ros.evaluation.recorded import evaluate_recording, read_recording

    recording, wanted = read_recording(options.recorded), bag_options(options, correction_of(options).offset_s)
    recording = recording.part(is_there) if is_there else recording
    views, manifest = localizer.landmark_map.views_of(place), localizer.landmark_map.manifest
    if options.bag:
        with open_bag(options.bag) as bag:
            truth = bag_frames(bag, wanted, manifest.frame_to_publish(place)).truth
    elif options.truth:
        truth = read_tum_ground_truth(Path(options.truth), wanted.truth)
    else:
        raise ConfigError("--recorded needs its truth: --truth FILE, or --bag BAG")
    truth = in_place(truth, manifest, place)
    if (map_from_this := map_from_place(manifest, place)) is not None:
        recording = recording.moved(invert(map_from_this))  # from the frame that the node published in
    evaluation = evaluate_recording(recording, truth.at, views, place if len(manifest.places) > 1 else None)
    evaluation = replace(evaluation, source={**evaluation.source, "truth": truth.to_json()})
    return corrected(evaluation, truth.at, correction_of(options), views)


def bag_options(options: argparse.Namespace, offset_s: float) -> BagOptions:
    """What the options of `add_bag` say. Raises ConfigError."""
    truth = GroundTruthOptions(options.truth, options.truth_frame, options.truth_gap, offset_s)
    camera = options.image_topic, options.camera_info_topic
    return BagOptions(
        *camera,
        options.rectified,
        truth,
        options.place,
        tuple(options.tf_topic),
        options.camera_frame,
        tuple(options.cameras),
        tuple(options.camera_frames),
        options.camera_tolerance,
        options.odom_frame,
        options.base_frame,
        options.odometry_topic,
    )


def correction_of(options: argparse.Namespace) -> "Correction":
    """What is to be done to the truth. Raises ConfigError."""
    from vloc_ros.evaluation.alignment import Correction

    offset_s, search = time_offset(options)
    return Correction(options.align, search, offset_s)


def description(source: Mapping[str, Any], map_frame: str) -> str:
    """`Evaluation.source` of a bag or a recording for people."""
    truth = source["truth"]
    faults = ", ".join(f"{truth[name]} {name.replace('_', ' ')}" for name in FAULTS if truth.get(name))
    tree = f" of {', '.join(truth['tf_topics'])}" if truth.get("tf_topics") else ""
    frame = f" in frame '{truth['frame']}'" if truth["frame"] not in ("", map_frame) else ""
    poses = f"{truth['poses']} poses" + (f" ({faults})" if faults else "")
    rows = [
        ("images", _images(source)),
        ("ground truth", f"{truth['source']}{tree}{frame}, {poses}"),
        ("skipped without truth", f"{source['skipped_without_truth']}"),
    ]
    if "places" in source:
        rows.append(("places", ", ".join(source["places"])))
    rows += [(name.replace("_", " "), f"{source[name]}") for name in SKIPPED if source.get(name)]
    if unpaired := source.get("skipped_without_pose"):
        rows.append(("skipped without pose", f"{unpaired}: announced, but not recorded"))
    if truth["time_offset_s"]:
        rows.append(("time offset", f"{truth['time_offset_s']:+.4f} s, as given"))
    if found := source.get("time_offset_search"):
        dropped = f"; dropped without truth there: {found['dropped']}" if found["dropped"] else ""
        rows.append(("time offset", f"{found['offset_s']:+.4f} s, searched: {_gain(found)}{dropped}"))
    if track := source.get("track"):
        noise = f"; its noise {track['noise_of_odometry']}" if track["odometry"] else ""
        rows.append(("track", f"odometry of {track['odometry']}{noise}" if track["odometry"] else "none: no odometry"))
    if aligned := source.get("alignment"):
        pose = " ".join(f"{value:.4f}" for value in aligned["map_from_truth"])
        fit = f"fitted to {aligned['frames']} accepted poses: {_gain(aligned)}"
        rows.append(("truth moved by", f"{pose} ({POSE_COLUMNS}), {fit}"))
    return "\n".join(f"{name:<25}{printable(value)}" for name, value in rows)


def _images(source: Mapping[str, Any]) -> str:
    if "recorded" in source:
        return f"{source['images']} of the live run {source['recorded']}"
    if rig := source.get("cameras_of_rig"):
        late = "".join(f", {camera['late']} of {camera['name']} too late" for camera in rig if camera["late"])
        images = ", ".join(f"{camera['images']} of {camera['image_topic']}" for camera in rig)
        between = source["odometry_between_cameras"]
        return f"{images}{late}; between their stamps: {f'frame {between!r}' if between else 'no odometry'}"
    infos = f"camera_info {source['camera_info_topic']}"
    changes = f" with {source['cameras']} calibrations" if source["cameras"] > 1 else ""
    return f"{source['images']} of {source['image_topic']}, {infos}{changes}"


def _gain(found: Mapping[str, Any]) -> str:
    before, after = (found[f"median_{when}_m"] for when in ("before", "after"))
    return f"median distance {'unknown' if before is None else f'{before * 100:.2f}'} -> {after * 100:.2f} cm"
