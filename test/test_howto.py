"""The commands of docs/howto for those without a robot or photos do what the pages say."""

import re
import shlex
from pathlib import Path

import pytest
from support import ROOT
from support.dataset_files import read_all

from vloc_ros.cli import build_parser, main
from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.photo_export import farthest


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


def test_the_photos_of_the_page_are_as_far_apart_as_it_says() -> None:
    page = (ROOT / "docs/howto/map_from_photos.md").read_text(encoding="utf-8")
    (export,) = re.findall(r"^    \.venv/bin/vloc photos (.*)$", page, re.MULTILINE)
    (made,) = re.findall(r"^    \.venv/bin/vloc map (.* --out maps/room)$", page, re.MULTILINE)
    photos = build_parser("photos").parse_args(["photos", *shlex.split(export)])
    asked = build_parser("map").parse_args(["map", *shlex.split(made)])
    room = open_dataset(photos.dataset, None, photos.split)
    rows = range(0, len(room), photos.every)
    first, other, metres = farthest({f"IMG_{n:04d}": room.map_from_camera(row) for n, row in enumerate(rows, start=1)})
    assert asked.scale == [f"distance:{first},{other},{metres:.3f}"]
    assert asked.root == photos.out
