"""COLMAP models, written here by pycolmap itself: names, filters, pixels of other sizes, and models that do not fit."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pycolmap
import pytest
from support.mapping_scenes import CAMERA, WallAndBox, views

from vloc_ros.datasets.subset import Subset
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.mapping import colmap_model
from vloc_ros.mapping.colmap import match_images, read_colmap
from vloc_ros.mapping.colmap_depth import undistorted_views, with_model_depths
from vloc_ros.mapping.colmap_model import read_model
from vloc_ros.mapping.frame_features import FrameFeatures, quantized
from vloc_ros.mapping.reconstruct import reconstruct
from vloc_ros.mapping.sparse import SparsePoints

DATASET = WallAndBox(views(6))
POINTS = np.random.default_rng(0).uniform((-0.9, 1.9, -0.9), (0.9, 2.0, 0.9), (60, 3))
SHORT, BAD = 0, 1  # rows of a point that two images see, and of one with a large error


def write_model(
    directory: Path,
    dataset: WallAndBox = DATASET,
    names: str = "images/{}.jpg",
    moved: np.ndarray = POINTS,
    scale: float = 1.0,
    distortion: tuple[float, ...] = (),
    text: bool = False,
) -> Path:
    """A model whose images of `scale` times the size have noiseless keypoints of POINTS, which it says are `moved`."""
    model = pycolmap.Reconstruction()
    width, height = round(scale * CAMERA.width), round(scale * CAMERA.height)
    params = [scale * CAMERA.fx, scale * CAMERA.fy, scale * (CAMERA.cx + 0.5), scale * (CAMERA.cy + 0.5)]
    model.add_camera_with_trivial_rig(
        pycolmap.Camera(model="PINHOLE", width=width, height=height, params=params, camera_id=1)
    )
    for index, name in enumerate(dataset.names, start=1):
        camera_points = apply(invert(dataset.map_from_camera(index - 1)), POINTS)
        coefficients = np.array(distortion)
        pixels, _ = cv2.projectPoints(camera_points, np.zeros(3), np.zeros(3), CAMERA.matrix, coefficients)
        keypoints = (pixels.reshape(-1, 2) + 0.5) * scale
        image = pycolmap.Image(name=names.format(name), keypoints=keypoints, camera_id=1, image_id=index)
        pose = pycolmap.Rigid3d(invert(dataset.map_from_camera(index - 1))[:3])
        model.add_image_with_trivial_frame(image, pose)
    for row, xyz in enumerate(moved):
        track = pycolmap.Track()
        for image_id in range(1, 3 if row == SHORT else len(dataset) + 1):
            track.add_element(image_id, row)
        model.points3D[model.add_point3D(xyz, track)].error = 5.0 if row == BAD else 0.5
    directory.mkdir()
    (model.write_text if text else model.write_binary)(directory)
    return directory


def rows_of(points: SparsePoints) -> set[int]:
    """Which of POINTS they are."""
    distances = np.linalg.norm(points.positions[:, None] - POINTS, axis=-1)
    assert distances.min(axis=1).max() < 1e-6
    return set(distances.argmin(axis=1).tolist())


@pytest.mark.parametrize("text", [False, True], ids=["bin", "txt"])
def test_a_model_gives_its_good_points_to_the_frames(tmp_path: Path, text: bool) -> None:
    points = read_colmap(write_model(tmp_path / "model", text=text), DATASET)
    assert rows_of(points) == set(range(len(POINTS))) - {SHORT, BAD}
    assert set(points.seen) == set(DATASET.names)
    for rows in points.seen.values():
        np.testing.assert_array_equal(rows, np.arange(len(POINTS) - 2))
    assert "6 of 6 frames" in points.summary(DATASET)


def test_images_of_another_size_are_the_same_images(tmp_path: Path) -> None:
    assert rows_of(read_colmap(write_model(tmp_path / "model", scale=2.0), DATASET))


def test_points_that_no_frame_of_the_data_set_sees_are_left_out(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    few = read_colmap(model, Subset(DATASET, [2, 4]))
    assert set(few.seen) == {"2", "4"}
    assert all((points < len(few.positions)).all() for points in few.seen.values())


def test_the_data_sets_lens_is_what_counts(tmp_path: Path) -> None:
    lens = replace(CAMERA, distortion=(-0.6, 0.3, 0.0, 0.0))

    class ThroughLens(WallAndBox):
        def camera(self, index: int) -> Camera:
            return lens

    model = write_model(tmp_path / "model", distortion=lens.distortion)
    assert rows_of(read_colmap(model, ThroughLens(DATASET.poses)))
    with pytest.raises(DatasetError, match=r"pixels \(median\)"):
        read_colmap(model, DATASET)


def features_of(dataset: WallAndBox, points: np.ndarray) -> FrameFeatures:
    """Key points of frames at some of POINTS, without depth."""
    rng = np.random.default_rng(1)
    descriptors = quantized(np.eye(len(POINTS), dtype=np.float32))
    parts = []
    for index in range(len(dataset)):
        pixels, _ = CAMERA.project(apply(invert(dataset.map_from_camera(index)), POINTS[points]))
        parts.append((pixels + rng.uniform(-0.3, 0.3, pixels.shape), np.zeros(len(points)), descriptors[points]))
    pixels, depths, described = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    starts = np.arange(len(dataset) + 1, dtype=np.int64) * len(points)
    return FrameFeatures(dataset.names, np.stack(dataset.poses), CAMERA, starts, pixels, depths, described)


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_key_points_near_the_models_have_its_points_depth(tmp_path: Path, scale: float) -> None:
    shown = np.arange(2, 40)
    features = features_of(DATASET, shown)
    model = write_model(tmp_path / "model", scale=scale)
    found = with_model_depths(features, undistorted_views(model, DATASET, CAMERA), model)
    true = np.concatenate([apply(invert(pose), POINTS[shown])[:, 2] for pose in DATASET.poses])
    near = np.abs(found.depths - true) < 0.01
    assert near.mean() > 0.9  # others of the model's may be nearer in the image
    tracks = reconstruct(found)
    apart = np.linalg.norm(tracks.positions[:, None] - POINTS[shown], axis=2).min(axis=1)
    assert len(tracks) > 0.9 * len(shown)
    assert np.median(apart) < 0.01


def test_poses_are_adjusted_to_the_models_observations_too(tmp_path: Path) -> None:
    """Those are exact here, and the key points are not."""
    rng = np.random.default_rng(3)
    views = undistorted_views(write_model(tmp_path / "model"), DATASET, CAMERA)
    exact = features_of(DATASET, np.arange(2, 40))
    poses = exact.map_from_camera.copy()
    poses[:, :3, 3] += rng.normal(0, 0.003, (len(poses), 3))
    features = replace(exact, map_from_camera=poses, pixels=exact.pixels + rng.normal(0, 1.0, exact.pixels.shape))
    features = with_model_depths(features, views, tmp_path / "model")
    found = [reconstruct(features, model=model) for model in (None, views)]
    apart = [
        np.linalg.norm(each.map_from_camera[:, :3, 3] - np.stack(DATASET.poses)[:, :3, 3], axis=1).mean()
        for each in found
    ]
    assert apart[1] < 0.9 * apart[0]
    assert abs(len(found[0]) - len(found[1])) <= 3  # the model's own points do not come into the map


def test_a_model_that_shows_other_things_than_the_key_points(tmp_path: Path) -> None:
    features = features_of(DATASET, np.arange(2, 40))
    model = write_model(tmp_path / "model")
    aside = replace(features, pixels=features.pixels + 1000.0)
    with pytest.raises(DatasetError, match="model: none of its points is within 3 pixels of a key point"):
        with_model_depths(aside, undistorted_views(model, DATASET, CAMERA), model)


def moved_aside(points: np.ndarray) -> np.ndarray:
    moved: np.ndarray = points + np.array([0.1, 0, 0])
    return moved


def in_feet(points: np.ndarray) -> np.ndarray:
    return points / 0.3048


def behind(points: np.ndarray) -> np.ndarray:
    moved: np.ndarray = points - np.array([0, 10, 0])
    return moved


@pytest.mark.parametrize("fault", [moved_aside, in_feet, behind])
def test_a_model_in_another_frame_is_refused(tmp_path: Path, fault: Callable[[np.ndarray], np.ndarray]) -> None:
    with pytest.raises(DatasetError, match=r"pixels \(median\) from where .* at most 1.6"):
        read_colmap(write_model(tmp_path / "model", moved=fault(POINTS)), DATASET)


def test_a_model_of_other_images_is_refused_with_examples(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none of the model's 6 images .* 'elsewhere-0.png' there, '0' here"):
        read_colmap(write_model(tmp_path / "model", names="elsewhere-{}.png"), DATASET)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such directory"):
        read_colmap(tmp_path / "missing", DATASET)
    with pytest.raises(DatasetError, match="no COLMAP model in it"):
        read_colmap(tmp_path, DATASET)
    (tmp_path / "cameras.bin").write_bytes(b"\1")
    with pytest.raises(DatasetError, match=r"cameras\.bin: damaged or cut short, 1 bytes are too few for 1 cameras"):
        read_colmap(tmp_path, DATASET)


@pytest.mark.parametrize("above", ["sparse", "."])
def test_the_directory_above_a_model_names_the_model(tmp_path: Path, above: str) -> None:
    model = tmp_path / "sparse" / "0"
    model.parent.mkdir()
    write_model(model)
    with pytest.raises(DatasetError, match=rf"no COLMAP model in it, .*; give one of {model}$"):
        read_colmap(tmp_path / above, DATASET)


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def countless(content: bytes) -> bytes:
    """It says that it has 2^60 of what it lists."""
    return (1 << 60).to_bytes(8, "little") + content[8:]


def endless_lists(content: bytes) -> bytes:
    """Whatever may be the length of a list inside is 2^40."""
    lengths = (len(POINTS), len(DATASET))
    for length in lengths:
        content = content[:8] + content[8:].replace(length.to_bytes(8, "little"), (1 << 40).to_bytes(8, "little"))
    return content


def other_numbers(content: bytes) -> bytes:
    """Numbers of cameras, images and points that are not there."""
    return content[:8] + bytes(255 if byte == 1 else byte for byte in content[8:])


@pytest.mark.parametrize("file", ["cameras.bin", "images.bin", "points3D.bin", "frames.bin", "rigs.bin"])
@pytest.mark.parametrize("damage", [cut, countless, endless_lists, other_numbers])
def test_a_damaged_model_is_one_line_in_bounded_time_and_memory(
    tmp_path: Path, file: str, damage: Callable[[bytes], bytes]
) -> None:
    path = write_model(tmp_path / "model") / file
    if not path.exists():
        pytest.skip(f"this pycolmap writes no {file}")
    content = path.read_bytes()
    path.write_bytes(damage(content))
    if damage(content) == content:
        pytest.skip("nothing of that kind is in it")
    tracemalloc.start()  # of this process; the one that runs pycolmap has limits of its own
    try:
        with pytest.raises(DatasetError, match=f"not a COLMAP model: |{file}: damaged or cut short, ") as error:
            read_model(path.parent)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if damage in (cut, countless):
        assert f"{file}: damaged or cut short" in str(error.value)
    assert "\n" not in str(error.value)
    assert peak_bytes < 10_000_000


@pytest.mark.parametrize("file", ["images.bin", "points3D.bin"])
def test_a_file_that_lacks_its_last_bytes_is_never_read_as_if_it_had_them(tmp_path: Path, file: str) -> None:
    path = write_model(tmp_path / "model") / file
    content = path.read_bytes()
    for length in (0, 7, 20, len(content) - 30, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(DatasetError, match=f"{file}: damaged or cut short"):
            read_model(path.parent)


def test_pycolmap_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colmap_model, "SECONDS", 0.01)
    with pytest.raises(DatasetError, match="reading it took more than"):
        read_model(write_model(tmp_path / "model"))


def test_images_of_another_shape_are_refused(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", text=True)
    cameras = (model / "cameras.txt").read_text()
    (model / "cameras.txt").write_text(cameras.replace("160 120", "160 160"))
    with pytest.raises(DatasetError, match="160x160, those of the data set 160x120"):
        read_colmap(model, DATASET)


@pytest.mark.parametrize(
    ("names", "images", "expected"),
    [
        (["a", "b"], ["b.png", "a.jpg", "c.jpg"], {"a": "a.jpg", "b": "b.png"}),
        (["seq-01/000"], ["seq-01/000.color.png"], {"seq-01/000": "seq-01/000.color.png"}),
        (["12.50", "12.75"], ["12.50.png", "12.75.png"], {"12.50": "12.50.png", "12.75": "12.75.png"}),
        (["a.jpg"], ["a.jpg"], {"a.jpg": "a.jpg"}),
        (["kitchen/a"], ["a.jpg"], {"kitchen/a": "a.jpg"}),
        (["a"], ["images/rgb/a.jpg"], {"a": "images/rgb/a.jpg"}),
        (["a"], ["left/a.jpg", "right/a.jpg"], {}),
        (["left/a", "right/a"], ["a.jpg"], {}),
        (["left/a"], ["right/a.jpg"], {}),
        (["a", "left/a"], ["a.jpg"], {"a": "a.jpg"}),
        (["a"], ["a.jpg", "left/a.jpg"], {"a": "a.jpg"}),
        (["a"], ["aa.jpg"], {}),
        (["t/ab"], ["left/ab.jpg"], {}),
    ],
)
def test_images_are_matched_by_name_if_nothing_else_can_be_meant(
    names: list[str], images: list[str], expected: dict[str, str]
) -> None:
    assert match_images(names, images) == expected
