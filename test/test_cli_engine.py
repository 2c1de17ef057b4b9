"""`vloc engine`: build, list, clean."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.tiny_networks import SPEC, network

from vloc_ros.cli import main
from vloc_ros.core.manifest import Manifest
from vloc_ros.core.model_spec import Precision
from vloc_ros.core.types import LandmarkMap
from vloc_ros.maps import write_map

if TYPE_CHECKING:
    from support.fake_tensorrt import FakeTensorRt


@pytest.fixture
def tiny_map(tmp_path: Path) -> Path:
    """A map with a float32 network and, as if it were another, a float16 one."""
    return write(tmp_path / "map", {"float32": network(), "float16": network()})


def write(directory: Path, networks: dict[Precision, bytes]) -> Path:
    ids = np.arange(3, dtype=np.int32)
    manifest = Manifest("vsnet", "map", "2025-06-01T12:00:00Z", SPEC.image_size, SPEC.models)
    landmark_map = LandmarkMap(ids, np.eye(3), np.eye(3), np.ones(3), ids, manifest)
    write_map(directory, landmark_map, {"network": networks}, np.zeros((4, 4, 3), np.uint8))
    return directory


def test_build_list_clean(
    trt: "FakeTensorRt", tiny_map: Path, engines: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["engine", "build", str(tiny_map)]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"ready: TensorRT 1[01]\..* on Fake GPU, float16, images at once: 1", out)
    assert "building the float16 engine" in err
    assert main(["engine", "build", str(tiny_map), "--precision", "float32", "--max-batch", "4"]) == 0
    assert "images at once: 4" in capsys.readouterr().out
    assert main(["engine", "list"]) == 0
    listed = capsys.readouterr().out
    assert "float16 16x8, batches to 1" in listed
    assert "float32 16x8, batches to 4" in listed
    assert f"3 files, 0.0 MB, in {engines}" in listed
    assert main(["engine", "clean"]) == 0
    assert capsys.readouterr().out == ""
    trt.cuda.name = b"Other GPU\0"
    assert main(["engine", "clean"]) == 0
    assert capsys.readouterr().out.count("removed") == 2
    assert main(["engine", "clean", "--all"]) == 0
    assert capsys.readouterr().out.count("removed") == 1  # the timing cache
    assert not trt.cuda.live


def test_what_is_there_is_not_built_again_unless_asked(
    trt: "FakeTensorRt", tiny_map: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for workspace in ([], [], ["--workspace-mb", "256"]):
        assert main(["engine", "build", str(tiny_map), *workspace]) == 0
    assert trt.calls.count("build_serialized_network") == 2
    assert "workspace 256 MiB" in trt.calls


def test_localizing_finds_the_engine_that_was_built(
    trt: "FakeTensorRt", tiny_map: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from vloc_ros.inference import open_session
    from vloc_ros.maps import read_map

    assert main(["engine", "build", str(tiny_map)]) == 0
    stored = read_map(tiny_map)
    assert "float16" in open_session(stored.networks["network"], SPEC.model).backend
    assert trt.calls.count("build_serialized_network") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["build", "MAP", "--precision", "bfloat16"], "the map has ["),
        (["build", "MAP", "--max-batch", "0"], "max_batch is 0"),
        (["build", "MAP", "--workspace-mb", "0"], "at least 1"),
        (["build", "MAP", "--workspace-mb", "x"], "x"),
        (["build", "nowhere"], "nowhere"),
        ([], "ACTION"),
    ],
)
def test_wrong_command_lines(
    trt: "FakeTensorRt", tiny_map: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["engine", *(str(tiny_map) if word == "MAP" else word for word in arguments)]) == 1
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_where_tensorrt_cannot_run(trt: "FakeTensorRt", tiny_map: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trt.cuda.driver = 0
    for arguments in (["build", str(tiny_map)], ["clean"]):
        assert main(["engine", *arguments]) == 1
        assert "there is no NVIDIA driver" in capsys.readouterr().err
    assert main(["engine", "list"]) == main(["engine", "clean", "--all"]) == 0
