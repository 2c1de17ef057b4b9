"""A program: makes a map of PRAM in a directory, of the views that a file lists, and prints what it has loaded."""

import sys
from pathlib import Path

import pytest

from vloc_ros.evaluation.corruptions import CORRUPTIONS
from vloc_ros.training import samples
from vloc_ros.training.map_options import MapOptions
from vloc_ros.training.pram.options import PRAMOptions
from vloc_ros.training.stages.build_map import build_map

WIDTH, HEIGHT, KEY_POINTS = 160, 120, 256

if __name__ == "__main__":
    directory = Path(sys.argv[1])
    method = PRAMOptions(features="xfeat", key_points=KEY_POINTS, points=1000, landmarks=12, loops="off")
    out, work = directory / "map", directory / "work"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "CORRUPTIONS", CORRUPTIONS[:1])
        patch.setattr(samples, "MIRRORED", 3)
        build_map(MapOptions("synthetic_room", None, sys.argv[2], out, work, method, width=WIDTH))
    print(*sys.modules)
