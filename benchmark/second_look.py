"""What it is worth, and what it costs, to look at a rejected image again in a smaller scale: the test images of each
place of a building, asked of the place's own map, in the first scale alone and in all, in turn.

python benchmark/second_look.py --rooms PATH --building DIR [--places 50]

Rooms and building as in building.py. Each map is also asked of the images of another place of the list, FURTHER places
on, of which every accepted one is wrong. One thread.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from building import SESSION, data_of, frames_of, kinds_of
from in_turn import Answers, Localize, ask_in_turn, by_image, threads
from inputs import plain_parser
from results import MEDIAN, RECALLS, Results

from vloc_ros.datasets.joined_places import ListedPlace, listed_places
from vloc_ros.localizer import Localizer, load_localizer
from vloc_ros.maps.names import PLACES
from vloc_ros.methods.pram.method import PRAMMethod

FURTHER = 7  # not the room that looks alike
ONCE, AGAIN = "once", "again, smaller, where it gave no pose"

COLUMNS = {
    "images of": "{which}",
    "looked at": "{looks}",
    "images": "{frames}",
    "median": MEDIAN,
    **RECALLS,
    "rejected": "{rejected}",
    "wrong accepted": "{wrong_accepted}",
    "image to pose, p50 / p90": "{total_p50_ms:.1f} / {total_p90_ms:.1f} ms",
}
OTHER = "another place"


def main() -> None:
    parser = plain_parser(__doc__)
    parser.add_argument("--rooms", type=Path, required=True, metavar="PATH")
    parser.add_argument("--building", type=Path, required=True, metavar="DIR")
    parser.add_argument("--places", type=int, default=50, metavar="COUNT")
    options = parser.parse_args()
    listed = options.rooms / "building.yaml" if options.rooms.is_dir() else options.rooms
    rooms = listed_places(listed, "test")[: options.places]
    with threads(1):
        found = [asked(options.building, rooms, index) for index in range(len(rooms))]
    results = Results(f"{data_of(rooms)}; the maps of {len(rooms)} places, each alone", COLUMNS)
    names = [room.name for room in rooms]
    for which, of_kind in kinds_of(rooms).items():
        for looks in (ONCE, AGAIN):
            answers = Answers.joined([found[names.index(name)][0][looks] for name in of_kind])
            results.add(which=which, looks=looks, **answers.figures())
    for looks in (ONCE, AGAIN):
        figures = Answers.joined([others[looks] for _, others in found]).figures()
        accepted = figures["frames"] - figures["rejected"]
        said = {name: figures[name] for name in ("frames", "rejected", "total_p50_ms", "total_p90_ms")}
        results.add(which=OTHER, looks=looks, **said, wrong_accepted=accepted)
    results.write(options.json)


def asked(building: Path, rooms: Sequence[ListedPlace], index: int) -> tuple[dict[str, Answers], dict[str, Answers]]:
    """What the map of a place says of its own images, and of another place's."""
    localizer = load_localizer(building / PLACES / rooms[index].name, SESSION)
    localizers = {ONCE: looking_once(localizer), AGAIN: by_image(localizer)}
    own, other = (frames_of(rooms[number % len(rooms)]) for number in (index, index + FURTHER))
    return ask_in_turn(localizers, own), ask_in_turn(localizers, other)


def looking_once(localizer: Localizer) -> Localize:
    method = localizer.method
    assert isinstance(method, PRAMMethod)
    return by_image(replace(localizer, method=replace(method, scales=method.scales[:1])))


if __name__ == "__main__":
    main()
