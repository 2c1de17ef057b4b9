"""`vloc map` in stages: what is skipped, what is made again, where it stops, and that only one is at work."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import ROOT
from support.map_scenes import VSNET, Told, options_in

from vloc_ros.datasets import Dataset, open_dataset
from vloc_ros.datasets.subset import Subset
from vloc_ros.errors import ConfigError
from vloc_ros.maps import read_map
from vloc_ros.training.map_options import MapOptions, TrainingOptions
from vloc_ros.training.method_options import DENSE_STAGES
from vloc_ros.training.stages import calibration_stage, source_stage
from vloc_ros.training.stages.build_map import build_map
from vloc_ros.training.stages.lock import locked
from vloc_ros.training.stages.stage_records import content_of, fingerprint_of

HOLDS_IT = """
    import sys, time
    from pathlib import Path
    from vloc_ros.training.stages.lock import locked

    with locked(Path(sys.argv[1])):
        print("locked", flush=True)
        time.sleep(600)
"""


pytestmark = pytest.mark.usefixtures("quickly")


def made_by(options: MapOptions) -> dict[str, bool]:
    """The stages of a run, and whether each was made, not just read again."""
    told = Told()
    build_map(options, told)
    return told.stages()


def only(*made: str, until: str = DENSE_STAGES[-1]) -> dict[str, bool]:
    """What `made_by` gives where only these were made."""
    return {name: name in made for name in DENSE_STAGES[: DENSE_STAGES.index(until) + 1]}


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_only_what_changed_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the geometry to the finished map, one change after the other."""
    options = options_in(tmp_path)
    assert made_by(replace(options, until="geometry")) == only("sources", "geometry", until="geometry")
    assert not options.out.exists()
    coarser = replace(options, method=replace(VSNET, patch_size=1.2), until="regions")
    assert made_by(coarser) == only("regions", until="regions")
    assert made_by(options) == only(*DENSE_STAGES[2:])
    assert made_by(options) == only()
    stricter = replace(options, false_positive_rate=0.5)
    before = read_map(options.out)
    assert made_by(stricter) == only("calibration")
    after = read_map(options.out)
    assert after.networks == before.networks
    assert after.landmark_map.manifest.calibration == before.landmark_map.manifest.calibration
    longer = replace(stricter, training=TrainingOptions(epochs=2, batch_size=4))
    assert made_by(longer) == only("training", "export", "calibration")  # it went on
    assert read_map(options.out).landmark_map.manifest.training["iterations"] == 10
    whole = read_map(options.out).files
    for file in ("map.yaml", "network.onnx"):  # not only what tells whose map it is
        (options.out / file).unlink()
        assert made_by(longer) == only("calibration"), file
        assert read_map(options.out).files.keys() == whole.keys()
    whole = read_map(options.out).files
    stricter_still = replace(longer, false_positive_rate=0.25)
    with monkeypatch.context() as patch:
        patch.setattr(calibration_stage, "atomic_file", full)
        with pytest.raises(ConfigError, match=r"calibration\.json: cannot be written"):
            build_map(stricter_still)
    assert read_map(options.out).files == whole  # it is not replaced by one that nobody knows
    assert made_by(stricter_still) == only("calibration")


@pytest.mark.parametrize("entry", ["frames", "sources.json"])
def test_a_fresh_start_that_was_interrupted_can_be_repeated_or_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    """Ctrl-C while that entry of the run before was to be removed."""
    options = options_in(tmp_path, until="sources")
    remove: dict[str, Callable[..., None]] = {"rmtree": shutil.rmtree, "unlink": Path.unlink}

    def interrupted(name: str) -> Callable[..., None]:
        def removing(path: Path, **flags: Any) -> None:
            if path.name == entry:
                raise KeyboardInterrupt
            remove[name](path, **flags)

        return removing

    for fresh in (True, False):
        build_map(options)
        (tmp_path / "work" / "frames").mkdir(exist_ok=True)
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "rmtree", interrupted("rmtree"))
            patch.setattr(Path, "unlink", interrupted("unlink"))
            with pytest.raises(KeyboardInterrupt):
                build_map(replace(options, fresh=True))
        assert made_by(replace(options, fresh=fresh)) == {"sources": True}


def test_what_somebody_deleted_is_made_again(tmp_path: Path) -> None:
    """And nothing else: it is the same again, so what was made from it is too."""
    options, work = options_in(tmp_path), tmp_path / "work"
    build_map(options)
    networks = read_map(options.out).networks
    for stage, artefact in (
        ("sources", "sources.json"),
        ("geometry", "geometry.json"),
        ("geometry", "geometry.npz"),
        ("geometry", "geometry.png"),
        ("geometry", "depth.json"),
        ("regions", "regions.npz"),
        ("samples", "frames/cells.npy"),
        ("export", "networks/float32.onnx"),
        ("calibration", "calibration.json"),
    ):
        (work / artefact).unlink()
        assert made_by(options) == only(stage), artefact
        assert (work / artefact).is_file()
    shutil.rmtree(work / "frames")
    (work / "regions.npz").unlink()
    longer = replace(options, training=TrainingOptions(epochs=2, batch_size=4))
    assert made_by(longer) == only("regions", "samples", "training", "export", "calibration")
    assert read_map(options.out).networks != networks


def test_a_stage_of_other_methods_is_none_to_stop_behind(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"until features: a map of vsnet is made in sources, geometry, regions, "):
        options_in(tmp_path, until="features")


def test_the_geometry_is_shown(tmp_path: Path) -> None:
    told = Told()
    build_map(options_in(tmp_path, until="geometry"), told)
    (line,) = [line for line in told.lines if line.startswith("geometry: ")]
    picture = tmp_path / "work" / "geometry.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert line.endswith(f" from above in {picture}")
    for what in (" m2 in ", " m, from 22 of 22 frames", "depth of "):
        assert what in line


def test_data_that_changed_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = options_in(tmp_path, until="sources")
    assert made_by(options) == {"sources": True}
    assert made_by(options) == {"sources": False}
    fewer: Dataset = Subset(open_dataset("synthetic_room", None, "small"), range(20))
    monkeypatch.setattr(source_stage, "open_dataset", lambda *_: fewer)
    assert made_by(options) == {"sources": True}
    (tmp_path / "work" / "checkpoint.pt").write_bytes(b"of a training of these")
    monkeypatch.undo()
    with pytest.raises(ConfigError, match=r"holds a run with frames=\w+, now it is \w+; .*--fresh to start anew"):
        build_map(options)


def test_a_mesh_that_changed_is_another_geometry(tmp_path: Path) -> None:
    mesh, folder = tmp_path / "a.ply", tmp_path / "model"
    assert content_of(mesh) == "missing"
    mesh.write_text("ply")
    first = content_of(mesh)
    mesh.write_text("ply ")
    assert content_of(mesh) != first
    folder.mkdir()
    empty = content_of(folder)
    (folder / "cameras.txt").write_text("")
    named = content_of(folder)
    (folder / "cameras.txt").rename(folder / "images.txt")
    assert len({empty, named, content_of(folder)}) == 3


def test_a_fingerprint_is_of_the_stages_before_too() -> None:
    inputs: dict[str, Any] = {"width": 320, "seed": 0}
    assert fingerprint_of(inputs, "a") == fingerprint_of(dict(reversed(inputs.items())), "a")
    assert fingerprint_of(inputs, "a") != fingerprint_of(inputs, "b")
    assert fingerprint_of(inputs, "a") != fingerprint_of({**inputs, "seed": 1}, "a")


@pytest.fixture
def holder(tmp_path: Path) -> "Iterator[subprocess.Popen[str]]":
    """A process that is at work in the work directory."""
    (tmp_path / "work").mkdir()
    command = [sys.executable, "-c", textwrap.dedent(HOLDS_IT), str(tmp_path / "work")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as it:
        assert it.stdout is not None
        assert it.stdout.readline() == "locked\n"
        yield it
        it.kill()


def command(tmp_path: Path, *before: str) -> "subprocess.CompletedProcess[str]":
    """`vloc map` in that work directory, as a program, as far as its sources."""
    arguments = ["map", "--dataset", "synthetic_room", "--split", "small", "--out", "map", "--workdir", "work"]
    return subprocess.run(
        [*(before or (sys.executable, "-m", "vloc_ros.cli")), *arguments, "--until", "sources"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_second_one_is_told_who_is_at_work(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    (tmp_path / "work" / "stages.json").write_text('{"format": 2, "stages": {}}')
    second = command(tmp_path)
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert f"work: another `vloc map` is at work in it (process {holder.pid} on " in second.stderr
    assert "use another --workdir" in second.stderr
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert made_by(options_in(tmp_path, until="sources")) == {"sources": True}
    assert not (tmp_path / "work" / "lock.json").exists()


def test_a_lock_is_free_again_whatever_happened(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        print(1 // 0)
    with locked(tmp_path), pytest.raises(ConfigError, match="is at work in it"), locked(tmp_path):
        pass


def test_of_several_processes_the_first_one_locks(tmp_path: Path) -> None:
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    both = command(tmp_path, *torchrun, "-m", "vloc_ros.cli")
    assert both.returncode == 0, both.stderr
    assert both.stderr.count("sources: 22 frames") == 1
