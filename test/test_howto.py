"""The commands of docs/howto/map_from_a_bag.md for those without a robot do what the page says."""

import re
import shlex
from pathlib import Path

import pytest
from support import ROOT
from support.dataset_files import read_all

from vloc_ros.cli import main
from vloc_ros.datasets import open_dataset


@pytest.mark.needs("mcap", "rosbags", "scipy", "torch")
def test_a_bag_with_depth_becomes_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs/howto/map_from_a_bag.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    \.venv/bin/vloc (.*drive.*)$", page, re.MULTILINE)
    (bag,) = (command for command in commands if command.startswith("bag"))
    (from_bag,) = (command for command in commands if command.startswith("map") and "--poses" not in command)
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(bag.replace("--split drive", "--split small"))) == 0
    assert main([*shlex.split(from_bag), "--until", "sources"]) == 0
    recorded = open_dataset("folder", tmp_path / "maps/room.work/recording", "all")
    room = open_dataset("synthetic_room", None, "small")
    assert len(recorded) == len(room)
    for index, frame in enumerate(read_all(recorded, depth=True)):
        assert frame.map_from_camera == pytest.approx(room.map_from_camera(index), abs=1e-6)
        assert frame.depth is not None
        assert (frame.depth > 0).mean() > 0.9
