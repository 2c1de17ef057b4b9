"""Localizes the images of a bag and compares with its ground truth."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from vloc_ros.bags.ground_truth import GroundTruth
from vloc_ros.bags.options import BagOptions
from vloc_ros.bags.reader import Bag, open_bag
from vloc_ros.core.manifest import Manifest
from vloc_ros.core.places import map_from_place
from vloc_ros.datasets.bag_frames import BagFrames, bag_frames
from vloc_ros.datasets.types import Frame
from vloc_ros.errors import DatasetError
from vloc_ros.evaluation.alignment import Correction, corrected
from vloc_ros.evaluation.bag_odometry import find_odometry
from vloc_ros.evaluation.evaluate import Evaluation, evaluate_frames
from vloc_ros.evaluation.tracked import FrameTracker
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import invert
from vloc_ros.localizer import Localizer
from vloc_ros.progress import Advance, no_advance


def evaluate_bag(
    localizer: Localizer,
    path: Path,
    options: BagOptions,
    correction: Correction,
    progress: Advance = no_advance,
    look_at: Callable[[Iterable[Camera]], object] | None = None,
    priors: bool = False,
) -> Evaluation:
    """Localize every image that has ground truth; `progress(done, total)` with the skipped ones among the done, and
    before that, `look_at` the cameras. All poses of the result are in the place's own frame. Where the bag has
    odometry, a tracker follows; with `priors`, most images are searched near its track first, as on a robot. Of images
    at some stamps only, there is no track.

    `source` of the result says where images and truth came from, how many images were skipped, and what was done to the
    truth. Raises VlocError.
    """
    with open_bag(path) as bag:
        manifest = localizer.landmark_map.manifest
        frames = bag_frames(bag, options, manifest.frame_to_publish(options.place))
        frames.truth = in_place(frames.truth, manifest, options.place)
        if look_at:
            look_at(sensor.sent for sensor in frames.sensors)

        def count(done: int) -> None:
            progress(min(done + frames.left_out, len(frames)), len(frames))

        tracker, track = _tracker(bag, frames, options, localizer, priors)
        evaluation = evaluate_frames(localizer, frames, count, tracker=tracker)
    if tracker is not None:
        track["noise_of_odometry"] = tracker.noise
    views = localizer.landmark_map.views_of(options.place)
    source = {**frames.to_json(), "track": track}
    return corrected(replace(evaluation, source=source), frames.truth.at, correction, views)


def _tracker(
    bag: Bag, frames: BagFrames, options: BagOptions, localizer: Localizer, priors: bool
) -> tuple[FrameTracker | None, dict[str, Any]]:
    """A tracker where there is odometry, and what there is to say of it. Raises DatasetError where it was asked for and
    is not there."""
    if options.only_at is not None:
        return None, {}
    try:
        odometry = find_odometry(bag, frames.topics.image.name, frames.frame_id, options)
    except DatasetError as error:
        if priors or options.odometry_topic:
            raise
        return None, {"odometry": None, "why": str(error)}
    return FrameTracker(odometry, localizer, options.place, priors), {"odometry": odometry.source, "priors": priors}


def in_place(truth: GroundTruth, manifest: Manifest, place: str | None) -> GroundTruth:
    """The truth with poses in the frame of a place's coordinates. Poses that do not say that this is their frame are
    the robot's, and so in the frame that nodes publish in: another one, where the map was aligned to it."""
    map_from_this = map_from_place(manifest, place)
    if map_from_this is None or truth.frame_id == manifest.frame_of(place):
        return truth
    return replace(truth, moved=invert(map_from_this))


def frames_named(path: Path, options: BagOptions, map_frame: str, names: Collection[str]) -> Iterator[Frame]:
    """Some frames of a bag that was evaluated, to look at; their truth is as in the bag. Raises DatasetError."""
    with open_bag(path) as bag:
        yield from bag_frames(bag, options, map_frame).named(names)
