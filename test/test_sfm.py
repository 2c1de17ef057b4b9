"""Structure from motion of rendered photos whose poses are known, and of COLMAP models of them."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pycolmap
import pytest
from support.photo_scenes import CAMERA, picture, poses, write_photos

from vloc_ros.cli import main
from vloc_ros.datasets import Dataset, open_dataset
from vloc_ros.datasets.dataset_files import read_image
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.features.cache import FeatureCache
from vloc_ros.geometry.transforms import pose_vector
from vloc_ros.mapping.sfm.database import ImageCamera, write_database
from vloc_ros.mapping.sfm.focal_length import FOCAL, FocalLength
from vloc_ros.mapping.sfm.matches import PairMatches
from vloc_ros.mapping.sfm.options import ReconstructionOptions
from vloc_ros.mapping.sfm.posed_model import MODEL
from vloc_ros.mapping.sfm.scale import ScaleOptions
from vloc_ros.progress import Silent
from vloc_ros.training import photo_sources
from vloc_ros.training.map_options import MapOptions
from vloc_ros.training.photo_sources import POSED, posed_by_model, reconstructed
from vloc_ros.training.pram.options import PRAMOptions
from vloc_ros.training.vsnet.options import VSNetOptions

TRUE = np.stack(poses())


class Lines(Silent):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def options(root: Path, workdir: Path) -> MapOptions:
    return MapOptions("images", root, "all", workdir / "map", workdir, PRAMOptions(features="sift"))


def write_some_poses(path: Path) -> Path:
    rows = [f"{row} {' '.join(map(str, pose_vector(TRUE[row])))}" for row in (0, 3, 6, 9, 11)]
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Lines, MapOptions, ReconstructionOptions]:
    """Photos, reconstructed in metres."""
    path = tmp_path_factory.mktemp("sfm")
    root = write_photos(path / "photos")
    cv2.imwrite(str(root / "99.png"), np.full((CAMERA.height, CAMERA.width, 3), 90, np.uint8))
    lines = Lines()
    scale = ScaleOptions(poses=write_some_poses(path / "some.tum"))
    wanted = ReconstructionOptions(scale=scale, pairs="sequence", partners=4)  # fewer pairs than all
    return root, lines, reconstructed(options(root, path / "work"), wanted, lines), wanted


def off(found: Dataset) -> tuple[float, float]:
    """The median error of poses: metres and degrees."""
    own = np.stack([found.map_from_camera(index) for index in range(len(found))])
    true = TRUE[[int(name) for name in found.names]]
    moved = np.linalg.norm(own[:, :3, 3] - true[:, :3, 3], axis=1)
    cosines = (np.einsum("nij,nij->n", own[:, :3, :3], true[:, :3, :3]) - 1) / 2
    return float(np.median(moved)), float(np.degrees(np.median(np.arccos(np.clip(cosines, -1, 1)))))


def test_poses_and_lens_are_found(made: tuple[Path, Lines, MapOptions, ReconstructionOptions]) -> None:
    _, lines, found, _ = made
    dataset = open_dataset(found.dataset, found.root, found.split)
    assert len(dataset) == 12
    metres, degrees = off(dataset)
    assert metres < 0.02
    assert degrees < 1.0
    assert dataset.camera(0).fx == pytest.approx(CAMERA.fx, rel=0.03)
    assert any("5 images" in line for line in lines.lines)
    assert "12 of 13 images have a pose" in lines.lines
    assert any("1 have not: fewer than 50 key points: 99.png" in line for line in lines.lines)
    (said,) = [line for line in lines.lines if "focal length:" in line]
    assert float(re.findall(r"[\d.]+", said)[0]) == pytest.approx(dataset.camera(0).fx, abs=0.06)
    assert isinstance(found.method, PRAMOptions)
    assert found.method.colmap == found.workdir / POSED / MODEL


def test_the_last_adjustment_makes_the_model_more_exact(
    made: tuple[Path, Lines, MapOptions, ReconstructionOptions],
) -> None:
    steps = made[2].workdir / "sfm"
    before = pycolmap.Reconstruction(str(steps / "models/0"))
    after = pycolmap.Reconstruction(str(steps / "adjusted"))
    assert after.compute_mean_reprojection_error() < 0.9 * before.compute_mean_reprojection_error()
    assert after.num_reg_images() == before.num_reg_images()
    assert after.num_points3D() > 0.5 * before.num_points3D()


def test_what_is_done_is_not_done_again(
    made: tuple[Path, Lines, MapOptions, ReconstructionOptions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, _, first, wanted = made
    workdir = tmp_path / "work"
    shutil.copytree(first.workdir, workdir, symlinks=True)
    for name in ("choose_keyframes", "match_images", "write_database", "run_mapper", "adjust_finally"):
        monkeypatch.setattr(f"vloc_ros.training.photo_sources.{name}", _never)
    again = options(root, workdir)
    for scale in (wanted.scale, ScaleOptions(none=True)):  # another scale needs no other reconstruction
        found = reconstructed(again, replace(wanted, scale=scale), Silent())
        assert len(open_dataset(found.dataset, found.root, found.split)) == 12
    with pytest.raises(AssertionError, match="again"):
        reconstructed(again, replace(wanted, partners=6), Silent())


STEPS = ("choose_keyframes", "match_images", "write_database", "run_mapper", "adjust_finally", "write_posed")


def test_an_interrupted_run_goes_on_from_the_step_it_was_in(
    made: tuple[Path, Lines, MapOptions, ReconstructionOptions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C, or a disk that is full, behind the work of each step but before its record."""
    root, _, before, wanted = made
    shutil.copytree(before.workdir / "sfm/features", tmp_path / "work/sfm/features")

    def mapped(database: Path, directory: Path, *arguments: object) -> list[Path]:
        """As the mapper did it before."""
        shutil.copytree(before.workdir / "sfm/models", directory, dirs_exist_ok=True)
        return sorted(directory.iterdir())

    def adjusted(model: Path, images: Path, directory: Path, *arguments: object) -> Path:
        return Path(shutil.copytree(before.workdir / "sfm/adjusted", directory, dirs_exist_ok=True))

    done: list[str] = []
    stand_ins: dict[str, Callable[..., Any]] = {"run_mapper": mapped, "adjust_finally": adjusted}
    stops: dict[str, BaseException] = {
        name: KeyboardInterrupt() if row % 2 else ConfigError("No space left") for row, name in enumerate(STEPS)
    }
    for name in STEPS:
        step = stand_ins.get(name, getattr(photo_sources, name))
        monkeypatch.setattr(photo_sources, name, _stopping_once(name, step, stops, done))
    asked = options(root, tmp_path / "work")
    for stop in list(stops.values()):
        with pytest.raises(type(stop)):
            reconstructed(asked, wanted, Silent())
    found = reconstructed(asked, wanted, Silent())
    assert done == [name for name in STEPS for _ in range(2)]  # the one that was interrupted again, and none before it
    assert len(open_dataset("folder", found.root, "all")) == 12


def test_a_database_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    camera, nothing = ImageCamera(CAMERA, known=False, fixed=False), PairMatches.of([], [])
    with pytest.raises(ConfigError, match=r"nowhere/database\.db: cannot be written"):
        write_database(tmp_path / "nowhere/database.db", [], features_of_nothing(), camera, nothing)


def features_of_nothing() -> FeatureCache:
    """Of no images."""
    features = object.__new__(FeatureCache)
    object.__setattr__(features, "names", ())
    return features


def _stopping_once(
    name: str, step: Callable[..., Any], stops: dict[str, BaseException], done: list[str]
) -> Callable[..., Any]:
    def stopping(*arguments: Any, **named: Any) -> Any:
        result = step(*arguments, **named)
        done.append(name)
        if name in stops:
            raise stops.pop(name)
        return result

    return stopping


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "--dataset folder --scale markers:0.1",
            r"--scale: has no effect on --dataset folder, only on images and c",
        ),
        ("--dataset colmap --mapper global", r"--mapper global: has no effect on --dataset colmap, only on images"),
        ("--dataset images --images there", r"--images there: has no effect on --dataset images, only on colmap"),
        ("--dataset images --poses a.tum", r"--scale poses:a\.tum takes the scale from them"),
        ("--dataset images --scale none", r"may not steer a robot; --accept-no-scale"),
        ("--dataset images --partners 0", r"--partners 0: an image needs at least 2 others"),
    ],
)
def test_options_of_other_data_sets_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: str, message: str
) -> None:
    assert main(["map", *arguments.split(), "--root", str(tmp_path), "--out", str(tmp_path / "map")]) == 1
    assert re.search(message, capsys.readouterr().err)


def _never(*arguments: object, **named: object) -> None:
    raise AssertionError("again")


def test_two_places_are_two_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def adjusted(model: Path, images: Path, directory: Path, *arguments: object) -> Path:
        shutil.copytree(model, directory)
        FocalLength(CAMERA.fx, CAMERA.fx, None).save(directory / FOCAL)
        return directory

    monkeypatch.setattr(photo_sources, "adjust_finally", adjusted)
    root = write_photos(tmp_path / "photos", 5, prefix="a")
    for index, pose in enumerate(poses(7)):
        cv2.imwrite(str(root / f"b{index}.png"), picture(pose, seed=5))
    wanted = ReconstructionOptions(scale=ScaleOptions(none=True))
    with pytest.raises(DatasetError, match=r"2 places that no two images connect: 7 images with 'b0\.png' to 'b6\.png"):
        reconstructed(options(root, tmp_path / "work"), wanted, Silent())
    lines = Lines()
    found = reconstructed(options(root, tmp_path / "work"), replace(wanted, largest=True), lines)
    assert set(open_dataset("folder", found.root, "all").names) == {f"b{index}" for index in range(7)}
    assert any(line.startswith("warning:") and "only the first becomes the map" in line for line in lines.lines)
    assert any("they hang together with each other only: a0.png" in line for line in lines.lines)


def test_images_that_show_nothing_in_common_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    for index in range(10):
        cv2.imwrite(str(root / f"{index}.png"), cv2.resize(picture(TRUE[0], seed=index), (120, 92)))
    wanted = ReconstructionOptions(scale=ScaleOptions(none=True))
    with pytest.raises(DatasetError, match="photos: no two of the 10 images show the same"):
        reconstructed(options(root, tmp_path / "work"), wanted, Silent())


def test_options_that_cannot_work_are_refused(tmp_path: Path) -> None:
    wanted = ReconstructionOptions()
    with pytest.raises(ConfigError, match="--scale is missing"):
        reconstructed(options(tmp_path, tmp_path / "work"), wanted, Silent())
    other = replace(options(tmp_path, tmp_path / "work"), method=PRAMOptions(colmap=tmp_path))
    with pytest.raises(ConfigError, match="without --colmap"):
        reconstructed(other, wanted, Silent())
    dense = replace(options(tmp_path, tmp_path / "work"), method=VSNetOptions())
    with pytest.raises(ConfigError, match="--method vsnet: a map from images alone is made of points"):
        reconstructed(dense, wanted, Silent())
    with pytest.raises(ConfigError, match="--images where its images are"):
        posed_by_model(options(tmp_path, tmp_path / "work"), wanted, Silent())
    with pytest.raises(ConfigError, match="--partners 1: an image needs at least 2"):
        ReconstructionOptions(partners=1)


@pytest.mark.parametrize(("text", "version"), [(True, 4), (False, 3), (True, 3)])  # `made` is binary, of 4
def test_a_colmap_model_is_posed_by_itself(
    made: tuple[Path, Lines, MapOptions, ReconstructionOptions], tmp_path: Path, text: bool, version: int
) -> None:
    root, _, found, _ = made
    assert found.root is not None
    model = tmp_path / "model"
    model.mkdir()
    finished = pycolmap.Reconstruction(str(found.root / MODEL))
    (finished.write_text if text else finished.write_binary)(model)
    for name in ("rigs", "frames") if version == 3 else ():  # which only newer ones have
        (model / f"{name}.{'txt' if text else 'bin'}").unlink()
    lines = Lines()
    again = posed_by_model(options(model, tmp_path / "work"), ReconstructionOptions(images=root), lines)
    dataset = open_dataset("folder", again.root, "all")
    assert off(dataset)[0] < 0.02
    assert dataset.frame(3).image.rgb.shape == (CAMERA.height, CAMERA.width, 3)
    assert lines.lines == ["scale: as it is in the model, taken to be metres"]


def test_a_model_of_other_images_is_refused(
    made: tuple[Path, Lines, MapOptions, ReconstructionOptions], tmp_path: Path
) -> None:
    root, _, found, _ = made
    assert found.root is not None
    asked = options(found.root / MODEL, tmp_path / "work")
    with pytest.raises(DatasetError, match=r"nowhere/\d+\.png: no such image"):
        posed_by_model(asked, ReconstructionOptions(images=tmp_path / "nowhere"), Silent())
    smaller = tmp_path / "smaller"
    smaller.mkdir()
    for file in root.iterdir():
        cv2.imwrite(str(smaller / file.name), cv2.resize(read_image(file), (120, 90)))
    with pytest.raises(DatasetError, match=r"the model is of images of 240x180 pixels, '\d+' in .*smaller is 120x90"):
        posed_by_model(asked, ReconstructionOptions(images=smaller), Silent())
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for file in (found.root / MODEL).iterdir():
        (damaged / file.name).write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(DatasetError, match="damaged or cut short"):
        posed_by_model(replace(asked, root=damaged), ReconstructionOptions(images=root), Silent())
