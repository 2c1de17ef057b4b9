"""Which images of a building of drawn places get the wrong place, and why: by how much of an image a room that looks
alike would show otherwise.

python benchmark/building_failures.py --rooms DIR --building DIR [--places 50]

Rooms and building as in building.py. Of an image of a room that looks like another one, both rooms are rendered from
where it was taken, without noise: pixels of which a colour differs by more than 12 of 255 are all that could tell.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from in_turn import threads
from inputs import plain_parser
from results import Results

from vloc_ros.building import MOST_PLACES, BuildingLocalizer
from vloc_ros.cli.progress_bar import TerminalProgress
from vloc_ros.core.query import Query
from vloc_ros.core.types import PoseEstimate, Rejection, RejectionReason
from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.drawn_rooms import CYCLE, place_plans
from vloc_ros.datasets.synthetic_room import SyntheticRoom
from vloc_ros.datasets.types import Frame
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import load_localizer

DIFFERENT = 12  # of 255, of the colour that differs most
UP_TO = {  # pixels that differ
    "rooms that look alike, fewer than 20 pixels differ": 20,
    "20 to 199": 200,
    "200 to 1,999": 2000,
    "2,000 or more, of 76,800": 76_801,
}
OTHERS, ALL = "other rooms and corridors", "all"
COLUMNS = {
    "images of": "{which}",
    "images": "{images}",
    "right place": "{right_percent:.1f} %",
    "right place among those with most votes": "{offered_percent:.1f} %",
    "pose in the room that looks alike": "{twin}",
    "pose in another room": "{other}",
    "rejected as ambiguous; of these, the right place is named": "{ambiguous}; {ambiguous_right}",
    "rejected otherwise; of these, the right place is named": "{rejected}; {rejected_right}",
}


@dataclass(frozen=True)
class Asked:
    """An image and what the building said. `pixels` that differ in the room that looks alike, `twin`; None where there
    is no such room. `is_offered`: whether its place is one of those with most votes in one of the scales in which it
    may be looked at."""

    place: str
    twin: str | None
    pixels: int | None
    is_offered: bool
    said: PoseEstimate | Rejection

    @property
    def is_right(self) -> bool:
        return self.said.place == self.place

    @property
    def is_pose(self) -> bool:
        return isinstance(self.said, PoseEstimate)

    @property
    def is_ambiguous(self) -> bool:
        return isinstance(self.said, Rejection) and self.said.reason is RejectionReason.AMBIGUOUS_PLACE

    @property
    def kind(self) -> str:
        return OTHERS if self.pixels is None else next(name for name, most in UP_TO.items() if self.pixels < most)


def main() -> None:
    parser = plain_parser(__doc__)
    parser.add_argument("--rooms", type=Path, required=True, metavar="DIR")
    parser.add_argument("--building", type=Path, required=True, metavar="DIR")
    parser.add_argument("--places", type=int, default=50, metavar="COUNT")
    options = parser.parse_args()
    building = load_localizer(options.building, SessionOptions("onnxruntime", threads=1))
    assert isinstance(building, BuildingLocalizer)
    data = "rooms and corridors drawn from a seed, 320x240 pixels, 20 test images each"
    results = Results(f"Data: {data}; {options.places} places; {MOST_PLACES} with most votes", COLUMNS)
    with threads(1):
        asked = list(all_asked(building, options.rooms, options.places))
    for which in (*UP_TO, OTHERS, ALL):
        of_kind = [each for each in asked if which in (each.kind, ALL)]
        if of_kind:
            results.add(which=which, **figures(of_kind))
    results.write(options.json)


def all_asked(building: BuildingLocalizer, rooms: Path, count: int) -> Iterator[Asked]:
    plans = list(place_plans(count))
    with TerminalProgress().bar("places") as advance:
        for number, plan in enumerate(plans):
            twin = plans[number + 1] if number % CYCLE == CYCLE - 2 and number + 1 < count else None
            twin = plans[number - 1] if number % CYCLE == CYCLE - 1 else twin
            views = [SyntheticRoom(*each.build()) for each in (plan, twin) if each] if twin else []
            frames = open_dataset("folder", rooms / plan.name, "test")
            for index in range(len(frames)):
                frame = frames.frame(index)
                queries = [Query.of(frame.image).scaled(scale) for scale in building.method.scales]
                votes = [building.votes(building.observe(query)) for query in queries]
                offered = {name for each in votes for name in list(each)[:MOST_PLACES]}
                pixels = differing_pixels(views[0], views[1], frame) if twin else None
                said = building.localize(frame.image)
                yield Asked(plan.name, twin.name if twin else None, pixels, plan.name in offered, said)
            advance(number + 1, count)


def differing_pixels(one: SyntheticRoom, other: SyntheticRoom, frame: Frame) -> int:
    seen = [room.render(frame.image.camera, frame.map_from_camera)[0].astype(int) for room in (one, other)]
    return int((np.abs(seen[0] - seen[1]).max(axis=2) > DIFFERENT).sum())


def figures(asked: list[Asked]) -> Mapping[str, float]:
    wrong = [each for each in asked if each.is_pose and not each.is_right]
    ambiguous = [each for each in asked if each.is_ambiguous]
    rejected = [each for each in asked if not each.is_pose and not each.is_ambiguous]
    return {
        "images": len(asked),
        "right_percent": 100 * float(np.mean([each.is_right for each in asked])),
        "offered_percent": 100 * float(np.mean([each.is_offered for each in asked])),
        "twin": sum(each.said.place == each.twin for each in wrong),
        "other": sum(each.said.place != each.twin for each in wrong),
        "ambiguous": len(ambiguous),
        "ambiguous_right": sum(each.is_right for each in ambiguous),
        "rejected": len(rejected),
        "rejected_right": sum(each.is_right for each in rejected),
    }


if __name__ == "__main__":
    main()
