"""Localizes the images of a bag and compares with its ground truth."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from vloc_ros.bags.ground_truth import GroundTruth
from vloc_ros.bags.options import BagOptions
from vloc_ros.bags.reader import open_bag
from vloc_ros.core.manifest import Manifest
from vloc_ros.core.places import map_from_place
from vloc_ros.datasets.bag_frames import bag_frames
from vloc_ros.datasets.types import Frame
from vloc_ros.evaluation.alignment import Correction, corrected
from vloc_ros.evaluation.evaluate import Evaluation, evaluate_frames
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
) -> Evaluation:
    """Localize every image that has ground truth; `progress(done, total)` with the skipped ones among the done, and
    before that, `look_at` the cameras. All poses of the result are in the place's own frame.

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

        evaluation = evaluate_frames(localizer, frames, count)
    views = localizer.landmark_map.views_of(options.place)
    return corrected(replace(evaluation, source=frames.to_json()), frames.truth.at, correction, views)


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
