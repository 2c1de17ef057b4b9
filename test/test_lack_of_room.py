"""A full disk and too little memory: one line, nothing half-written, and the next run goes on."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.mapping_scenes import VOXEL, WallAndBox, looking_at, views

from vloc_ros.cli import main
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.mapping import surface as surface_module
from vloc_ros.mapping.mesh import surface_from_mesh
from vloc_ros.mapping.surface import fuse_depth

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def raising(error: Exception) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.needs("torch")
def test_a_disk_that_is_full_at_any_stage_leaves_a_run_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from support.map_scenes import interrupted_at, options_in, quick

    from vloc_ros.training.stages.build_map import build_map

    def left() -> set[str]:
        return {str(path.relative_to(tmp_path / "work")) for path in (tmp_path / "work").rglob("*") if path.is_file()}

    stages = [  # where it is full, the file that is named, what is there afterwards
        ("vloc_ros.mapping.depth_calibration.write_text", None, "depth.json"),
        ("vloc_ros.mapping.array_files.np.savez", "geometry.npz", "geometry.npz"),
        ("vloc_ros.mapping.top_view.write_bytes", None, "geometry.png"),
        ("os.posix_fallocate", "frames", "frames"),
        ("vloc_ros.training.curve_writer.RecordWriter.write", "tensorboard", "tensorboard"),
        ("vloc_ros.training.trainer.write_bytes", None, "checkpoint.pt"),
    ]
    with quick():
        for place, named, absent in stages:
            file = tmp_path / "work" / absent
            error = FULL if named else ConfigError(f"{file}: cannot be written: No space left on device")
            with monkeypatch.context() as patch:
                patch.setattr(place, raising(error))
                with pytest.raises((ConfigError, DatasetError), match="cannot be written: No space left") as raised:
                    build_map(options_in(tmp_path), interrupted_at(1))
            assert str(file) in str(raised.value)
            assert "\n" not in str(raised.value)
            assert not [name for name in left() if "partial" in name or name.startswith(".")]
            assert absent == "tensorboard" or not file.exists()
        with pytest.raises(KeyboardInterrupt):
            build_map(options_in(tmp_path), interrupted_at(2))
    assert {"stages.json", "depth.json", "geometry.npz", "regions.npz", "checkpoint.pt", "frames/images.npy"} <= left()


def test_a_file_that_really_cannot_grow_is_one_line(tmp_path: Path) -> None:
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100));"
        "from pathlib import Path; from vloc_ros.files import write_text; write_text(Path(sys.argv[1]), 'x' * 1000)"
    )
    path = tmp_path / "file"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert done.stderr.strip().endswith(f"{path}: cannot be written: File too large")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            MemoryError("Unable to allocate 9 GiB"),
            "out of memory (Unable to allocate 9 GiB); making maps, fewer frames",
        ),
        (MemoryError(), "out of memory; making maps"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried\nmore"), "out of memory ("),
        (ImportError("libtorch.so: failed to map segment from shared object"), "out of memory (libtorch.so"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a.png"), "a.png: No space left on device"),
    ],
    ids=["numpy", "bare", "torch", "loader", "disk"],
)
def test_the_command_line_tells_what_has_run_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, line: str
) -> None:
    monkeypatch.setattr("vloc_ros.cli.inspect.checked_map", raising(error))
    assert main(["inspect", "somewhere"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"vloc: error: {line}")
    assert said.count("\n") == 1


def test_other_errors_of_the_program_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vloc_ros.cli.inspect.checked_map", raising(RuntimeError("a fault of ours")))
    with pytest.raises(RuntimeError, match="a fault of ours"):
        main(["inspect", "somewhere"])


def test_cameras_too_far_out_for_the_grid_are_refused_before_any_is_read() -> None:
    far = tuple(looking_at((x, -0.5, 0.0), (x, 2.0, 0.0)) for x in (0.0, 1e6))
    with pytest.raises(DatasetError, match=r"up to 1e\+06 m from the map's origin, .* must be in metres"):
        fuse_depth(WallAndBox(far), VOXEL)


def test_a_surface_of_too_many_voxels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surface_module, "MAX_VOXELS", 1000)
    with pytest.raises(DatasetError, match=r"voxels of 0\.02 m after 1 frames.*fewer frames or a smaller place"):
        fuse_depth(WallAndBox(views(4)), VOXEL)


def test_thinning_in_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fuse_depth(WallAndBox(views(6), noise=0.004), VOXEL)
    monkeypatch.setattr(surface_module, "THINNED_AT_A_TIME", 777)
    parts = fuse_depth(WallAndBox(views(6), noise=0.004), VOXEL)
    for name in ("points", "normals", "colors", "counts"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_a_mesh_in_millimetres_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "floor.ply"
    header = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    faces = "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    path.write_text(f"{header}{faces}0 0 0\n6000 0 0\n0 5000 0\n3 0 1 2\n")
    with pytest.raises(DatasetError, match=r"1.5e\+07 square metres .* must be in metres"):
        surface_from_mesh(path)
