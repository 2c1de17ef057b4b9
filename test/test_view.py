"""What is recorded for the rerun viewer."""

import sys
from pathlib import Path

import pytest

from vloc_ros.cli import main
from vloc_ros.datasets import open_dataset
from vloc_ros.errors import ConfigError
from vloc_ros.evaluation.rerun_viewer import show_in_rerun
from vloc_ros.localizer import Localizer, load_localizer
from vloc_ros.shipped import shipped


@pytest.fixture(scope="module")
def localizer() -> Localizer:
    return load_localizer(shipped("maps/demo_room"))


@pytest.mark.needs("rerun")
def test_a_recording_holds_map_cameras_and_errors(localizer: Localizer, tmp_path: Path) -> None:
    room = open_dataset("synthetic_room", None, "test")
    show_in_rerun(localizer, (room.frame(index) for index in range(3)), tmp_path / "run.rrd")
    content = (tmp_path / "run.rrd").read_bytes()
    for entity in (
        b"world/landmarks",
        b"world/mapping_views",
        b"world/truth/camera",
        b"world/estimate/camera",
        b"image",
    ):
        assert entity in content


@pytest.mark.needs("rerun")
def test_all_cameras_of_a_rig_are_shown(localizer: Localizer, tmp_path: Path) -> None:
    names, out = tmp_path / "names.txt", tmp_path / "rig.rrd"
    names.write_text("drive/000000\n")
    words = ["view", "--map", str(shipped("maps/demo_room")), "--dataset", "synthetic_room", "--split", str(names)]
    assert main([*words, "--cameras", "front", "left", "--save", str(out)]) == 0
    content = out.read_bytes()
    for entity in (b"world/truth/camera", b"world/truth/others/1", b"world/estimate/others/1"):
        assert entity in content


def test_without_rerun_it_says_what_to_install(
    localizer: Localizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ConfigError, match="pip install rerun-sdk"):
        show_in_rerun(localizer, (), tmp_path / "run.rrd")
    assert not (tmp_path / "run.rrd").exists()


@pytest.mark.needs("rerun")
def test_a_recording_that_cannot_be_written_is_said(localizer: Localizer, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no_such_folder"):
        show_in_rerun(localizer, (), tmp_path / "no_such_folder" / "run.rrd")
