"""Rooms and corridors that are drawn from a seed, rendered and written as the folders of a building's places."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.folder import write_tables
from vloc_ros.datasets.synthetic_room import CAMERA, SyntheticRoom
from vloc_ros.errors import ConfigError
from vloc_ros.files import atomic_path, write_errors, write_text
from vloc_ros.progress import Advance, no_advance
from vloc_ros.synthetic import paths
from vloc_ros.synthetic.drawn_room import drawn_room
from vloc_ros.synthetic.plan import RoomPlan
from vloc_ros.synthetic.sensor import expose

LISTED = "building.yaml"
SMALL = CAMERA.resized(320, 240)
TRAINING, TEST = 16, 4  # images of each of a room's five walks
CYCLE = 5  # of these places the third is a corridor, and the last looks like the one before
QUALITY = 92  # of JPEG files
PER_METRE = 1000  # of depth files


def place_plans(count: int, seed: int = 0) -> Iterator[RoomPlan]:
    """Plans of the first `count` places of the building of a seed: more of them begin with the same ones. Raises
    ConfigError for none."""
    if count < 1:
        raise ConfigError(f"{count} places: must be 1 or more")
    for number in range(count):
        group, which = divmod(number, CYCLE)
        is_corridor, is_twin = which == 2, which == CYCLE - 1
        own = [seed, group, which - 1 if is_twin else which]
        kind = "corridor" if is_corridor else "room"
        drawn = int(np.random.default_rng(own).integers(1 << 31))
        yield drawn_room(f"{kind}_{number:03d}", drawn, posters=int(is_twin), is_corridor=is_corridor)


def write_places(directory: Path, count: int, seed: int = 0, advance: Advance = no_advance) -> Path:
    """Write each place as a folder with the splits train, which has depth, and test, and the list of them all, which is
    returned: a root of the data set `joined`. A folder that is there stays as it is. Raises ConfigError."""
    names = []
    for number, plan in enumerate(place_plans(count, seed), start=1):
        names.append(plan.name)
        if not (folder := directory / plan.name).exists():
            _write_place(folder, plan)
        advance(number, count)
    listed = directory / LISTED
    write_text(listed, "".join(f"- {{name: {name}, dataset: folder, root: {name}}}\n" for name in names))
    return listed


def _write_place(folder: Path, plan: RoomPlan) -> None:
    room = SyntheticRoom(*plan.build())
    walks = {
        "train": paths.mapping_poses(plan.walks, TRAINING),
        "test": paths.revisit_poses(plan.walks, TEST),
    }
    with write_errors(folder), atomic_path(folder) as new:
        for part in ("images", "depth"):
            (new / part).mkdir(parents=True)
        known: dict[str, NDArray[np.float64]] = {}
        for split, poses in walks.items():
            names = {f"{split}_{index:03d}": pose for index, pose in enumerate(poses)}
            for name, pose in names.items():
                rgb, depth = room.render(SMALL, pose)
                shown = cv2.cvtColor(expose(rgb, f"{plan.name}/{name}"), cv2.COLOR_RGB2BGR)
                cv2.imwrite(str(new / "images" / f"{name}.jpg"), shown, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
                if split == "train":
                    millimetres = np.rint(depth * PER_METRE).astype(np.uint16)
                    cv2.imwrite(str(new / "depth" / f"{name}.png"), millimetres)
            write_text(new / f"split_{split}.txt", "\n".join(names) + "\n")
            known |= names
        write_tables(new, SMALL, known)
