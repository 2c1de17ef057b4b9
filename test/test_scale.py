"""Metres for reconstructions from images: from poses, distances and markers."""

import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.mapping_scenes import looking_at

from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import from_quaternion, nearest_rotation, pose_vector
from vloc_ros.mapping.sfm.markers import find_dictionary
from vloc_ros.mapping.sfm.scale import Distance, ScaledViews, ScaleOptions, check_scale, find_scale, parse_scale
from vloc_ros.mapping.sfm.similarity import Similarity, upright

CAMERA = Camera(320, 240, 280.0, 280.0, 159.5, 119.5)
PLACES = [(np.cos(a), np.sin(2 * a), 0.3 * np.sin(a)) for a in np.linspace(0, 2.5, 8)]
TRUE = np.stack([looking_at(place, (0.1, 3.0, 0.2)) for place in PLACES])
NAMES = tuple(f"walk/{index}.5" for index in range(8))
TURN = from_quaternion((0.1, 0.5, -0.3, 0.8), (0, 0, 0))[:3, :3]
OWN = Similarity(1 / 2.5, TURN, np.array([4.0, 5.0, 6.0]))  # the frame that structure from motion chose


def views(files: tuple[Path, ...] = ()) -> ScaledViews:
    return ScaledViews(NAMES, files, OWN.apply_to_poses(TRUE), CAMERA)


def write_poses(path: Path, rows: dict[str, np.ndarray]) -> Path:
    lines = (f"{name} {' '.join(str(value) for value in pose_vector(pose))}" for name, pose in rows.items())
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("naming", ["walk/{}.5", "{}.5", "{}.50000"])
def test_positions_of_some_images_give_the_frame(tmp_path: Path, naming: str) -> None:
    path = write_poses(tmp_path / "some.tum", {naming.format(row): TRUE[row] for row in (0, 2, 3, 5, 7)})
    scale = find_scale(views(), ScaleOptions(poses=path))
    np.testing.assert_allclose(scale.similarity.apply_to_poses(views().map_from_camera), TRUE, atol=1e-9)
    assert "5 images" in scale.lines[0]
    assert "0.00 cm off" in scale.lines[0]


def test_orientations_turn_more_exactly_than_positions_do(tmp_path: Path) -> None:
    poses = TRUE.copy()
    poses[:, :3, 3] += np.random.default_rng(0).normal(0, 0.02, (8, 3))
    path = write_poses(tmp_path / "some.tum", dict(zip(NAMES, poses, strict=True)))
    scale = find_scale(views(), ScaleOptions(poses=path))
    np.testing.assert_allclose(scale.similarity.rotation @ OWN.rotation, np.eye(3), atol=1e-9)
    assert "orientations 0.00 deg" in scale.lines[0]
    base_from_camera = from_quaternion((0.5, -0.5, 0.5, -0.5), (0, 0, 0))
    path = write_poses(tmp_path / "base.tum", dict(zip(NAMES, TRUE @ base_from_camera, strict=True)))
    scale = find_scale(views(), ScaleOptions(poses=path))
    np.testing.assert_allclose(scale.similarity.rotation @ OWN.rotation, np.eye(3), atol=1e-9)
    assert "orientations are not those of the camera" in scale.lines[0]


def test_a_position_that_is_far_off_is_left_out(tmp_path: Path) -> None:
    poses = TRUE.copy()
    poses[:, :3, 3] += np.random.default_rng(0).normal(0, 0.002, (8, 3))
    poses[4, 0, 3] += 3.0
    path = write_poses(tmp_path / "some.tum", dict(zip(NAMES, poses, strict=True)))
    scale = find_scale(views(), ScaleOptions(poses=path))
    assert scale.similarity.scale == pytest.approx(2.5, rel=0.01)
    assert "1 far off and left out" in scale.lines[0]


def test_poses_that_say_too_little_are_refused(tmp_path: Path) -> None:
    few = write_poses(tmp_path / "few.tum", dict(zip(NAMES[:2], TRUE[:2], strict=True)))
    with pytest.raises(DatasetError, match=r"few\.tum: poses of 2 of the images, at least 3"):
        find_scale(views(), ScaleOptions(poses=few))
    line = TRUE.copy()
    line[:, :3, 3] = np.linspace(0, 1, 8)[:, None]
    on_a_line = write_poses(tmp_path / "line.tum", dict(zip(NAMES, line, strict=True)))
    with pytest.raises(DatasetError, match=r"line\.tum: the positions lie on a line"):
        find_scale(views(), ScaleOptions(poses=on_a_line))


def test_images_that_are_not_there_are_said_before_the_reconstruction(tmp_path: Path) -> None:
    names = ("a/IMG_1", "b/IMG_1", "a/IMG_2_(x)")
    for first, second, said in (
        ("IMG_9", "IMG_2_(x)", "there is no image 'IMG_9'"),
        ("IMG_1", "IMG_2_(x)", "'IMG_1' may be 'a/IMG_1', 'b/IMG_1': say which"),
        ("a/IMG_1", "a/IMG_1.jpg", "are one image"),
    ):
        with pytest.raises(DatasetError, match=re.escape(said)):
            check_scale(ScaleOptions(distances=(Distance(first, second, 2.0),)), names)
    check_scale(ScaleOptions(distances=(Distance("b/IMG_1.JPG", "IMG 2 (x).jpg", 2.0),)), names)  # as files are called
    path = write_poses(tmp_path / "others.tum", {f"other{row}": TRUE[row] for row in range(5)})
    with pytest.raises(DatasetError, match="poses of 0 of the images"):
        check_scale(ScaleOptions(poses=path), NAMES)


def test_distances_give_the_scale_and_the_images_what_is_up() -> None:
    metres = [np.linalg.norm(TRUE[a, :3, 3] - TRUE[b, :3, 3]) for a, b in ((0, 4), (2, 7))]
    options = parse_scale([f"distance:walk/0.5.jpg,4.5,{metres[0]}", f"distance:2.5,7.5,{metres[1]}"])
    scale = find_scale(views(), options)
    assert scale.similarity.scale == pytest.approx(2.5)
    assert "2 distances" in scale.lines[0]
    upward = scale.similarity.rotation @ OWN.rotation @ (0, 0, 1)
    np.testing.assert_allclose(upward, (0, 0, 1), atol=1e-9)  # the cameras of `looking_at` are level
    wrong = replace(options, distances=(options.distances[0], replace(options.distances[1], metres=2 * metres[1])))
    assert "they disagree" in find_scale(views(), wrong).lines[0]
    with pytest.raises(DatasetError, match=r"no image 'nobody', or it has no pose; 'walk/0\.5' is one"):
        find_scale(views(), parse_scale(["distance:nobody,4.5,1"]))


def test_up_is_where_tops_point_even_if_cameras_look_down() -> None:
    poses = np.stack([looking_at((np.cos(a), np.sin(a), 2.0), (0, 0, 0)) for a in np.linspace(0, 5, 9)])
    rotation = upright(OWN.apply_to_poses(poses))
    assert np.linalg.det(rotation) == pytest.approx(1)
    np.testing.assert_allclose(rotation @ OWN.rotation @ (0, 0, 1), (0, 0, 1), atol=1e-9)


def marker_images(directory: Path, number: int, size_m: float) -> tuple[Path, ...]:
    """What the cameras see of a marker on a wall at y = 3."""
    dictionary = cv2.aruco.getPredefinedDictionary(find_dictionary("4x4_50"))
    side = 160
    sheet = np.pad(cv2.aruco.generateImageMarker(dictionary, number, side), 40, constant_values=255)
    pixel = size_m / side
    corners = np.array([(x, 3.0, z) for z in (0.5, -0.5) for x in (-0.5, 0.5)]) * (len(sheet) * pixel, 1, 240 * pixel)
    source = np.array([(-0.5, -0.5), (239.5, -0.5), (-0.5, 239.5), (239.5, 239.5)], np.float32)
    files = []
    for row, pose in enumerate(TRUE):
        pixels, _ = CAMERA.project((corners - pose[:3, 3]) @ pose[:3, :3])
        warp = cv2.getPerspectiveTransform(source, pixels.astype(np.float32))
        image = cv2.warpPerspective(sheet, warp, (320, 240), borderValue=200)
        files.append(directory / f"{row}.png")
        cv2.imwrite(str(files[-1]), image)
    return tuple(files)


def test_a_marker_of_known_size_gives_the_scale(tmp_path: Path) -> None:
    files = marker_images(tmp_path, 7, 0.5)
    scale = find_scale(views(files), parse_scale(["markers:0.5,4x4_50"]))
    assert scale.similarity.scale == pytest.approx(2.5, rel=0.01)
    assert "from 1 markers" in scale.lines[0]
    with pytest.raises(DatasetError, match=r"0 markers of apriltag_36h11 in 8 images.*right dictionary"):
        find_scale(views(files), parse_scale(["markers:0.5"]))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["markers:"], r"--scale markers:: the size is missing: markers:METRES"),
        (["markers"], r"the size is missing"),
        (["markers:0.1,5x9"], r"dictionary '5x9' is unknown, known are 4x4_100"),
        (["markers:-1"], r"a marker of -1 m cannot be"),
        (["distance:a,b"], r"expected distance:IMAGE,IMAGE,METRES"),
        (["distance:a,b,0"], r"more than 0 metres"),
        (["poses:"], r"--scale poses:: expected poses:FILE"),
        (["guess"], r"--scale guess: expected poses:FILE"),
        (["none"], r"--accept-no-scale makes it all the same"),
        (["markers:1", "distance:a,b,1"], r"give one, or several distances"),
        (["markers:1", "markers:2"], r"give one, or several distances"),
    ],
)
def test_what_makes_no_sense_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_scale(texts)


def test_no_scale_has_to_be_accepted() -> None:
    scale = find_scale(views(), parse_scale(["none"], accept_none=True))
    assert "nothing of this map is in metres" in scale.lines[0]


def test_the_nearest_rotation_of_a_matrix_is_never_a_reflection() -> None:
    rng = np.random.default_rng(5)
    rotation = Rotation.random(random_state=rng).as_matrix()
    np.testing.assert_allclose(nearest_rotation(3.0 * rotation), rotation, atol=1e-12)
    candidates = Rotation.random(500, random_state=rng).as_matrix()
    for matrix in (rng.normal(size=(3, 3)), np.diag([1.0, 2.0, -0.5]), np.diag([1.0, 1.0, 0.0])):
        nearest = nearest_rotation(matrix)
        assert np.linalg.det(nearest) == pytest.approx(1.0)
        assert (np.einsum("nij,ij->n", candidates, matrix) <= np.trace(nearest.T @ matrix) + 1e-12).all()
