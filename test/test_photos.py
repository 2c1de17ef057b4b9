"""Photos and videos as they come from a phone: turned by EXIF, of several sizes, cut off."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from vloc_ros.datasets import Dataset, open_dataset
from vloc_ros.datasets.dataset_files import read_image
from vloc_ros.datasets.folder import read_poses, write_tables
from vloc_ros.datasets.photo_export import export_photos, farthest
from vloc_ros.datasets.photos import PhotoOptions, unpack_photos
from vloc_ros.datasets.video import video_frames
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.mapping.sfm.guess import guessed_camera

WIDTH = 48
PLAIN = PhotoOptions()


def picture(index: int, width: int = 64, height: int = 48) -> np.ndarray:
    """Bright at the top, so that one sees how it is turned."""
    image = np.random.default_rng(index).integers(0, 80, (height, width, 3), dtype=np.uint8)
    image[: height // 4] += 150
    return image


def jpeg(image: np.ndarray, orientation: int | None = None) -> bytes:
    """A JPEG, with EXIF data that tell its orientation."""
    data = cv2.imencode(".jpg", image)[1].tobytes()
    if orientation is None:
        return data
    entry = struct.pack("<HHI", 0x0112, 3, 1) + struct.pack("<HH", orientation, 0)
    exif = b"Exif\0\0" + b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


def directory(path: Path, count: int = 10, **sizes: int) -> Path:
    path.mkdir()
    for index in range(count):
        (path / f"{index}.jpg").write_bytes(jpeg(picture(index, **sizes)))
    return path


def test_images_are_scaled_and_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    photos = unpack_photos(directory(tmp_path / "photos", 11), tmp_path / "out", WIDTH, PLAIN)
    assert photos.names == tuple(str(index) for index in range(11))
    assert photos.size == (48, 36)
    for file in photos.files:
        assert read_image(file).shape == (36, 48, 3)


def test_small_images_are_taken_as_they_are_and_once(tmp_path: Path) -> None:
    root = directory(tmp_path / "photos")
    photos = unpack_photos(root, tmp_path / "out", 640, PLAIN)
    assert photos.files[3].read_bytes() == (root / "3.jpg").read_bytes()
    photos.files[3].write_bytes(b"kept")
    assert unpack_photos(root, tmp_path / "out", 640, PLAIN) == photos
    assert photos.files[3].read_bytes() == b"kept"
    (root / "10.jpg").write_bytes(jpeg(picture(10)))
    assert len(unpack_photos(root, tmp_path / "out", 640, PLAIN).names) == 11
    assert photos.files[3].read_bytes() != b"kept"


def test_exif_turns_images_upright(tmp_path: Path) -> None:
    root = directory(tmp_path / "photos")
    for index in range(10):
        lying = np.ascontiguousarray(np.rot90(picture(index, 48, 64)))  # 6: it has to be turned clockwise
        (root / f"{index}.jpg").write_bytes(jpeg(lying, 6))
    photos = unpack_photos(root, tmp_path / "out", 640, PLAIN)
    assert photos.size == (48, 64)
    upright = cv2.imread(str(photos.files[0]), cv2.IMREAD_IGNORE_ORIENTATION | cv2.IMREAD_COLOR)
    assert upright is not None
    assert upright[:16].mean() > upright[16:].mean() + 100


def test_images_of_two_sizes_are_refused(tmp_path: Path) -> None:
    root = directory(tmp_path / "photos")
    (root / "a.jpg").write_bytes(jpeg(picture(0), 6))
    with pytest.raises(DatasetError, match=r"2 sizes, turned upright as EXIF says: 10 of 64x48 \('0'\), 1 of 48x64"):
        unpack_photos(root, tmp_path / "out", WIDTH, PLAIN)


def test_one_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="1 images are too few for a map, at least 10"):
        unpack_photos(directory(tmp_path / "photos", 1), tmp_path / "out", WIDTH, PLAIN)


def test_what_is_no_image_is_said(tmp_path: Path) -> None:
    root = directory(tmp_path / "photos", 2)
    (root / "1.jpg").write_bytes(jpeg(picture(0))[:200])
    with pytest.raises(DatasetError, match=r"1\.jpg: truncated"):
        unpack_photos(root, tmp_path / "out", WIDTH, PLAIN)
    (root / "2.HEIC").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"1 \.heic: images have to be converted to JPEG.*; `heif-convert` does it"):
        unpack_photos(root, tmp_path / "out", WIDTH, PLAIN)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty: no images"):
        unpack_photos(tmp_path / "empty", tmp_path / "out", WIDTH, PLAIN)
    with pytest.raises(DatasetError, match="nowhere: no such"):
        unpack_photos(tmp_path / "nowhere", tmp_path / "out", WIDTH, PLAIN)
    with pytest.raises(DatasetError, match="neither a directory of images nor a video"):
        unpack_photos(root / "0.jpg", tmp_path / "out", WIDTH, PLAIN)


def test_what_other_systems_leave_beside_photos_is_no_photo(tmp_path: Path) -> None:
    root = directory(tmp_path / "photos")
    (root / "._0.jpg").write_bytes(b"\0\5\x16\7")
    (root / ".thumbnails").mkdir()
    (root / ".thumbnails" / "0.jpg").write_bytes(jpeg(picture(0)[::4, ::4]))
    assert len(unpack_photos(root, tmp_path / "out", WIDTH, PLAIN).names) == 10


def test_names_have_no_blanks_and_are_there_once(tmp_path: Path) -> None:
    root = directory(tmp_path / "photos")
    (root / "0.jpg").rename(root / "IMG 0.jpg")
    assert "IMG_0" in unpack_photos(root, tmp_path / "out", WIDTH, PLAIN).names
    (root / "1.png").write_bytes(cv2.imencode(".png", picture(1))[1].tobytes())
    with pytest.raises(DatasetError, match="another image of the name '1'"):
        unpack_photos(root, tmp_path / "out", WIDTH, PLAIN)


def test_a_camera_is_of_the_upright_images(tmp_path: Path) -> None:
    root, camera = directory(tmp_path / "photos"), tmp_path / "camera.txt"
    camera.write_text("64 48 60 60 31.5 23.5\n")
    found = unpack_photos(root, tmp_path / "out", WIDTH, PhotoOptions(camera)).camera
    assert found is not None
    assert (found.width, found.height, found.fx, found.cx) == (48, 36, 45, 23.5)
    camera.write_text("48 64 60 60 23.5 31.5\n")
    with pytest.raises(DatasetError, match=r"a camera of 48x64 pixels, the images of .*photos are 64x48"):
        unpack_photos(root, tmp_path / "out", WIDTH, PhotoOptions(camera))


def video(path: Path, frames: int = 60) -> Path:
    """Ten images a second; every second one is blurred."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    for index in range(frames):
        image = picture(index // 2)
        writer.write(cv2.GaussianBlur(image, (0, 0), 2.0) if index % 2 else image)
    writer.release()
    return path


def test_a_video_gives_sharp_images_at_a_rate(tmp_path: Path) -> None:
    photos = unpack_photos(video(tmp_path / "walk.avi"), tmp_path / "out", WIDTH, PhotoOptions(frame_rate=2.5))
    assert len(photos.names) == 15
    assert all(round(10 * float(name)) % 2 == 0 for name in photos.names)


def test_a_video_that_ends_early_is_used_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = video(tmp_path / "walk.avi").read_bytes()
    (tmp_path / "short.avi").write_bytes(whole[: len(whole) * 2 // 3])
    said: list[str] = []
    frames = list(video_frames(tmp_path / "short.avi", 2.0, said.append, lambda done, total: None))
    assert 5 <= len(frames) < 12
    assert len(said) == 1
    assert "the video ends early" in said[0]


def test_frames_become_photos(tmp_path: Path) -> None:
    camera = Camera(64, 48, 54.0, 54.0, 31.5, 23.5)
    frames = folder_of(tmp_path / "folder", camera)
    poses = export_photos(tmp_path / "photos", frames, [0, 2])
    assert list(poses) == ["IMG_0001", "IMG_0002"]
    first, other, metres = farthest(poses)
    assert (first, other) == ("IMG_0001", "IMG_0002")
    assert metres == pytest.approx(0.2)
    focal, known = guessed_camera(tmp_path / "photos/IMG_0002.jpg", (64, 48))
    assert known
    assert focal == pytest.approx(54, rel=0.02)  # EXIF has whole millimetres
    written = read_poses(tmp_path / "photos.tum")
    np.testing.assert_allclose(written["IMG_0002"], frames.map_from_camera(2), atol=1e-8)
    with pytest.raises(ConfigError, match="photos: is there already"):
        export_photos(tmp_path / "photos", frames, [0])


def folder_of(root: Path, camera: Camera) -> Dataset:
    (root / "images").mkdir(parents=True)
    for index in range(3):
        (root / f"images/{index}.jpg").write_bytes(jpeg(picture(index)))
    poses = {str(index): from_quaternion((0, 0, 0, 1), (0.1 * index, 0, 0)) for index in range(3)}
    write_tables(root, camera, poses)
    return open_dataset("folder", root, "all")


def test_a_video_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "walk.mp4").write_bytes(b"\0" * 500)
    with pytest.raises(DatasetError, match=r"walk\.mp4: not a video"):
        unpack_photos(tmp_path / "walk.mp4", tmp_path / "out", WIDTH, PLAIN)
    with pytest.raises(ConfigError, match="--frame-rate 0: must be above 0"):
        PhotoOptions(frame_rate=0)
