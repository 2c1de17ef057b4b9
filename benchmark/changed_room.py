"""Whether an update finds what was taken away, and nothing else: the rendered room with and without some furniture.

python benchmark/changed_room.py [--features xfeat] [--every 8] [--json FILE]

Two recordings of every so many training frames of the synthetic room, midway between each other, are reconstructed
together, with exact poses. In the second one nothing has changed, or all furniture of the east side, the dining table
and its chairs are gone. A point is of these if the room without them is seen behind it.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from inputs import plain_parser
from numpy.typing import NDArray
from results import Results

from vloc_ros.cli.progress_bar import TerminalProgress
from vloc_ros.core.feature_spec import MAX_KEY_POINTS
from vloc_ros.datasets.recordings import AlignedFrames, RecordingList, Recordings, RecordingSource, numbers_of
from vloc_ros.datasets.synthetic_room import CAMERA, RoomFrames, open_synthetic_room, synthetic_room
from vloc_ros.mapping.changes import Changes, PointState, find_changes
from vloc_ros.mapping.depth_calibration import DepthCorrection
from vloc_ros.mapping.frame_features import read_frame_features
from vloc_ros.mapping.reconstruct import reconstruct
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.synthetic.living_room import LIVING_ROOM
from vloc_ros.training.features.extraction import extract_features
from vloc_ros.training.features.opening import open_extractor

EMPTIER = replace(LIVING_ROOM, furnish=LIVING_ROOM.furnish[:-2])  # the last ones: the east side, the middle
BEHIND_M = 0.1
LAST = (CAMERA.width - 1, CAMERA.height - 1)  # pixel
COLUMNS = {
    "second recording": "{what}",
    "points of the first": "{points:,}",
    "of what was taken away": "{taken:,}",
    "retired of these": "{found:.0%}",
    "retired of the others": "{false_alarms:.2%}",
}


def main() -> None:
    parser = plain_parser(__doc__)
    parser.add_argument("--features", default="xfeat")
    parser.add_argument("--every", type=int, default=8)
    options = parser.parse_args()
    results = Results(f"Data: synthetic room, each {options.every}th training frame twice; {options.features}", COLUMNS)
    frames = open_synthetic_room(None, "train")
    for what, plan in (
        ("nothing has changed", LIVING_ROOM),
        ("furniture of the east side and table are gone", EMPTIER),
    ):
        first = some(frames, slice(0, None, options.every))
        second = replace(some(frames, slice(options.every // 2, None, options.every)), plan=plan)
        shape, changes = compared(first, second, options.features)
        results.add(what=what, **figures(first, shape, changes))
    results.write(options.json)


def some(frames: RoomFrames, rows: slice) -> RoomFrames:
    return replace(frames, names=frames.names[rows], poses=frames.poses[rows], stamps_ns=frames.stamps_ns[rows])


def compared(first: RoomFrames, second: RoomFrames, features: str) -> tuple[Reconstruction, Changes]:
    parts = tuple(AlignedFrames(each, number, np.eye(4)) for number, each in enumerate((first, second), start=1))
    both = Recordings(parts, RecordingList((RecordingSource(1, "synthetic_room", None, "train", None),)))
    progress = TerminalProgress()
    with tempfile.TemporaryDirectory() as directory:
        extractor = open_extractor(features, (CAMERA.width, CAMERA.height), MAX_KEY_POINTS)
        cache = extract_features(both, extractor, Path(directory) / "features", progress)
        shape = reconstruct(read_frame_features(both, cache, DepthCorrection()), progress=progress)

        def depth_at(index: int) -> NDArray[np.float32]:
            depth = both.frame(index, depth=True).depth
            assert depth is not None
            return depth

        with progress.bar("changes") as advance:
            return shape, find_changes(shape, cache, numbers_of(cache.names), depth_at, advance)


def figures(first: RoomFrames, shape: Reconstruction, changes: Changes) -> dict[str, float]:
    """Of the points that the first recording observes."""
    taken = np.zeros(len(shape), dtype=np.bool_)
    for frame in range(len(first)):
        rows = shape.frames == frame
        points, (columns, lines) = shape.points[rows], np.rint(shape.pixels[rows]).astype(int).clip(0, LAST).T
        before, after = (synthetic_room(plan).render(CAMERA, first.poses[frame])[1] for plan in (LIVING_ROOM, EMPTIER))
        taken[points] |= (after - before)[lines, columns] > BEHIND_M
    old = changes.states != PointState.NEW
    retired = changes.retired
    return {
        "points": int(old.sum()),
        "taken": int((old & taken).sum()),
        "found": share(retired[old & taken]),
        "false_alarms": share(retired[old & ~taken]),
    }


def share(of: NDArray[np.bool_]) -> float:
    return float(of.sum()) / max(1, len(of))


if __name__ == "__main__":
    main()
