"""Localizes the images of a bag and compares with its ground truth."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from vloc_ros.bags.options import BagOptions
from vloc_ros.bags.reader import open_bag
from vloc_ros.datasets.bag_frames import bag_frames
from vloc_ros.datasets.types import Frame
from vloc_ros.evaluation.alignment import Correction, corrected
from vloc_ros.evaluation.evaluate import Evaluation, evaluate_frames
from vloc_ros.geometry.camera import Camera
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
    before that, `look_at` the cameras.

    `source` of the result says where images and truth came from, how many images were skipped, and what was done to the
    truth. Raises VlocError.
    """
    with open_bag(path) as bag:
        frames = bag_frames(bag, options, localizer.landmark_map.manifest.frame_of(options.place))

        if look_at:
            look_at(sensor.sent for sensor in frames.sensors)

        def count(done: int) -> None:
            progress(min(done + frames.left_out, len(frames)), len(frames))

        evaluation = evaluate_frames(localizer, frames, count)
    views = localizer.landmark_map.views_of(options.place)
    return corrected(replace(evaluation, source=frames.to_json()), frames.truth.at, correction, views)


def frames_named(path: Path, options: BagOptions, map_frame: str, names: Collection[str]) -> Iterator[Frame]:
    """Some frames of a bag that was evaluated, to look at; their truth is as in the bag. Raises DatasetError."""
    with open_bag(path) as bag:
        yield from bag_frames(bag, options, map_frame).named(names)
