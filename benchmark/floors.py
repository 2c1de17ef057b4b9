"""Two floors and a lift between them: how often the wrong floor is published, and how soon the right one.

python benchmark/floors.py --map maps/demo_floors [--maps DIR DIR] [--changes 20] [--stay 15]

A robot drives in one rendered room, enters a lift, where it sees nothing and its odometry stands, and leaves it
somewhere in the other room. What the relocalizer does with an image is done here without ROS: localize, in another map
too where there are several, and follow the track. `--map` is one map of both rooms; `--maps` are one of each, called
ground and first. One thread.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from in_turn import threads
from inputs import plain_parser
from results import Results

from vloc_ros.core.places import in_map_frame
from vloc_ros.core.query import Query
from vloc_ros.core.types import PoseEstimate, Rejection
from vloc_ros.datasets.drive import Drive, plan_drive
from vloc_ros.datasets.floors import FLOORS, MAP_FROM_FLOOR, FloorsDrive, open_floors
from vloc_ros.datasets.types import Frame
from vloc_ros.evaluation.corruptions import corrupted_frame, noise_block
from vloc_ros.geometry.transforms import invert, moved_covariance, pose_vector
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import Localizer, open_localizer
from vloc_ros.maps import StoredMap, read_map
from vloc_ros.ros.map_search import MapSearch
from vloc_ros.ros.map_slot import MapSlot
from vloc_ros.tracking.pose_tracker import PoseTracker
from vloc_ros.tracking.status import RefusedError
from vloc_ros.tracking.track import Fix, FixPlace, TrackingOptions

COVERED = 0.7  # of height and width of the covered images
COLUMNS = {
    "maps": "{maps}",
    "images": "{images_are}",
    "changes": "{changes}",
    "noticed": "{noticed}",
    "images on a floor": "{images}",
    "fixes published": "{fixes}",
    "of the wrong floor": "{wrong}",
    "single poses of the wrong floor": "{single_wrong}",
    "images until the right floor is published, median / most": "{median_wait:.0f} / {most_wait}",
}
Localize: TypeAlias = Callable[[Query, bool], tuple[FixPlace, str, PoseEstimate | Rejection]]
Degrade: TypeAlias = Callable[[Frame, int], Frame]


@dataclass(frozen=True)
class Said:
    """Of one image: the floor that it shows, None in the lift; the floor of a pose, and of a fix; None without."""

    truth: str | None
    pose: str | None
    fix: str | None


def placed(localizer: Localizer, is_known: bool) -> Localizer:
    """Its places where they are in the building, or where nobody knows."""
    manifest = localizer.landmark_map.manifest
    poses = {floor: tuple(pose_vector(pose).tolist()) if is_known else None for floor, pose in MAP_FROM_FLOOR.items()}
    places = tuple(replace(place, map_from_place=poses[place.name]) for place in manifest.places)
    landmark_map = replace(localizer.landmark_map, manifest=replace(manifest, places=places))
    return replace(localizer, landmark_map=landmark_map)


def in_one_map(localizer: Localizer) -> Localize:
    """As a relocalizer with one map."""

    def localize(query: Query, in_doubt: bool) -> tuple[FixPlace, str, PoseEstimate | Rejection]:
        return described(localizer, localizer.localize(query), "")

    return localize


class InSeveralMaps:
    """As a relocalizer with several maps, all of them open."""

    def __init__(self, stored: Sequence[StoredMap], names: Sequence[str], options: SessionOptions) -> None:
        self._slot = MapSlot(lambda each, where: open_localizer(each, where, options), lambda *_: None)
        self._slot.open(stored[0], names[0], names[0])
        for each, name in zip(stored[1:], names[1:], strict=True):
            self._slot.add(each, name, name)
        self._search = MapSearch(self._slot, print)
        self._found: Localizer | None = None

    def __call__(self, query: Query, in_doubt: bool) -> tuple[FixPlace, str, PoseEstimate | Rejection]:
        current = self._slot.localizer
        assert current is not None
        self._found, result = self._search.localize(query, current, lambda each: each, in_doubt)
        return described(self._found, result, self._slot.name_of(self._found))

    def use(self) -> None:
        """The last one had a fix that is believed."""
        assert self._found is not None
        self._slot.use(self._found)


def described(
    localizer: Localizer, result: PoseEstimate | Rejection, map_name: str
) -> tuple[FixPlace, str, PoseEstimate | Rejection]:
    """The place, the frame and the result in it."""
    manifest = localizer.landmark_map.manifest
    if isinstance(result, Rejection):
        return FixPlace(""), "", result
    place = manifest.place_of(result.place)
    name = map_name or place.name
    seen = FixPlace(name, place.map_from_place is not None)
    return seen, manifest.frame_to_publish(result.place), in_map_frame(result, manifest)


def driven(localize: Localize, dataset: FloorsDrive, drive: Drive, degrade: Degrade) -> Iterator[Said]:
    """What is said of each image."""
    tracker, options, camera_from_base = PoseTracker(), TrackingOptions(), invert(drive.base_from_camera)
    for step in range(len(drive)):
        frame = degrade(made(dataset, step), step)
        stamp_ns = frame.image.stamp_ns + 1
        track = tracker.begin(stamp_ns)
        place, map_frame, result = localize(Query.of(frame.image), track.in_doubt)
        truth = None if dataset.steps[step].in_lift else dataset.place(step)
        if isinstance(result, Rejection):
            yield Said(truth, None, None)
            continue
        base = result.map_from_camera @ camera_from_base
        covariance = moved_covariance(result.covariance, base[:3, 3] - result.map_from_camera[:3, 3])
        fix = Fix(stamp_ns, base, drive.odom_from_base[step], map_frame, place, covariance=covariance)
        try:
            tracker.follow(track, fix, stamp_ns, options)
        except RefusedError:
            yield Said(truth, place.name, None)
            continue
        if isinstance(localize, InSeveralMaps):
            localize.use()
        yield Said(truth, place.name, place.name)


@cache
def made(dataset: FloorsDrive, step: int) -> Frame:
    """Rendered once for all."""
    return dataset.frame(step)


def covered(frame: Frame, step: int) -> Frame:
    """With a block of noise."""
    return corrupted_frame(frame, partial(noise_block, ratio=COVERED), step, 0)


def figures(said: Sequence[Said], stay: int, lift: int) -> dict[str, Any]:
    """Of all images of a drive."""
    waits = [waited(said[begin : begin + stay]) for begin in range(stay + lift, len(said), stay + lift)]
    seen = [each for each in waits if each is not None]
    return {
        "changes": len(waits),
        "noticed": len(seen),
        "images": sum(each.truth is not None for each in said),
        "fixes": sum(each.fix is not None for each in said),
        "wrong": sum(each.fix not in (None, each.truth) for each in said),
        "single_wrong": sum(each.pose not in (None, each.truth) for each in said),
        "median_wait": float(np.median(seen)) if seen else None,
        "most_wait": max(seen, default=None),
    }


def waited(said: Sequence[Said]) -> int | None:
    """Images on a floor until a fix there, that one included."""
    return next((count for count, each in enumerate(said, start=1) if each.fix == each.truth is not None), None)


def variants(options: argparse.Namespace) -> dict[str, Callable[[], Localize]]:
    """Each makes what a relocalizer is at its start."""
    sessions = SessionOptions(threads=1)
    both = open_localizer(read_map(options.map), str(options.map), sessions)
    found: dict[str, Callable[[], Localize]] = {
        "one, relation known": partial(in_one_map, placed(both, is_known=True)),
        "one, relation not known": partial(in_one_map, placed(both, is_known=False)),
    }
    if options.maps:
        stored = [read_map(path) for path in options.maps]
        found["two, relation not known"] = partial(InSeveralMaps, stored, FLOORS, sessions)
    return found


def main() -> None:
    parser = plain_parser(__doc__)
    parser.add_argument("--map", type=Path, required=True, help="of both rooms")
    parser.add_argument("--maps", type=Path, nargs=2, default=(), help="of each of them")
    parser.add_argument("--changes", type=int, default=20)
    parser.add_argument("--stay", type=int, default=15, help="images on a floor (default: %(default)s)")
    options = parser.parse_args()
    dataset = open_floors(options.changes, options.stay)
    drive = plan_drive(dataset, dataset.base_from_camera)
    lift = (len(dataset) - options.stay) // options.changes - options.stay
    results = Results(f"Data: two rendered rooms, {len(dataset)} images at 10 Hz, {lift} of each lift dark", COLUMNS)
    degrees: dict[str, Degrade] = {"as they are": lambda frame, step: frame, f"{COVERED:.0%} covered": covered}
    with threads(1):
        for maps, begun in variants(options).items():
            for images_are, degrade in degrees.items():
                said = list(driven(begun(), dataset, drive, degrade))
                results.add(maps=maps, images_are=images_are, **figures(said, options.stay, lift))
    results.write(options.json)


if __name__ == "__main__":
    main()
