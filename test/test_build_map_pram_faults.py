"""`vloc map --method pram`: Ctrl-C, a full disk, and what is refused."""

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import map_scenes
from support.map_scenes import Told
from support.pram_scenes import PRAM, VIEWS, Changed, StoppedAt, made_by, of_frames, pram_in, write_split

from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.subset import Subset
from vloc_ros.errors import ConfigError, DatasetError, VlocError
from vloc_ros.features.cache import open_features
from vloc_ros.training.map_options import MapOptions
from vloc_ros.training.stages import feature_stage
from vloc_ros.training.stages.build_map import build_map

pytestmark = pytest.mark.usefixtures("quickly")


def refusal(options: MapOptions, kind: type[VlocError]) -> str:
    line = map_scenes.refusal(options, kind)
    assert not options.out.exists()
    return line


def test_ctrl_c_anywhere_leaves_what_is_done(names: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting(Told):
        def say(self, line: str) -> None:
            if line.startswith("depth"):  # in the geometry
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_map(pram_in(tmp_path, names), Interrupting())
    assert len(open_features(tmp_path / "work" / "features")) == 18
    monkeypatch.setattr(feature_stage, "extract_features", None)
    assert made_by(pram_in(tmp_path, names)) == {"geometry", "regions", "export", "calibration"}


# Where it ends: a bar in which somebody presses Ctrl-C, or a file for which there is no room, or while which is written
# somebody presses Ctrl-C; and the stages that are done then.
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
ENDS: tuple[tuple[str, BaseException, list[str]], ...] = (
    ("features", KeyboardInterrupt(), ["sources"]),
    ("poses.npz", FULL, ["sources", "features"]),
    ("matching", KeyboardInterrupt(), ["sources", "features", "poses"]),
    ("geometry.npz", FULL, ["sources", "features", "poses"]),
    ("regions.npz", KeyboardInterrupt(), ["sources", "features", "poses", "geometry"]),
    ("regions.npz", FULL, ["sources", "features", "poses", "geometry"]),
    ("hidden views", KeyboardInterrupt(), ["sources", "features", "poses", "geometry", "regions", "export"]),
)


def test_ctrl_c_and_a_full_disk_in_any_stage_leave_what_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, savez = pram_in(tmp_path, write_split(tmp_path / "names.txt", VIEWS[:12])), np.savez
    for end, error, done in ENDS:
        told = StoppedAt(end)

        def ending(file: Any, end: str = end, error: BaseException = error, **arrays: Any) -> None:
            if end in file.name:
                raise error
            savez(file, **arrays)

        with monkeypatch.context() as patch:
            patch.setattr("vloc_ros.mapping.array_files.np.savez", ending)
            with pytest.raises((KeyboardInterrupt, VlocError)) as caught:
                build_map(options, told)
        if isinstance(caught.value, VlocError):
            assert str(caught.value) == f"{tmp_path / 'work' / end}: cannot be written: No space left on device"
        assert list(told.stages()) == done
        assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]
        assert not options.out.exists()
    again = Told()
    build_map(replace(options, until="export"), again)
    assert not any(again.stages().values()), "all of them are there"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"novel_views": 0.5}, r"--novel-views 0.5: has no effect on a map of pram"),
        ({"grey": 0.25}, r"--grey 0.25: has no effect on a map of pram"),
        ({"mesh": Path("hall.ply")}, r"--mesh hall.ply: has no effect on a map of pram"),
        ({"precisions": ("float16", "bfloat16")}, r"--precision float16 bfloat16: has no effect on a map of pram"),
    ],
    ids=["novel views", "grey", "mesh", "precision"],
)
def test_options_of_dense_methods_are_refused(
    changes: dict[str, Any], reason: str, names: Path, tmp_path: Path
) -> None:
    assert reason in refusal(pram_in(tmp_path, names, **changes), ConfigError)


def test_a_map_without_recognition_has_no_training_to_stop_behind(names: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"until training: a map of pram is made in sources, features, poses, geometry, "
    ):
        pram_in(tmp_path, names, until="training")


def test_depth_that_contradicts_the_poses(names: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_frames(monkeypatch, Changed(open_dataset("synthetic_room", None, str(names)), 1.4))
    assert "poses and depth contradict each other" in refusal(pram_in(tmp_path, names), DatasetError)


@pytest.mark.parametrize(
    ("depth", "model", "line"),
    [
        (0.0, None, "points: the frames have no depth; --colmap takes a COLMAP model in its place"),
        (1.0, "nowhere", "nowhere: no such directory, it should hold a COLMAP model"),
    ],
    ids=["no depth", "no model"],
)
def test_what_is_missing_is_told_before_key_points_are_looked_for(
    depth: float, model: str | None, line: str, names: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_frames(monkeypatch, Changed(open_dataset("synthetic_room", None, str(names)), depth))
    method = replace(PRAM, colmap=None if model is None else tmp_path / model)
    assert refusal(pram_in(tmp_path, names, method=method), DatasetError).endswith(line)
    assert not (tmp_path / "work").exists()


def test_one_landmark_cannot_be_recognised(names: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_frames(monkeypatch, open_dataset("synthetic_room", None, str(names)))
    method = replace(PRAM, recognition="trained", landmarks=1)
    line = "--landmarks 1: with --recognition trained there must be 2 or more to tell apart"
    assert refusal(pram_in(tmp_path, names, method=method), ConfigError) == line
    assert not (tmp_path / "work").exists()


def test_one_frame_is_too_few(names: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_frames(monkeypatch, Subset(open_dataset("synthetic_room", None, str(names)), [3]))
    assert "1 frames are too few to learn a map from, at least 10" in refusal(pram_in(tmp_path, names), DatasetError)
