"""One map of several places beside maps of each: the right place, the recall that is lost, and time.

python benchmark/joined_maps.py --places FILE --workdir DIR [--split train --asked test] [--images 100] [--minutes 5]

FILE lists the places (docs/datasets.md). First `vloc map` makes DIR/joined, with recognition, and DIR/NAME of each
place, with none; a map that is there already is taken as it is, and an interrupted run goes on. Then all are asked of
the same frames in turn, each place's own map first of all; the joined map also without its recognizer. One thread.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from in_turn import Answers, Localize, ask_in_turn, by_image, some_of, threads
from inputs import plain_parser
from results import MEDIAN, RECALLS, Results

from vloc_ros.cli import main as vloc
from vloc_ros.datasets.joined_places import open_joined
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import load_localizer
from vloc_ros.maps.names import MANIFEST_FILE
from vloc_ros.methods.pram.method import RECOGNIZER

JOINED = "joined"
ALONE, ALL, UNRECOGNISED = "this place", "all places", "all places, no recognition"

COLUMNS = {
    "place": "{place}",
    "map of": "{map}",
    "images": "{frames}",
    "right place": "{right_place_percent:.1f} %",
    "median": MEDIAN,
    **RECALLS,
    "lost within 5 cm and 5 deg": "{lost_percent:.1f} %",
    "rejected; wrong accepted": "{rejected}; {wrong_accepted}",
    "network": "{network_p50_ms:.1f} ms",
    "matching": "{matching_p50_ms:.1f} ms",
    "image to pose, p50 / p90": "{total_p50_ms:.1f} / {total_p90_ms:.1f} ms",
    "time over one place": "{time_ratio:.2f}",
}


def main() -> None:
    parser = plain_parser(__doc__)
    parser.add_argument("--places", type=Path, required=True, metavar="FILE")
    parser.add_argument("--workdir", type=Path, required=True, help="where the maps are, or are made")
    parser.add_argument("--split", default="train", help="to make maps from (default: %(default)s)")
    parser.add_argument("--asked", default="test", help="split of the images (default: %(default)s)")
    parser.add_argument("--images", type=int, default=100, help="of a place, at most (default: %(default)s)")
    parser.add_argument("--minutes", type=float, help="of training the recognizer (default: that of `vloc map`)")
    options = parser.parse_args()
    minutes = [] if options.minutes is None else ["--minutes", str(options.minutes)]
    sources = ["--dataset", "joined", "--root", str(options.places), "--split", options.split]
    made(options.workdir / JOINED, [*sources, "--recognition", "trained", *minutes])
    for name, source in sources_of(options.places):
        made(options.workdir / name, [*source, "--split", options.split, "--recognition", "none"])
    results = Results(f"Data: split {options.asked} of {options.places.name}; maps of split {options.split}", COLUMNS)
    with threads(1):
        by_place = dict(answers_by_place(options))
        for name, answers in {**by_place, "all": together(list(by_place.values()))}.items():
            figures = {kind: answer.figures() for kind, answer in answers.items()}
            for kind, own in figures.items():
                right = {} if kind == ALONE else {"right_place_percent": 100 * answers[kind].right_places}
                results.add(place=name, map=kind, **own, **right, **beside(own, figures[ALONE]))
    results.write(options.json)


def made(out: Path, arguments: Sequence[str]) -> None:
    """`vloc map` with these arguments, unless there is the map."""
    if (out / MANIFEST_FILE).exists():
        print(f"{out}: taken as it is", file=sys.stderr)
    elif code := vloc(["map", "--method", "pram", *arguments, "--out", str(out)]):
        sys.exit(code)


def sources_of(path: Path) -> Iterator[tuple[str, list[str]]]:
    """What `vloc map` is told to read of each place that a file lists."""
    for place in yaml.safe_load(path.read_text()):
        paths = {key: str(path.parent / place[key]) for key in ("root", "poses") if key in place}
        yield (
            place["name"],
            ["--dataset", place["dataset"], *(text for key in paths for text in (f"--{key}", paths[key]))],
        )


def answers_by_place(options: Any) -> Iterator[tuple[str, dict[str, Answers]]]:
    """Of the frames of each place by the three ways that they are asked about."""
    session = SessionOptions("onnxruntime", threads=1)
    joined = load_localizer(options.workdir / JOINED, session)
    unrecognised = {role: each for role, each in joined.sessions.items() if role != RECOGNIZER}
    for place in open_joined(options.places, options.asked).places:
        asked: dict[str, Localize] = {
            ALONE: by_image(load_localizer(options.workdir / place.label, session)),
            ALL: by_image(joined),
            UNRECOGNISED: by_image(replace(joined, sessions=unrecognised)),
        }
        yield place.label, ask_in_turn(asked, some_of(place, options.images))


def together(parts: Sequence[Mapping[str, Answers]]) -> dict[str, Answers]:
    """Those of all places."""
    return {kind: Answers.joined([part[kind] for part in parts]) for kind in (ALONE, ALL, UNRECOGNISED)}


def beside(own: Mapping[str, Any], alone: Mapping[str, Any]) -> dict[str, float]:
    """What is lost against the maps of single places, in points of per cent, and the ratio of median times."""
    if own is alone:
        return {}
    recall = "recall_5cm_5deg_percent"
    return {"lost_percent": alone[recall] - own[recall], "time_ratio": own["total_p50_ms"] / alone["total_p50_ms"]}


if __name__ == "__main__":
    main()
