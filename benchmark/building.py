"""A building of many places against maps of each: the right place, recall, and costs that should not grow;
mapping and evaluating on two workers against one; adding a place.

python benchmark/building.py PART --rooms PATH --building DIR [--places 50]

PART is one of
    places    all test images of all places, asked of the map of their place alone and of the building in turn
    costs     start-up, resident memory and time of a query with 1, 10 and all places, each in a process of its own
    mapping   eight places mapped by one worker, and by two
    bags      all images of twenty places as bags, evaluated by one worker, and by two
    added     one more place mapped into the building, as a share of the work of mapping all

`vloc rooms --places 51 --out DIR` makes rooms, and `vloc map --dataset joined --workers 2` the building of the first
fifty, with its work directory beside it. PATH is that DIR, or any file that lists places as such a building.yaml does:
the first so many of them are the building's. What is made here lies in BUILDING.benchmark. One thread.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from in_turn import Answers, ask_in_turn, by_image, threads
from inputs import plain_parser
from results import MEDIAN, RECALLS, ROOT, Results

from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.drawn_rooms import CYCLE, place_plans
from vloc_ros.datasets.joined_places import ListedPlace, PlaceFrames, listed_places
from vloc_ros.files import write_text
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import load_localizer
from vloc_ros.maps.names import PLACES
from vloc_ros.training.building import put_together

ALONE, ALL = "the place alone", "the building"
SESSION = SessionOptions("onnxruntime", threads=1)
FEW, MAPPED, BAGS = 10, 8, 20  # places of the second building, and what is shared among workers
MOST = 200  # places that may be drawn ones
REPEATED = 3  # starts of each kind, in turn
DRAWN = "rooms and corridors drawn from a seed, 320x240 pixels, 80 training and 20 test images each"
DATA = f"Data: {DRAWN}"

# What a process measures of one map: places, and images of each; wall seconds count from when it was started.
PROBE = """
import json, sys, time
from pathlib import Path
import numpy as np
from vloc_ros.datasets.joined_places import open_joined
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import load_localizer
def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
began, directory, listed = sys.argv[1:]
places = open_joined(Path(listed), "test").places
images = [places[0].frame(index).image for index in range(20)]
localizer = load_localizer(directory, SessionOptions("onnxruntime", threads=1))
localizer.warm_up()
localizer.localize(images[0])
said = {"start_s": time.time() - float(began), "start_cpu_s": time.process_time()}
taken, cpu = [], time.process_time()
for image in images * 3:
    taken.append(localizer.localize(image).timings_ms["total"])
said |= {"query_ms": float(np.median(taken)), "query_cpu_ms": 1e3 * (time.process_time() - cpu) / len(taken)}
said["resident_mb"] = resident_mb()
for place in places[1:]:
    localizer.localize(place.frame(0).image)
said["toured_mb"] = resident_mb()
print(json.dumps(said))
"""


def main() -> None:
    parser = plain_parser(__doc__)
    parser.add_argument("part", choices=("places", "costs", "mapping", "bags", "added"))
    parser.add_argument("--rooms", type=Path, required=True, metavar="PATH")
    parser.add_argument("--building", type=Path, required=True, metavar="DIR")
    parser.add_argument("--places", type=int, default=50, metavar="COUNT")
    options = parser.parse_args()
    listed = options.rooms / "building.yaml" if options.rooms.is_dir() else options.rooms
    options.listed = listed_places(listed, "test")
    rooms = options.listed[: options.places]
    work = options.building.with_name(f"{options.building.name}.benchmark")
    work.mkdir(exist_ok=True)
    parts = {"places": places, "costs": costs, "mapping": mapping, "bags": bags, "added": added}
    parts[options.part](options, rooms, work).write(options.json)


def places(options: argparse.Namespace, rooms: Sequence[ListedPlace], work: Path) -> Results:
    columns = {
        "images of": "{which}",
        "asked": "{asked}",
        "images": "{frames}",
        "right place": "{right_percent:.1f} %",
        "median": MEDIAN,
        **RECALLS,
        "rejected; wrong accepted": "{rejected}; {wrong_accepted}",
        "recognition": "{recognition_p50_ms:.1f} ms",
        "image to pose, p50 / p90": "{total_p50_ms:.1f} / {total_p90_ms:.1f} ms",
    }
    results = Results(f"{data_of(rooms)}; {len(rooms)} places", columns)
    building = load_localizer(options.building, SESSION)
    found: dict[str, dict[str, Answers]] = {}
    with threads(1):
        for room in rooms:
            frames = frames_of(room)
            alone = load_localizer(options.building / PLACES / room.name, SESSION)
            found[room.name] = ask_in_turn({ALONE: by_image(alone), ALL: by_image(building)}, frames)
    for which, of_kind in kinds_of(rooms).items():
        for asked in (ALONE, ALL):
            answers = Answers.joined([found[name][asked] for name in of_kind])
            right = {"right_percent": 100 * answers.right_places} if asked == ALL else {}
            results.add(which=which, asked=asked, **answers.figures(), **right)
    return results


def frames_of(room: ListedPlace) -> PlaceFrames:
    """The test images of a place."""
    return PlaceFrames(open_dataset(room.dataset, room.root, "test", room.poses), room.name)


def kinds_of(rooms: Sequence[ListedPlace]) -> dict[str, list[str]]:
    """Names of places that are told of together."""
    drawn = {plan.name: k for k, plan in enumerate(place_plans(MOST))}
    kinds: dict[str, list[str]] = {}
    for room in rooms:
        k = drawn.get(room.name)
        if k is None:
            which = "rendered demo rooms" if room.dataset.startswith("synthetic") else "recorded places"
        else:
            which = "rooms that look alike" if k % CYCLE >= CYCLE - 2 else "other rooms and corridors"
        kinds.setdefault(which, []).append(room.name)
    return {**kinds, "all places": [room.name for room in rooms]}


def data_of(rooms: Sequence[ListedPlace]) -> str:
    """What images there are, for the results."""
    drawn = {plan.name for plan in place_plans(MOST)}
    others = [room.name for room in rooms if room.name not in drawn]
    return f"Data: {', '.join(others)}, and {DRAWN}" if others else DATA


def costs(options: argparse.Namespace, rooms: Sequence[ListedPlace], work: Path) -> Results:
    columns = {
        "places": "{places}",
        "start to first pose": "{start_s:.2f} s",
        "image to pose, median": "{query_ms:.1f} ms",
        "processor time of start and query": "{start_cpu_s:.2f} s, {query_cpu_ms:.1f} ms",
        "resident": "{resident_mb:.0f} MB",
        "after an image of each place": "{toured_mb:.0f} MB",
        "start, query, resident, against one place": "{start_ratio:.2f}, {query_ratio:.2f}, {resident_ratio:.2f}",
    }
    few = work / f"places{FEW}"
    few.mkdir(exist_ok=True)
    if not (few / PLACES).exists():
        (few / PLACES).symlink_to((options.building / PLACES).resolve())
    put_together(few, [room.name for room in rooms[:FEW]], "map")
    maps = {1: options.building / PLACES / rooms[0].name, FEW: few, len(rooms): options.building}
    said: dict[int, list[dict[str, float]]] = {count: [] for count in maps}
    for _ in range(REPEATED):
        for count, directory in maps.items():
            said[count].append(probed(directory, write_list(work / f"{count}.yaml", rooms[:count])))
    results = Results(f"{data_of(rooms)}; {REPEATED} processes of each, in turn; medians", columns)
    medians = {
        count: {key: float(np.median([one[key] for one in runs])) for key in runs[0]} for count, runs in said.items()
    }
    for count, found in medians.items():
        one = medians[1]
        ratios = {
            f"{name}_ratio": found[key] / one[key]
            for name, key in (("start", "start_s"), ("query", "query_ms"), ("resident", "resident_mb"))
        }
        results.add(places=count, **found, **(ratios if count > 1 else {}))
    return results


def probed(directory: Path, listed: Path) -> dict[str, float]:
    """What PROBE says of a map, whose first place is the first of the list."""
    command = [sys.executable, "-c", PROBE, str(time.time()), str(directory), str(listed)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    said = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    found: dict[str, float] = json.loads(said)
    return found


WORKERS = {
    "work": "{what}",
    "one worker": "{one_s:.0f} s",
    "two workers": "{two_s:.0f} s",
    "faster": "{ratio:.2f} times",
    "processor time": "{one_cpu_s:.0f} s, {two_cpu_s:.0f} s",
}


def mapping(options: argparse.Namespace, rooms: Sequence[ListedPlace], work: Path) -> Results:
    results, found = Results(data_of(rooms), WORKERS), []
    listed = write_list(work / "eight.yaml", rooms[:MAPPED])
    for workers in (1, 2):
        out = work / f"mapped{workers}"
        for leftover in (out, out.with_name(f"{out.name}.work")):
            shutil.rmtree(leftover, ignore_errors=True)
        found.append(vloc("map", "--dataset", "joined", "--root", listed, "--out", out, "--workers", workers))
    results.add(what=f"{MAPPED} places mapped", **compared(found))
    return results


def bags(options: argparse.Namespace, rooms: Sequence[ListedPlace], work: Path) -> Results:
    results, found = Results(data_of(rooms), WORKERS), []
    lines = []
    for room in rooms[:BAGS]:
        name = room.name
        if not (work / "bags" / name).exists():
            given = [("--root", room.root), ("--poses", room.poses)]
            where = [word for option, path in given if path is not None for word in (option, path)]
            vloc("bag", "--dataset", room.dataset, *where, "--split", "all", "--out", work / "bags" / name)
        lines.append(json.dumps({"name": name, "bag": f"bags/{name}", "map": str(options.building / PLACES / name)}))
    listed = work / "night.yaml"
    write_text(listed, "".join(f"- {line}\n" for line in lines))
    for workers in (1, 2):
        found.append(
            vloc("evaluate", "--map", options.building, "--bags", listed, "--threads", 1, "--workers", workers)
        )
    results.add(what=f"{BAGS} bags of 100 images evaluated", **compared(found))
    return results


def compared(found: Sequence[tuple[float, float]]) -> dict[str, float]:
    (one_s, one_cpu_s), (two_s, two_cpu_s) = found
    return {"one_s": one_s, "two_s": two_s, "ratio": one_s / two_s, "one_cpu_s": one_cpu_s, "two_cpu_s": two_cpu_s}


def added(options: argparse.Namespace, rooms: Sequence[ListedPlace], work: Path) -> Results:
    """The building is mapped again as it is, which costs what all places cost that have not changed, and then with the
    next place of the seed; that place is also mapped alone, which says what mapping costs."""
    columns = {
        "work": "{what}",
        "processor time": "{cpu_s:.0f} s",
        "share of mapping all": "{share_percent:.1f} %",
    }
    results = Results(f"{data_of(rooms)}; all: {len(rooms) + 1} times what the last place costs alone", columns)
    more, names = options.listed[: len(rooms) + 1], [room.name for room in rooms]
    before = map_files(options.building, names)
    alone = work / "alone"
    for leftover in (alone, alone.with_name("alone.work")):
        shutil.rmtree(leftover, ignore_errors=True)
    joined = ("map", "--dataset", "joined", "--workers", 1)
    one = write_list(work / "last.yaml", more[-1:])
    _, alone_s = vloc(*joined, "--root", one, "--out", alone)
    all_s = len(more) * alone_s
    for what, listed in (("nothing added", rooms), ("a place added", more)):
        _, cpu_s = vloc(*joined, "--root", write_list(work / "all.yaml", listed), "--out", options.building)
        results.add(what=f"{what}, {len(listed)} places", cpu_s=cpu_s, share_percent=100 * cpu_s / all_s)
    results.add(what="that place alone", cpu_s=alone_s, share_percent=100 * alone_s / all_s)
    if map_files(options.building, names) != before:
        raise SystemExit("the maps of the other places have changed")
    return results


def map_files(building: Path, names: Sequence[str]) -> dict[str, bytes]:
    return {name: (building / PLACES / name / "map.yaml").read_bytes() for name in names}


def write_list(path: Path, rooms: Sequence[ListedPlace]) -> Path:
    keys = ("name", "dataset", "root", "poses")
    values = [{key: str(vars(room)[key]) for key in keys if vars(room)[key] is not None} for room in rooms]
    write_text(path, "".join(f"- {json.dumps(each)}\n" for each in values))
    return path


def vloc(*arguments: object) -> tuple[float, float]:
    """Run a command; wall seconds and processor seconds of it and of its workers."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [sys.executable, "-m", "vloc_ros.cli", *map(str, arguments)]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - began, used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
