"""What a second camera is worth: rendered drives of a robot, localized with one camera, with two, and with one covered.

OMP_NUM_THREADS=1 python benchmark/rigs.py --maps ROOM_MAP OFFICE_MAP

The maps are of synthetic_room and synthetic_office (`vloc map --dataset synthetic_room --out ROOM_MAP ...`). Drives are
loops of a ground robot that looks where it goes, on paths of their own, which no mapping image was taken on. A covered
camera gives a dark image with the noise of a sensor; of one that is covered by 70 %, a block of noise hides as much. A
frame counts as localized if its pose is accepted and within 25 cm and 5 deg of the truth.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from results import Results, add_json

from vloc_ros.core.query import Query, View
from vloc_ros.core.types import PoseEstimate
from vloc_ros.datasets import Frame
from vloc_ros.datasets.synthetic_room import FRAME_INTERVAL_NS, FRONT, RoomFrames
from vloc_ros.evaluation import corruptions
from vloc_ros.geometry.pose_error import NOT_WRONG_POSE, RIGHT_POSE, pose_error
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import Localizer, load_localizer
from vloc_ros.synthetic.living_room import LIVING_ROOM
from vloc_ros.synthetic.office import OFFICE
from vloc_ros.synthetic.plan import RoomPlan

PLANS = {plan.name: plan for plan in (LIVING_ROOM, OFFICE)}
MOSTLY_COVERED = partial(corruptions.noise_block, ratio=0.7**0.5)  # of height and width
COLUMNS = {
    "cameras": "{cameras}",
    "frames": "{frames}",
    "median error": "{median_cm:.2f} cm, {median_deg:.3f} deg",
    "p95": "{p95_cm:.2f} cm",
    "over the front camera alone": "{ratio:.2f}",
    "localized": "{localized_percent:.1f} %",
    "within 5 cm and 5 deg": "{right_percent:.1f} %",
    "wrong accepted": "{wrong}",
    "image to pose": "{ms:.0f} ms",
}


def drives(plan: RoomPlan, count: int, steps: int) -> Iterator[RoomFrames]:
    """Drives of so many steps each: around the same middle as the plan's, smaller or larger, both ways, straying."""
    rng = np.random.default_rng(3)
    for number in range(count):
        scale, heading = rng.uniform(0.6, 1.0), 180.0 * (number % 2)
        radii = (plan.drive.radii[0] * scale, plan.drive.radii[1] * scale)
        height = float(rng.uniform(0.6, 0.95))
        loop = replace(plan.drive, radii=radii, height=height, gaze=heading, stray=float(rng.uniform(0, 1)), shake=0.3)
        names = tuple(f"drive_{number}/{step:04d}" for step in range(steps))
        stamps = tuple(step * FRAME_INTERVAL_NS for step in range(steps))
        yield RoomFrames(plan, names, loop.poses(steps, start=float(rng.uniform(0, 2 * np.pi))), stamps)


def covered(view: View, seed: int) -> View:
    """What a camera gives that somebody has put a hand on."""
    return degraded(view, corruptions.covered, seed)


def degraded(view: View, degrade: corruptions.Degradation, seed: int) -> View:
    """The view with its image degraded, the same way for the same seed."""
    return replace(view, image=replace(view.image, rgb=degrade(view.image.rgb, np.random.default_rng(seed))))


def asked(frame: Frame, second: str, number: int) -> dict[str, Query]:
    """What is asked of a frame of two cameras, by what stands in the table."""
    front, other = frame.query.views
    hidden = (degraded(front, MOSTLY_COVERED, number), degraded(other, MOSTLY_COVERED, 10_000 + number))
    views: dict[str, tuple[View, ...]] = {
        "front alone": (front,),
        f"{second} alone": (other,),
        f"front and {second}": (front, other),
        f"front covered, {second}": (covered(front, number), other),
        f"front, {second} covered": (front, covered(other, number)),
        "front alone, 70 % covered": hidden[:1],
        f"front and {second}, both 70 % covered": hidden,
    }
    return {name: Query(some, frame.image.stamp_ns) for name, some in views.items()}


def figures(localizer: Localizer, frames: Sequence[Frame], queries: Sequence[Query]) -> dict[str, Any]:
    """Of poses of the front camera; a frame without a pose counts as infinitely wrong."""
    errors, times = [], []
    for frame, query in zip(frames, queries, strict=True):
        result = localizer.localize(query)
        times.append(result.timings_ms["total"])
        pose = result.map_from_camera if isinstance(result, PoseEstimate) else None
        errors.append(None if pose is None else pose_error(pose, frame.map_from_camera))
    metres = [error.translation_m if error else np.inf for error in errors]
    return {
        "frames": len(frames),
        "median_cm": round(100 * float(np.median(metres)), 4),
        "median_deg": round(float(np.median([np.degrees(e.rotation_rad) if e else np.inf for e in errors])), 4),
        "p95_cm": p95
        if np.isfinite(p95 := round(100 * float(np.quantile(metres, 0.95, method="higher")), 3))
        else None,
        "localized_percent": 100 * float(np.mean([bool(e and e.within(NOT_WRONG_POSE)) for e in errors])),
        "right_percent": 100 * float(np.mean([bool(e and e.within(RIGHT_POSE)) for e in errors])),
        "wrong": sum(bool(e and not e.within(NOT_WRONG_POSE)) for e in errors),
        "ms": round(float(np.median(times)), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", type=Path, nargs=len(PLANS), required=True, metavar="DIR", help="of the two rooms")
    parser.add_argument("--second", nargs="+", default=["left", "rear"], metavar="NAME", help="second cameras")
    parser.add_argument("--drives", type=int, default=6, help="in each room (default: %(default)d)")
    parser.add_argument("--steps", type=int, default=25, help="of each drive (default: %(default)d)")
    add_json(parser)
    options = parser.parse_args()
    data = f"Data: {options.drives} drives of {options.steps} steps in each of {', '.join(PLANS)}, 640x480, one thread"
    results = Results(data, {"room": "{room}", **COLUMNS})
    for plan, path in zip(PLANS.values(), options.maps, strict=True):
        localizer = load_localizer(path, SessionOptions("onnxruntime", threads=1))
        localizer.warm_up()
        for second in options.second:
            rows = measured(localizer, plan, second, options.drives, options.steps)
            for name, row in rows.items():
                if second == options.second[0] or second in name:  # what is of the front camera alone is there already
                    results.add(room=plan.name, cameras=name, **row)
    results.write(options.json)


def measured(localizer: Localizer, plan: RoomPlan, second: str, count: int, steps: int) -> dict[str, dict[str, Any]]:
    """A row for each way to ask, over all drives of a room."""
    rigs = [drive.with_cameras((FRONT, second)) for drive in drives(plan, count, steps)]
    frames = [rig.frame(index) for rig in rigs for index in range(len(rig))]
    queries = [asked(frame, second, number) for number, frame in enumerate(frames)]
    found = {name: figures(localizer, frames, [each[name] for each in queries]) for name in queries[0]}
    alone = found[f"{FRONT} alone"]["median_cm"]
    return {name: {**row, "ratio": row["median_cm"] / alone} for name, row in found.items()}


if __name__ == "__main__":
    main()
