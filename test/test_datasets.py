"""The readers of posed images: both 7-Scenes layouts, the user's folder, and everything that can be wrong with them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vloc_ros.core.camera import Camera
from vloc_ros.core.transforms import apply, from_quaternion, invert, to_quaternion
from vloc_ros.datasets import DATASETS, Dataset, Frame, open_dataset
from vloc_ros.datasets.registration import register_depth
from vloc_ros.datasets.seven_scenes import COLOUR_FROM_DEPTH, DEPTH_CAMERA
from vloc_ros.errors import DatasetError

RNG = np.random.default_rng(7)
FOLDER_NAMES = ("a", "b", "sub.dir/c")


def random_pose() -> NDArray[np.float64]:
    return from_quaternion(RNG.normal(size=4), RNG.normal(size=3))


def write_image(path: Path, width: int, height: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tiles = RNG.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    cv2.imwrite(str(path), cv2.resize(tiles, (width, height), interpolation=cv2.INTER_NEAREST))


def write_depth(path: Path, width: int, height: int, millimetres: int = 2000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    depth = np.full((height, width), millimetres, np.uint16)
    depth[0], depth[-1] = 0, 65535
    cv2.imwrite(str(path), depth)


def pose_columns(pose: NDArray[np.float64]) -> str:
    return " ".join(f"{value:.9f}" for value in (*pose[:3, 3], *to_quaternion(pose[:3, :3])))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "mine"
    for name, ending in zip(FOLDER_NAMES, ("jpg", "jpeg", "png"), strict=True):
        write_image(root / "images" / f"{name}.{ending}", 64, 48)
        write_depth(root / "depth" / f"{name}.png", 64, 48)
    (root / "camera.txt").write_text("# my camera\n64 48 50 51 31.5 23.5 0.1 -0.2 0.001 0 # k1 k2 p1 p2\n")
    (root / "poses.txt").write_text(
        "# poses\n\n" + "".join(f"{n} {pose_columns(random_pose())}\n" for n in FOLDER_NAMES)
    )
    (root / "split_train.txt").write_text("sub.dir/c\na\n")
    return root


def write_scene(root: Path, ending: str, sequences: dict[int, int]) -> Path:
    for sequence, count in sequences.items():
        for i in range(count):
            base = root / f"seq-{sequence:02d}" / f"frame-{i:06d}"
            write_image(base.with_name(base.name + f".color.{ending}"), 640, 480)
            write_depth(base.with_name(base.name + ".depth.png"), 640, 480)
            np.savetxt(base.with_name(base.name + ".pose.txt"), random_pose())
    return root


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """The official layout."""
    root = write_scene(tmp_path / "scene", "png", {1: 2, 2: 1})
    (root / "TrainSplit.txt").write_text("sequence1\r\n")
    (root / "TestSplit.txt").write_text("sequence2\r\n")
    return root


@pytest.fixture
def subset(tmp_path: Path) -> Path:
    """The layout with lists of frames, of which the test frames have no depth."""
    root = write_scene(tmp_path / "subset", "jpg", {1: 3})
    (root / "split_train.txt").write_text("seq-01/frame-000000\nseq-01/frame-000002\n")
    (root / "split_hard_test.txt").write_text("seq-01/frame-000001\n")
    (root / "seq-01" / "frame-000001.depth.png").unlink()
    return root


def write_pseudo_truth(path: Path, poses: dict[str, NDArray[np.float64]], focal: float = 525.5) -> Path:
    lines = []
    for name, map_from_camera in poses.items():
        camera_from_map = invert(map_from_camera)
        x, y, z, w = to_quaternion(camera_from_map[:3, :3])
        lines.append(" ".join(map(str, (name, w, x, y, z, *camera_from_map[:3, 3], focal))))
    path.write_text("\n".join(lines) + "\n")
    return path


def fault(kind: str, root: Path | None, split: str = "all", poses: Path | None = None, *, depth: bool = True) -> str:
    """The message of the DatasetError that reading all frames ends in."""
    with pytest.raises(DatasetError) as info:
        read_all(open_dataset(kind, root, split, poses), depth=depth)
    message = str(info.value)
    assert "\n" not in message
    return message


def read_all(dataset: Dataset, *, depth: bool) -> list[Frame]:
    return [dataset.frame(i, depth=depth) for i in range(len(dataset))]


# ---------------------------------------------------------------------------------------------------------- opening


def test_unknown_kind_lists_the_known_ones() -> None:
    with pytest.raises(DatasetError, match="'eth3d'.*" + ".*".join(DATASETS)):
        open_dataset("eth3d", None, "train")


@pytest.mark.parametrize("kind", ["seven_scenes", "folder"])
def test_root_must_be_given_and_be_there(kind: str, tmp_path: Path) -> None:
    assert "root" in fault(kind, None)
    assert str(tmp_path / "none") in fault(kind, tmp_path / "none")
    assert str(tmp_path) in fault(kind, tmp_path)  # an empty directory


# ----------------------------------------------------------------------------------------------------------- folder


def test_folder_gives_what_was_written(folder: Path) -> None:
    dataset = open_dataset("folder", folder, "all")
    assert dataset.names == FOLDER_NAMES
    assert dataset.has_depth
    rows = [line.split() for line in (folder / "poses.txt").read_text().splitlines()[2:]]
    for i, frame in enumerate(read_all(dataset, depth=True)):
        assert frame.image.camera == dataset.camera(i) == Camera(64, 48, 50, 51, 31.5, 23.5, (0.1, -0.2, 0.001, 0.0))
        assert frame.image.rgb.shape == (48, 64, 3)
        assert frame.depth is not None
        assert np.unique(frame.depth[1:-1]).tolist() == [2.0]
        assert not frame.depth[[0, -1]].any(), "0 and 65535 are unknown"
        np.testing.assert_allclose(dataset.map_from_camera(i)[:3, 3], np.array(rows[i][1:4], float))
        np.testing.assert_allclose(
            to_quaternion(frame.map_from_camera[:3, :3]), np.array(rows[i][4:], float), atol=1e-8
        )


def test_images_are_rgb(folder: Path) -> None:
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 2] = 255  # OpenCV writes BGR
    cv2.imwrite(str(folder / "images" / "sub.dir" / "c.png"), red)
    rgb = open_dataset("folder", folder, "train").frame(0).image.rgb
    assert rgb[0, 0].tolist() == [255, 0, 0]


def test_splits_of_a_folder(folder: Path, tmp_path: Path) -> None:
    assert open_dataset("folder", folder, "train").names == ("sub.dir/c", "a")
    chosen = tmp_path / "chosen.txt"
    chosen.write_text("# mine\nb\n")
    assert open_dataset("folder", folder, str(chosen)).names == ("b",)
    assert "it has all, train" in fault("folder", folder, "tset")
    assert "nowhere.txt" in fault("folder", folder, "nowhere.txt")
    chosen.write_text("b\na\nb\n")
    assert "'b' is listed 2 times" in fault("folder", folder, str(chosen))
    chosen.write_text("b\nghost\n")
    assert "'ghost' has no pose" in fault("folder", folder, str(chosen))
    chosen.write_text("\n# nothing\n")
    assert "chosen.txt" in fault("folder", folder, str(chosen))


def test_folder_takes_other_poses(folder: Path, tmp_path: Path) -> None:
    pose = random_pose()
    (tmp_path / "better.txt").write_text(f"b {pose_columns(pose)}\n")
    dataset = open_dataset("folder", folder, "all", tmp_path / "better.txt")
    assert dataset.names == ("b",)
    np.testing.assert_allclose(dataset.map_from_camera(0), pose, atol=1e-8)


def test_folder_without_depth(folder: Path) -> None:
    for path in (folder / "depth").rglob("*.png"):
        path.unlink()
    dataset = open_dataset("folder", folder, "all")
    assert not dataset.has_depth
    assert all(frame.depth is None for frame in read_all(dataset, depth=False))
    assert str(folder / "depth" / "a.png") in fault("folder", folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 lines"),
        ("64 48\n", "line 1: 2 numbers"),
        ("64 48 0 0 0 0\n", "focal"),
        ("64 48 50 50 nan 24\n", "not finite"),
        ("64 48 50 fifty 32 24\n", "'fifty' is not a number"),
        ("64.5 48 50 50 32 24\n", "whole number"),
        ("64 48 50 50 32 24 0.1\n", "distortion"),
        ("64 48 50 50 32 24\n64 48 50 50 32 24\n", "2 lines"),
        ("\xff\xfe", "not a text file"),
    ],
)
def test_faulty_camera(folder: Path, text: str, said: str) -> None:
    (folder / "camera.txt").write_bytes(text.encode("latin-1"))
    message = fault("folder", folder)
    assert str(folder / "camera.txt") in message
    assert said in message


def test_missing_camera_and_poses(folder: Path) -> None:
    (folder / "poses.txt").unlink()
    assert str(folder / "poses.txt") in fault("folder", folder)
    (folder / "camera.txt").unlink()
    assert str(folder / "camera.txt") in fault("folder", folder)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("b 0 0 0 0 0 0\n", "line 2: 7 columns"),
        ("b 0 0 x 0 0 0 1\n", "line 2: 'x' is not a number"),
        ("b nan 0 0 0 0 0 1\n", "line 2: nan 0 0 0 0 0 1 has a value that is not finite"),
        ("b 0 0 0 0 0 0 0\n", "line 2: the quaternion has length 0"),
        ("b 0 0 0 1 2 3 4\n", "line 2: the quaternion has length 5.48"),
        ("a 0 0 0 0 0 0 1\n", "line 2: 'a' is there already, in line 1"),
    ],
)
def test_faulty_poses(folder: Path, line: str, said: str) -> None:
    (folder / "poses.txt").write_text("a 0 0 0 0 0 0 1\n" + line)
    message = fault("folder", folder)
    assert str(folder / "poses.txt") in message
    assert said in message


@pytest.mark.parametrize("name", ["images/a.jpg", "images/sub.dir/c.png", "depth/a.png"])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.9, -3])
def test_truncated_image(folder: Path, name: str, kept: float) -> None:
    path = folder / name
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if kept >= 0 else int(kept)])
    message = fault("folder", folder)
    assert message.startswith(f"{path}: ")
    assert any(word in message for word in ("empty", "truncated", "neither"))


def test_thumbnail_does_not_hide_a_truncated_photo(folder: Path) -> None:
    path = folder / "images" / "a.jpg"
    photo = path.read_bytes()
    thumbnail = b"Exif\0\0" + photo  # a whole JPEG, with its end marker, inside an application segment
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    path.write_bytes(photo[:2] + segment + photo[2:])
    open_dataset("folder", folder, "all").frame(0)
    path.write_bytes((photo[:2] + segment + photo[2:])[:-20])
    assert "truncated" in fault("folder", folder)


def test_damaged_image(folder: Path) -> None:
    path = folder / "depth" / "a.png"
    data = bytearray(path.read_bytes())
    data[20] ^= 0xFF  # the header's width or height; its checksum fails
    path.write_bytes(bytes(data))
    assert f"{path}: damaged" in fault("folder", folder)
    path.write_text("hello")
    assert f"{path}: neither" in fault("folder", folder)


def test_missing_or_mis_sized_image(folder: Path) -> None:
    write_image(folder / "images" / "b.jpeg", 48, 64)
    assert f"{folder / 'images' / 'b.jpeg'}: 48x64 pixels, but its camera has 64x48" in fault("folder", folder)
    (folder / "images" / "b.jpeg").unlink()
    assert str(folder / "images" / "b") in fault("folder", folder)


def test_faulty_depth(folder: Path) -> None:
    path = folder / "depth" / "b.png"
    write_depth(path, 32, 24)
    assert f"{path}: 32x24 pixels" in fault("folder", folder)
    cv2.imwrite(str(path), np.ones((48, 64), np.uint8))
    assert f"{path}: depth must be one channel of 16 bits, this is 1 of uint8" in fault("folder", folder)
    cv2.imwrite(str(path), np.ones((48, 64, 3), np.uint16))
    assert "3 of uint16" in fault("folder", folder)
    path.unlink()
    assert str(path) in fault("folder", folder)
    assert open_dataset("folder", folder, "all").has_depth


# ------------------------------------------------------------------------------------------------------ seven_scenes


def test_official_layout(scene: Path) -> None:
    train = open_dataset("seven_scenes", scene, "train")
    assert train.names == ("seq-01/frame-000000", "seq-01/frame-000001")
    assert open_dataset("seven_scenes", scene, "test").names == ("seq-02/frame-000000",)
    assert len(open_dataset("seven_scenes", scene, "all")) == 3
    assert train.has_depth
    frame = train.frame(1, depth=True)
    assert frame.image.camera == Camera(640, 480, 525.0, 525.0, 320.0, 240.0)
    map_from_depth = np.loadtxt(scene / "seq-01" / "frame-000001.pose.txt")
    np.testing.assert_allclose(frame.map_from_camera @ COLOUR_FROM_DEPTH, map_from_depth, atol=1e-9)


def test_subset_layout(subset: Path) -> None:
    train = open_dataset("seven_scenes", subset, "train")
    assert train.names == ("seq-01/frame-000000", "seq-01/frame-000002")
    assert train.has_depth
    test = open_dataset("seven_scenes", subset, "hard_test")
    assert not test.has_depth
    assert test.frame(0).depth is None
    assert "frame-000001.depth.png" in fault("seven_scenes", subset, "hard_test")
    assert "it has all, hard_test, train" in fault("seven_scenes", subset, "test")


@pytest.mark.parametrize("ending", ["", ".color.png"])
def test_pseudo_ground_truth(subset: Path, tmp_path: Path, ending: str) -> None:
    names = open_dataset("seven_scenes", subset, "train").names
    poses = {name: random_pose() for name in names}
    path = write_pseudo_truth(tmp_path / "pgt.txt", {name + ending: pose for name, pose in poses.items()})
    dataset = open_dataset("seven_scenes", subset, "train", path)
    for i, name in enumerate(names):
        np.testing.assert_allclose(dataset.map_from_camera(i), poses[name], atol=1e-9)
        assert dataset.camera(i).fx == dataset.camera(i).fy == 525.5
    message = fault("seven_scenes", subset, "all", path)
    assert "no pose for 1 of 3 frames, the first is 'seq-01/frame-000001'" in message
    assert str(path) in message


def test_faulty_pseudo_ground_truth(subset: Path, tmp_path: Path) -> None:
    path = tmp_path / "pgt.txt"
    for text, said in (
        ("seq-01/frame-000000 1 0 0 0 0 0 0\n", "line 1: 8 columns"),
        ("seq-01/frame-000000 1 0 0 0 0 0 0 -5\n", "line 1: camera: focal"),
        ("seq-01/frame-000000 2 0 0 0 0 0 0 525\n", "line 1: the quaternion has length 2"),
        ("a 1 0 0 0 0 0 0 525\na.color.png 1 0 0 0 0 0 0 525\n", "line 2: 'a' is there twice"),
        ("", "no line"),
    ):
        path.write_text(text)
        message = fault("seven_scenes", subset, "train", path)
        assert message.startswith(str(path))
        assert said in message
    assert "none.txt" in fault("seven_scenes", subset, "train", tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m * np.diag([2.0, 1, 1, 1]), "orthonormal"),
        (lambda m: m @ np.diag([-1.0, 1, 1, 1]), "mirrors"),
        (lambda m: np.where(np.eye(4)[::-1] > 0, np.nan, m), "not finite"),
        (lambda m: m[:3], "[4, 4, 4]"),
    ],
)
def test_faulty_kinect_pose(scene: Path, change, said: str) -> None:  # type: ignore[no-untyped-def]
    path = scene / "seq-01" / "frame-000001.pose.txt"
    np.savetxt(path, change(np.loadtxt(path)))
    message = fault("seven_scenes", scene, "train")
    assert message.startswith(str(path))
    assert said in message
    path.unlink()
    assert str(path) in fault("seven_scenes", scene, "train")


def test_faulty_sequences(scene: Path) -> None:
    (scene / "TrainSplit.txt").write_text("sequence1\nsequence7\n")
    assert str(scene / "seq-07") in fault("seven_scenes", scene, "train")
    (scene / "TrainSplit.txt").write_text("sequence1\nseq-01/frame-000000\n")
    assert "twice" in fault("seven_scenes", scene, "train")
    (scene / "TrainSplit.txt").write_text("")
    assert "TrainSplit.txt" in fault("seven_scenes", scene, "train")
    write_image(scene / "seq-02" / "frame-000000.color.png", 320, 240)
    assert "frame-000000.color.png: 320x240" in fault("seven_scenes", scene, "test")


# ------------------------------------------------------------------------------------------------------ registration


def depth_of_plane(camera: Camera, normal: NDArray[np.float64], distance: float) -> NDArray[np.float64]:
    """z of the plane normal . x = distance (normal in the camera's frame) for each pixel."""
    return np.asarray(distance / (camera.rays() @ normal))


def test_registering_to_the_same_camera_changes_nothing() -> None:
    depth = RNG.uniform(0.5, 4, (480, 640)).astype(np.float32)
    depth[RNG.random(depth.shape) < 0.3] = 0
    np.testing.assert_allclose(register_depth(depth, DEPTH_CAMERA, DEPTH_CAMERA, np.eye(4)), depth, rtol=1e-6)


def test_registered_plane_is_the_plane_and_has_no_holes() -> None:
    normal = np.array([0.4, -0.3, 0.86])
    normal /= np.linalg.norm(normal)
    depth = depth_of_plane(DEPTH_CAMERA, normal, 2.0)
    colour = Camera(640, 480, 525.0, 525.0, 320.0, 240.0)
    registered = register_depth(depth.astype(np.float32), DEPTH_CAMERA, colour, COLOUR_FROM_DEPTH)
    moved_normal = COLOUR_FROM_DEPTH[:3, :3] @ normal
    expected = depth_of_plane(colour, moved_normal, 2.0 + float(moved_normal @ COLOUR_FROM_DEPTH[:3, 3]))
    slope = max(float(np.abs(np.diff(expected, axis=axis)).max()) for axis in (0, 1))
    inside = registered[60:-60, 60:-60]
    assert (inside > 0).all()
    assert np.abs(inside - expected[60:-60, 60:-60]).max() < 1.01 * slope  # half a pixel in x and in y


def test_registration_agrees_with_a_slow_reference() -> None:
    depth = RNG.uniform(0.5, 4, (48, 64)).astype(np.float32)
    depth[RNG.random(depth.shape) < 0.3] = 0
    source, target = Camera(64, 48, 58.5, 57.0, 31.0, 24.0), Camera(60, 40, 52.0, 53.0, 30.0, 19.0)
    target_from_source = from_quaternion((0.02, -0.05, 0.01, 1.0), (0.05, -0.02, -1.0))  # some land behind the camera
    expected = np.zeros((40, 60))
    points = (source.rays() * depth[..., None])[depth > 0]
    pixels, z = target.project(apply(target_from_source, points))
    for (x, y), w in zip(pixels, z, strict=True):
        if w > 0 and -0.5 <= x < 59.5 and -0.5 <= y < 39.5:
            i, j = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
            expected[i, j] = min(expected[i, j] or np.inf, w)
    assert (expected > 0).sum() > 300
    np.testing.assert_allclose(register_depth(depth, source, target, target_from_source), expected, atol=1e-5)


def test_the_wall_does_not_shine_through_the_table() -> None:
    depth = np.full((480, 640), 3.0, np.float32)
    depth[150:350, 200:400] = 1.0
    colour = Camera(640, 480, 525.0, 525.0, 320.0, 240.0)
    registered = register_depth(depth, DEPTH_CAMERA, colour, COLOUR_FROM_DEPTH)
    near = (np.abs(registered - 1) < 0.05).astype(np.uint8)
    count, _, boxes, _ = cv2.connectedComponentsWithStats(near)
    assert count == 2
    left, top, width, height = boxes[1, :4]
    assert abs(width - 200 * 525 / 585) < 4
    assert abs(height - 200 * 525 / 585) < 4
    assert (near[top + 3 : top + height - 3, left + 3 : left + width - 3] == 1).all()
    assert (registered == 0).any(), "what only the colour camera sees, beside the table, is unknown"


# --------------------------------------------------------------------------------------------------------- real data


@pytest.mark.parametrize(
    ("split", "count", "has_depth"),
    [
        ("train", 650, True),
        ("test", 200, False),
        ("hard_train", 450, True),
        ("hard_test", 250, None),
        ("all", 850, True),
    ],
)
def test_redkitchen_splits(shared_data: Path, split: str, count: int, has_depth: bool | None) -> None:
    root = shared_data / "redkitchen"
    for poses in (root / "poses_sfm.txt", None):
        dataset = open_dataset("seven_scenes", root, split, poses)
        assert len(dataset) == len(set(dataset.names)) == count
        assert has_depth is None or dataset.has_depth == has_depth


def test_hololens_splits(shared_data: Path) -> None:
    counts = {split: len(open_dataset("folder", shared_data / "hololens", split)) for split in ("train", "test", "all")}
    assert counts == {"train": 283, "test": 50, "all": 333}


def warped_depth_errors(a: Frame, b: Frame) -> NDArray[np.float64]:
    """|depth that a predicts in b - depth of b| at every fourth pixel both know, metres."""
    assert a.depth is not None
    assert b.depth is not None
    known = np.zeros(a.depth.shape, bool)
    known[::4, ::4] = a.depth[::4, ::4] > 0
    points = a.image.camera.rays()[known] * a.depth[known][:, None]
    pixels, z = b.image.camera.project(apply(invert(b.map_from_camera) @ a.map_from_camera, points))
    x, y = np.rint(pixels).T
    seen = (z > 0) & (x >= 0) & (x < b.image.camera.width) & (y >= 0) & (y < b.image.camera.height)
    there = b.depth[y[seen].astype(int), x[seen].astype(int)]
    return np.asarray(np.abs(z[seen] - there)[there > 0])


@pytest.mark.parametrize("poses", ["poses_sfm.txt", None])
def test_registered_depth_agrees_between_frames(shared_data: Path, poses: str | None) -> None:
    root = shared_data / "redkitchen"
    dataset = open_dataset("seven_scenes", root, "train", root / poses if poses else None)
    for i, j in ((100, 120), (240, 280), (400, 415), (600, 620)):
        a, b = dataset.frame(i, depth=True), dataset.frame(j, depth=True)
        errors = warped_depth_errors(a, b)
        assert len(errors) > 5000
        assert np.median(errors) < 0.02  # not registered: 0.03 to 0.06 m


def test_hololens_depth_agrees_between_frames(shared_data: Path) -> None:
    dataset = open_dataset("folder", shared_data / "hololens", "train")
    errors = warped_depth_errors(dataset.frame(0, depth=True), dataset.frame(10, depth=True))
    assert np.median(errors) < 0.02


def test_registered_depth_edges_lie_on_colour_edges(shared_data: Path) -> None:
    """Moving the registered depth by six pixels any way takes its edges off the edges of the image."""
    root = shared_data / "redkitchen"
    dataset = open_dataset("seven_scenes", root, "train", root / "poses_sfm.txt")
    shifts = ((0, 0), (0, -6), (0, 6), (-6, 0), (6, 0))
    strengths = []
    for i in range(0, 650, 40):
        frame = dataset.frame(i, depth=True)
        assert frame.depth is not None
        grey = cv2.GaussianBlur(cv2.cvtColor(frame.image.rgb, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1)
        gradient = np.minimum(np.hypot(cv2.Sobel(grey, -1, 1, 0), cv2.Sobel(grey, -1, 0, 1)), 100)
        farthest = cv2.dilate(frame.depth, np.ones((5, 5), np.uint8))
        outline = (frame.depth > 0) & (farthest > frame.depth + 0.2)  # the near side of a jump
        strengths.append([gradient[np.roll(outline, shift, axis=(0, 1))].mean() / gradient.mean() for shift in shifts])
    there, *moved = np.mean(strengths, axis=0)
    assert there > 1.05 * max(moved), (there, moved)
