"""Where a map lies in another frame: the fit, what a map keeps of it, and the poses that nodes publish."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.dataset_files import pose_columns, random_pose
from support.map_files import NETWORK, PREVIEW, joined_map, make_map

from vloc_ros.cli import main
from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.places import in_map_frame, map_from_place, unplaced
from vloc_ros.core.types import PoseEstimate
from vloc_ros.datasets import Frame, open_dataset
from vloc_ros.datasets.folder import camera_line
from vloc_ros.errors import DatasetError, MapError
from vloc_ros.evaluation.map_alignment import FEWEST_PAIRS, align_map
from vloc_ros.geometry.pose_error import pose_error
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.maps import read_map, write_map
from vloc_ros.maps.placement import place_map, placed
from vloc_ros.shipped import shipped

TRUE = from_quaternion([0.1, -0.2, 0.5, 0.8], [12.0, -3.0, 0.4])


def drive(count: int = 40, width: float = 3.0, length: float = 8.0, seed: int = 0) -> np.ndarray:
    """Poses of a camera on a curve."""
    rng = np.random.default_rng(seed)
    angles = np.linspace(0, 1.5 * np.pi, count)
    at = np.column_stack([length * np.cos(angles), width * np.sin(angles), np.full(count, 0.3)])
    return np.stack([from_quaternion(rng.normal(size=4), position) for position in at])


def noisy(poses: np.ndarray, metres: float, radians: float, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    steps = [from_quaternion([*rng.normal(scale=radians / 2, size=3), 1.0], rng.normal(scale=metres, size=3))
             for _ in poses]  # fmt: skip
    return poses @ np.stack(steps)


def test_the_fit_is_the_true_transform_and_says_the_noise() -> None:
    poses = drive(400)
    exact = align_map(poses, TRUE @ poses)
    np.testing.assert_allclose(exact.map_from_place, TRUE, atol=1e-9)
    found = align_map(noisy(poses, 0.02, 0.01), TRUE @ poses)
    error = pose_error(found.map_from_place, TRUE)
    assert error.translation_m < 0.01
    assert error.rotation_rad < 0.002
    assert found.median.centimetres == pytest.approx(2 * 1.54, rel=0.15), "median length of a normal 3-vector"
    assert found.most.metres > found.median.metres
    assert found.pairs == 400


def test_a_third_of_wrong_pairs_changes_nothing() -> None:
    poses, wrong = drive(60), np.arange(0, 60, 3)
    source = noisy(poses, 0.005, 0.005)
    source[wrong] = np.stack([random_pose() for _ in wrong])
    source[wrong, :3, 3] += 5.0
    found = align_map(source, TRUE @ poses)
    assert pose_error(found.map_from_place, TRUE).translation_m < 0.01
    assert found.fitted <= 40 < 60 == found.pairs


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (drive(FEWEST_PAIRS - 1), drive(FEWEST_PAIRS - 1), "9 pairs of poses, at least 10"),
        (drive(width=0.001), drive(width=0.001), "about the axis -?1.00 .* on a line along it, within 0.1 cm"),
        (drive(width=0.001, length=0.002), drive(width=0.001, length=0.002), "within 0.1 cm of a point"),
        (noisy(drive(), 0.3, 0.01), drive(), "the poses do not fit: median residual 4.* cm"),
        (noisy(drive(), 0.01, 0.3), drive(), "the poses do not fit: median residual .* deg of 40 pairs, at most 20 cm"),
    ],
    ids=["few", "line", "point", "far", "turned"],
)  # fmt: skip
def test_what_does_not_determine_the_transform_is_refused(source: np.ndarray, target: np.ndarray, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        align_map(source, target)


def test_the_orientations_of_one_camera_determine_the_transform_of_a_straight_drive() -> None:
    poses = drive(400, width=0.001)
    found = align_map(noisy(poses, 0.01, 0.01), TRUE @ poses, same_camera=True)
    error = pose_error(found.map_from_place, TRUE)
    assert error.translation_m < 0.005
    assert error.rotation_rad < 0.002


def test_the_map_is_changed_as_a_whole_and_keeps_the_residuals(tmp_path: Path) -> None:
    directory = tmp_path / "office"
    write_map(directory, make_map(), {"network": {"float32": NETWORK}}, PREVIEW)
    before = read_map(directory)
    after = place_map(directory, None, "map", TRUE, {"frame": "map", "median_cm": 1.5})
    manifest = after.landmark_map.manifest
    assert manifest.places[0].frame_id == "map_visual"
    assert manifest.frame_id == "map"
    found = map_from_place(manifest, None)
    assert found is not None
    np.testing.assert_allclose(found, TRUE, atol=1e-9)
    assert manifest.accuracy["alignment"]["map"] == {"frame": "map", "median_cm": 1.5}
    assert after.map_id != before.map_id
    same = [name for name in before.files if name != "map.yaml"]
    assert all(before.files[name] == after.files[name] for name in same)
    assert len(same) >= 4
    again = place_map(directory, "map", "grid", TRUE, {}).landmark_map.manifest
    assert (again.frame_id, again.places[0].frame_id) == ("grid", "map_visual")


def test_places_of_one_map_cannot_lie_in_two_frames() -> None:
    manifest = joined_map().manifest
    first, second = manifest.place_names[:2]
    one = placed(manifest, first, "grid", TRUE, {})
    assert one.frames == ("grid", manifest.places[1].frame_id)
    assert placed(one, second, "grid", TRUE, {}).frames == ("grid",)
    assert all(place.map_from_place is None for place in unplaced(one).places)
    with pytest.raises(MapError, match=f"place '{first}' lies in the frame 'grid' already"):
        placed(one, second, "other", TRUE, {})


def test_poses_are_published_in_the_frame_of_the_map() -> None:
    manifest, rng = make_map().manifest, np.random.default_rng(0)
    camera, root = random_pose(), rng.normal(size=(6, 6))
    points = Correspondences(rng.normal(size=(4, 2)), rng.normal(size=(4, 3)), np.ones(4), np.arange(4, dtype=np.int32))
    estimate = PoseEstimate(camera, root @ root.T, points, np.ones(4, dtype=bool), 1.0)
    assert in_map_frame(estimate, manifest) is estimate
    moved = in_map_frame(estimate, placed(manifest, None, "grid", TRUE, {}))
    np.testing.assert_allclose(moved.map_from_camera, TRUE @ camera, atol=1e-12)
    np.testing.assert_allclose(  # the points are where they were, for the camera
        np.linalg.inv(moved.map_from_camera) @ np.column_stack([moved.correspondences.points, np.ones(4)]).T,
        np.linalg.inv(camera) @ np.column_stack([points.points, np.ones(4)]).T, atol=1e-9,
    )  # fmt: skip
    direction = rng.normal(size=3)
    for part in (slice(0, 3), slice(3, 6)):
        turned = TRUE[:3, :3] @ direction
        along = direction @ estimate.covariance[part, part] @ direction
        assert turned @ moved.covariance[part, part] @ turned == pytest.approx(along)


def test_the_command_aligns_a_map_to_poses_of_another_frame(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory, images = tmp_path / "room", tmp_path / "images"
    shutil.copytree(shipped("maps/demo_room"), directory)
    drive = open_dataset("synthetic_room", None, "small")
    write_folder(images, [drive.frame(int(index)) for index in np.linspace(0, len(drive) - 1, 12)])
    command = ["align", str(directory), "--dataset", "folder", "--root", str(images), "--to", str(images / "poses.txt")]
    assert main([*command, "--frame-id", "grid", "--threads", "1"]) == 0
    manifest = read_map(directory).landmark_map.manifest
    found = map_from_place(manifest, None)
    assert found is not None
    assert pose_error(found, TRUE).translation_m < 0.03
    assert manifest.frame_id == "grid"
    assert manifest.accuracy["alignment"]["map"]["pairs"] >= FEWEST_PAIRS
    assert "residuals: median" in capsys.readouterr().out
    image = sorted((images / "images").iterdir())[0]
    assert main(["localize", str(image), "--map", str(directory), "--json", "--threads", "1"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["frame_id"] == "grid"
    recorded = open_dataset("folder", images, "all").map_from_camera(0)
    assert pose_error(np.array(told["map_from_camera"]), recorded).translation_m < 0.05
    assert main([*command[:2], "--to", "poses.tum"]) == 1
    assert "give the images of the place" in capsys.readouterr().err


def write_folder(root: Path, frames: Sequence[Frame]) -> None:
    """Frames as a folder, with poses in another frame."""
    (root / "images").mkdir(parents=True)
    rows = []
    for frame in frames:
        name = frame.name.replace("/", "_")
        cv2.imwrite(str(root / f"images/{name}.png"), cv2.cvtColor(frame.image.rgb, cv2.COLOR_RGB2BGR))
        rows.append(f"{name} {pose_columns(TRUE @ frame.map_from_camera)}\n")
    (root / "poses.txt").write_text("".join(rows))
    (root / "camera.txt").write_text(camera_line(frames[0].image.camera) + "\n")
