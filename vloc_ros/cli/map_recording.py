"""Options of `vloc map --dataset bag`: which camera of the bag, where its depth and its poses are."""

import argparse
from pathlib import Path

from vloc_ros.bags.depth_topics import NO_DEPTH, DepthOptions
from vloc_ros.bags.options import BagOptions, GroundTruthOptions
from vloc_ros.cli.options import SEARCH, add_bag_camera, add_camera_frames, time_offset
from vloc_ros.datasets.bag_recording import KEYFRAMES, RecordingOptions
from vloc_ros.datasets.dataset_files import read_matrix
from vloc_ros.errors import ConfigError


def add_recording(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("bags", "for --dataset bag, whose --root is a bag")
    add_bag_camera(group)
    group.add_argument(
        "--cameras", nargs="+", default=[], metavar="NAME",
        help="make the map from the images of several cameras, each named by the topic of its images or the namespace "
        "of that; --poses are of the first, TF says where the others are",
    )  # fmt: skip
    add_camera_frames(group)
    group.add_argument(
        "--depth-topic", nargs="+", default=[], metavar=f"TOPIC|{NO_DEPTH}",
        help="the camera's depth, or that of each of --cameras (default: the only one that can be meant)",
    )  # fmt: skip
    group.add_argument(
        "--depth-info-topic", default="", metavar="TOPIC", help="its camera_info (default: the one beside it)"
    )
    group.add_argument(
        "--stereo-topics", nargs=2, default=("", ""), metavar=("LEFT", "RIGHT"),
        help="images of a stereo pair, where there is no depth camera: LEFT is what --image-topic would be, depth is "
        "computed with RIGHT; where the two are to each other, P and R of their camera_infos say, or TF",
    )  # fmt: skip
    group.add_argument(
        "--stereo-info-topic", default="", metavar="TOPIC", help="the camera_info of RIGHT (default: the one beside it)"
    )
    group.add_argument(
        "--depth-to-color", type=Path, metavar="FILE",
        help="4x4 matrix from the depth camera to the colour camera, metres (default: from /tf_static)",
    )  # fmt: skip
    group.add_argument(
        "--depth-gap", type=float, default=DepthOptions.max_gap_s, metavar="SECONDS",
        help="how far in time depth may be from its image (default: %(default)g)",
    )  # fmt: skip
    group.add_argument(
        "--poses-frame", default="", metavar="FRAME",
        help="the frame whose poses --poses are, which /tf_static connects with the camera's (default: as the messages "
        "say, or the camera's)",
    )  # fmt: skip
    group.add_argument(
        "--poses-gap", type=float, default=GroundTruthOptions.max_gap_s, metavar="SECONDS",
        help="interpolate poses no longer (default: %(default)g)",
    )  # fmt: skip
    group.add_argument(
        "--time-offset", default="0", metavar=f"SECONDS|{SEARCH}",
        help="the poses' clock minus the images' (default: 0, and a warning if images contradict); or search within a "
        "second",
    )  # fmt: skip
    group.add_argument(
        "--keyframes", type=int, default=KEYFRAMES, metavar="COUNT",
        help="images that the map is made from, at most: sharp ones, spread over the way (default: %(default)s)",
    )  # fmt: skip


def recording_options(options: argparse.Namespace) -> RecordingOptions:
    """Raises VlocError."""
    offset_s, search = time_offset(options)
    poses = GroundTruthOptions(options.poses or "", options.poses_frame, options.poses_gap, offset_s, option="--poses")
    left, right = options.stereo_topics
    if left and options.image_topic:
        raise ConfigError(
            f"--stereo-topics {left} and --image-topic {options.image_topic}: the map's images are of one"
        )
    camera = options.image_topic or left, options.camera_info_topic
    cameras = tuple(options.cameras), tuple(options.camera_frames)
    bag = BagOptions(*camera, options.rectified, poses, None, tuple(options.tf_topic), options.camera_frame, *cameras)
    pose = None if options.depth_to_color is None else read_matrix(options.depth_to_color)
    info = options.stereo_info_topic if right else options.depth_info_topic
    topics = tuple(options.depth_topic)
    if len(topics) > 1 and not cameras[0]:
        raise ConfigError(f"--depth-topic {' '.join(topics)}: several are of --cameras, one of each")
    one = topics[0] if topics and (not cameras[0] or topics == (NO_DEPTH,)) else ""
    depth = DepthOptions(one, info, pose, options.depth_gap, right)
    return RecordingOptions(bag, depth, options.keyframes, search, () if one else topics)
