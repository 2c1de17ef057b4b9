"""The program of docs/howto/map_from_a_bag.md makes of a bag a folder that `vloc map` can read."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import ROOT
from support.bag_scenes import CAMERA, IMAGES, picture, place, stamp, write_truth, write_view

from vloc_ros.bags import messages
from vloc_ros.bags.reader import RAW_IMAGE
from vloc_ros.bags.writer import open_writer
from vloc_ros.datasets import open_dataset


def program() -> str:
    """The page's block of Python, told the names of the bag below."""
    page = (ROOT / "docs/howto/map_from_a_bag.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = 'IMAGES, DEPTH, TRUTH, MAP_FRAME = "", "", "tf", "map"'
    assert names in code
    return str(code).replace(names, 'IMAGES, DEPTH, TRUTH, MAP_FRAME = "", "/depth", "/pose", "map"')


@pytest.mark.needs("mcap", "rosbags", "scipy")
def test_a_bag_with_depth_becomes_a_folder(tmp_path: Path) -> None:
    with open_writer(tmp_path / "drive") as bag:
        for index in range(IMAGES):
            write_view(bag, index)
            write_truth(bag, index)
            millimetres = np.full((CAMERA.height, CAMERA.width), 1000 + index, np.uint16)
            depth = messages.image(stamp(index), "camera", picture(index))
            depth.encoding, depth.step, depth.data = "16UC1", 2 * CAMERA.width, millimetres.view(np.uint8).ravel()
            bag.write("/depth", RAW_IMAGE, stamp(index), depth)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    run = subprocess.run(
        [sys.executable, "-c", program()], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr

    dataset = open_dataset("folder", tmp_path / "office", "all")
    assert len(dataset) == IMAGES / 3
    for number, index in enumerate(range(0, IMAGES, 3)):
        frame = dataset.frame(number, depth=True)
        assert frame.image.camera == CAMERA
        assert np.array_equal(frame.image.rgb, picture(index))
        assert frame.map_from_camera == pytest.approx(place(stamp(index)), abs=1e-7)
        assert frame.depth is not None
        assert frame.depth == pytest.approx(1 + index / 1000)
