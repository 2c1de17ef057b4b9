"""Compiled code: whatever its cache is like, nothing ends; and all of it is there before the first image."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import ROOT

from vloc_ros.compiled import compiled

PRELOADED = "from vloc_ros.localizer import preload; preload(); print('preloaded')"


def run_python(code: str, package: Path = ROOT, **environment: str) -> "subprocess.CompletedProcess[str]":
    """With the package of that folder, and no caches but those that `environment` names."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "XDG_"))}
    environment = {**kept, "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, cwd=package, capture_output=True, text=True, check=False)


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """A folder with a copy of the package that nobody, not even root, can keep compiled code in."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "vloc_ros", tmp_path / "vloc_ros", ignore=ignored)
    for folder in (tmp_path / "vloc_ros").rglob("*"):
        if folder.is_dir():
            (folder / "__pycache__").write_text("not a folder")
    return tmp_path


@pytest.mark.parametrize(
    "module",
    [
        pytest.param("vloc_ros.ros.relocalizer", marks=pytest.mark.needs("tf2_ros")),
        "vloc_ros.localizer",
        "vloc_ros.datasets.synthetic_room",
        "vloc_ros.mapping.voxels",
    ],
)
def test_without_a_place_for_a_cache_modules_can_be_imported(sealed: Path, module: str) -> None:
    result = run_python(f"import {module}; print('imported')", sealed, HOME="/dev/null/nowhere")
    assert result.stdout.strip() == "imported", result.stderr


def test_without_a_place_for_a_cache_code_is_compiled_and_runs(sealed: Path) -> None:
    result = run_python(PRELOADED, sealed, HOME="/dev/null/nowhere")
    assert result.stdout.strip() == "preloaded", result.stderr


def test_a_damaged_cache_counts_as_none(tmp_path: Path) -> None:
    assert run_python(PRELOADED, NUMBA_CACHE_DIR=str(tmp_path)).returncode == 0
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".nbi", ".nbc"}
    for number, path in enumerate(files):
        path.write_bytes(path.read_bytes()[:100] if number % 2 else b"")
    result = run_python(PRELOADED, NUMBA_CACHE_DIR=str(tmp_path))
    assert result.stdout.strip() == "preloaded", result.stderr


def test_a_full_disk_keeps_nothing_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile.save", full)

    @compiled()
    def doubled(x: int) -> int:
        return 2 * x

    assert doubled(21) == 42


def test_an_image_finds_everything_compiled() -> None:
    """Arguments of other types than those of `preload` would have a robot wait for the compiler at its first fix."""
    check = """
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry import pnp_kernels
from vloc_ros.methods.vsnet import voting_cells, voting_ends
from vloc_ros.core.types import CameraImage
from vloc_ros.localizer import load_localizer, preload
import numpy as np
preload()
localizer = load_localizer("maps/demo_room")
noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
localizer.localize(CameraImage(noise, Camera(640, 480, 525.0, 525.0, 320.0, 240.0)))
print([len(f.signatures) for f in (voting_cells._sort, voting_ends._robust_means, pnp_kernels.add_residuals)])
"""
    result = run_python(check, NUMBA_CACHE_DIR=os.environ.get("NUMBA_CACHE_DIR", ""))
    assert result.stdout.strip() == "[1, 1, 1]", result.stderr


def test_the_compiler_is_not_loaded_before_it_is_needed() -> None:
    """It takes a third of a second, in which a node is up and waits for its map."""
    result = run_python("import sys, vloc_ros.localizer; print({'numba', 'llvmlite', 'scipy'} & set(sys.modules))")
    assert result.stdout.strip() == "set()", result.stderr


def test_kept_code_is_what_was_compiled(tmp_path: Path) -> None:
    ends_averaged = """
from vloc_ros.methods.vsnet.voting_ends import average_ends
import numpy as np
cells = np.random.default_rng(0).uniform(0.5, 2, (7, 500)).astype(np.float32)
print(average_ends(cells, np.array([[0, 200], [200, 500]])).tobytes().hex())
"""
    first, second = (run_python(ends_averaged, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert first.stdout == second.stdout, first.stderr + second.stderr
    assert len(np.frombuffer(bytes.fromhex(first.stdout.strip()))) == 8


def test_code_is_compiled_again_when_what_it_uses_of_another_file_changes(tmp_path: Path) -> None:
    """Numba itself looks at the function's own file only."""
    (tmp_path / "outer.py").write_text(
        "from vloc_ros.compiled import compiled\nfrom inner import FACTOR, added\n\n"
        "@compiled()\ndef result(x):\n    return FACTOR * added(x)\n\nprint(result(10))\n"
    )
    run = "import outer"

    def printed(inner: str) -> str:
        (tmp_path / "inner.py").write_text(
            f"from vloc_ros.compiled import compiled\nfrom innermost import more\n\n{inner}\n"
        )
        found = run_python(
            f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {run}", NUMBA_CACHE_DIR=str(tmp_path / "kept")
        )
        return found.stdout.strip() or found.stderr

    def innermost(amount: int) -> None:
        (tmp_path / "innermost.py").write_text(
            f"from vloc_ros.compiled import compiled\n\n@compiled()\ndef more(x):\n    return x + {amount}\n"
        )

    first = "FACTOR = 2\n\n@compiled()\ndef added(x):\n    return more(x) + 1"
    innermost(0)
    assert printed(first) == "22"
    assert printed(first) == "22"
    assert printed(first.replace("FACTOR = 2", "FACTOR = 3")) == "33"
    assert printed(first.replace("+ 1", "+ 2")) == "24"
    innermost(5)
    assert printed(first) == "32"
