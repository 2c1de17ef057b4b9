"""A building of many rendered places against maps of each: the right place, recall, and costs that should not grow;
mapping and evaluating on two workers against one; adding a place.

python benchmark/building.py PART --rooms DIR --building DIR [--places 50]

PART is one of
    places    all test images of all places, asked of the map of their place alone and of the building in turn
    costs     start-up, resident memory and time of a query with 1, 10 and all places, each in a process of its own
    mapping   eight places mapped by one worker, and by two
    bags      all images of twenty places as bags, evaluated by one worker, and by two
    added     one more place mapped into the building, as a share of the work of mapping all

`vloc rooms --places 51 --out DIR` makes the rooms, and `vloc map --dataset joined --workers 2` the building of the
first fifty, with its work directory beside it. What is made here lies in BUILDING.benchmark. One thread.
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
from vloc_ros.datasets.joined_places import PlaceFrames
from vloc_ros.files import write_text
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import load_localizer
from vloc_ros.maps.names import PLACES
from vloc_ros.training.building import put_together

ALONE, ALL = "the place alone", "the building"
SESSION = SessionOptions("onnxruntime", threads=1)
FEW, MAPPED, BAGS = 10, 8, 20  # places of the second building, and what is shared among workers
REPEATED = 3  # starts of each kind, in turn
DATA = "Data: rooms and corridors drawn from a seed, 320x240 pixels, 80 training and 20 test images each"

# What a process measures of one map: places, and images of each; wall seconds count from when it was started.
PROBE = """
import json, sys, time
from pathlib import Path
import numpy as np
from vloc_ros.datasets import open_dataset
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import load_localizer
def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
began, directory, *rooms = sys.argv[1:]
frames = open_dataset("folder", Path(rooms[0]), "test")
images = [frames.frame(index).image for index in range(len(frames))]
localizer = load_localizer(directory, SessionOptions("onnxruntime", threads=1))
localizer.warm_up()
localizer.localize(images[0])
said = {"start_s": time.time() - float(began), "start_cpu_s": time.process_time()}
taken, cpu = [], time.process_time()
for image in images * 3:
    taken.append(localizer.localize(image).timings_ms["total"])
said |= {"query_ms": float(np.median(taken)), "query_cpu_ms": 1e3 * (time.process_time() - cpu) / len(taken)}
said["resident_mb"] = resident_mb()
for room in rooms[1:]:
    localizer.localize(open_dataset("folder", Path(room), "test").frame(0).image)
said["toured_mb"] = resident_mb()
print(json.dumps(said))
"""


def main() -> None:
    parser = plain_parser(__doc__)
    parser.add_argument("part", choices=("places", "costs", "mapping", "bags", "added"))
    parser.add_argument("--rooms", type=Path, required=True, metavar="DIR")
    parser.add_argument("--building", type=Path, required=True, metavar="DIR")
    parser.add_argument("--places", type=int, default=50, metavar="COUNT")
    options = parser.parse_args()
    names = [plan.name for plan in place_plans(options.places)]
    work = options.building.with_name(f"{options.building.name}.benchmark")
    work.mkdir(exist_ok=True)
    parts = {"places": places, "costs": costs, "mapping": mapping, "bags": bags, "added": added}
    parts[options.part](options, names, work).write(options.json)


def places(options: argparse.Namespace, names: Sequence[str], work: Path) -> Results:
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
    results = Results(f"{DATA}; {len(names)} places", columns)
    building = load_localizer(options.building, SESSION)
    found: dict[str, dict[str, Answers]] = {}
    with threads(1):
        for name in names:
            frames = PlaceFrames(open_dataset("folder", options.rooms / name, "test"), name)
            alone = load_localizer(options.building / PLACES / name, SESSION)
            found[name] = ask_in_turn({ALONE: by_image(alone), ALL: by_image(building)}, frames)
    kinds = {
        "rooms that look alike": [n for k, n in enumerate(names) if k % CYCLE >= CYCLE - 2],
        "other rooms and corridors": [n for k, n in enumerate(names) if k % CYCLE < CYCLE - 2],
        "all places": list(names),
    }
    for which, of_kind in kinds.items():
        for asked in (ALONE, ALL):
            answers = Answers.joined([found[name][asked] for name in of_kind])
            right = {"right_percent": 100 * answers.right_places} if asked == ALL else {}
            results.add(which=which, asked=asked, **answers.figures(), **right)
    return results


def costs(options: argparse.Namespace, names: Sequence[str], work: Path) -> Results:
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
    put_together(few, names[:FEW], "map")
    maps = {1: options.building / PLACES / names[0], FEW: few, len(names): options.building}
    said: dict[int, list[dict[str, float]]] = {count: [] for count in maps}
    for _ in range(REPEATED):
        for count, directory in maps.items():
            said[count].append(probed(directory, [options.rooms / name for name in names[:count]]))
    results = Results(f"{DATA}; {REPEATED} processes of each, in turn; medians", columns)
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


def probed(directory: Path, rooms: Sequence[Path]) -> dict[str, float]:
    """What PROBE says of a map, whose first place is the first of the rooms."""
    command = [sys.executable, "-c", PROBE, str(time.time()), str(directory), *map(str, rooms)]
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


def mapping(options: argparse.Namespace, names: Sequence[str], work: Path) -> Results:
    results, found = Results(DATA, WORKERS), []
    listed = write_list(work / "eight.yaml", options.rooms, names[:MAPPED])
    for workers in (1, 2):
        out = work / f"mapped{workers}"
        for leftover in (out, out.with_name(f"{out.name}.work")):
            shutil.rmtree(leftover, ignore_errors=True)
        found.append(vloc("map", "--dataset", "joined", "--root", listed, "--out", out, "--workers", workers))
    results.add(what=f"{MAPPED} places mapped", **compared(found))
    return results


def bags(options: argparse.Namespace, names: Sequence[str], work: Path) -> Results:
    results, found = Results(DATA, WORKERS), []
    lines = []
    for name in names[:BAGS]:
        if not (work / "bags" / name).exists():
            root = options.rooms / name
            vloc("bag", "--dataset", "folder", "--root", root, "--split", "all", "--out", work / "bags" / name)
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


def added(options: argparse.Namespace, names: Sequence[str], work: Path) -> Results:
    """The building is mapped again as it is, which costs what all places cost that have not changed, and then with the
    next place of the seed; that place is also mapped alone, which says what mapping costs."""
    columns = {
        "work": "{what}",
        "processor time": "{cpu_s:.0f} s",
        "share of mapping all": "{share_percent:.1f} %",
    }
    results = Results(f"{DATA}; all: {len(names) + 1} times what the last place costs alone", columns)
    more = [plan.name for plan in place_plans(len(names) + 1)]
    before = map_files(options.building, names)
    alone = work / "alone"
    for leftover in (alone, alone.with_name("alone.work")):
        shutil.rmtree(leftover, ignore_errors=True)
    joined = ("map", "--dataset", "joined", "--workers", 1)
    one = write_list(work / "last.yaml", options.rooms, more[-1:])
    _, alone_s = vloc(*joined, "--root", one, "--out", alone)
    all_s = len(more) * alone_s
    for what, listed in (("nothing added", names), ("a place added", more)):
        _, cpu_s = vloc(
            *joined, "--root", write_list(work / "all.yaml", options.rooms, listed), "--out", options.building
        )
        results.add(what=f"{what}, {len(listed)} places", cpu_s=cpu_s, share_percent=100 * cpu_s / all_s)
    results.add(what="that place alone", cpu_s=alone_s, share_percent=100 * alone_s / all_s)
    if map_files(options.building, names) != before:
        raise SystemExit("the maps of the other places have changed")
    return results


def map_files(building: Path, names: Sequence[str]) -> dict[str, bytes]:
    return {name: (building / PLACES / name / "map.yaml").read_bytes() for name in names}


def write_list(path: Path, rooms: Path, names: Sequence[str]) -> Path:
    lines = [json.dumps({"name": name, "dataset": "folder", "root": str(rooms / name)}) for name in names]
    write_text(path, "".join(f"- {line}\n" for line in lines))
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
