"""correction.npz: it comes back, a map need not have it, and every kind of damage to it is named."""

import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import SHIPPED_MAP
from support.map_files import (
    DAMAGED_ARRAYS,
    NETWORK,
    PREVIEW,
    assert_no_npz_is_named,
    assert_only_map_errors,
    assert_other_files_are_named,
    make_map,
    npz,
    random_pose,
    refusal,
    replace_file,
)

from vloc_ros.cli import main
from vloc_ros.core.correction_field import CorrectionField, CorrectionKernel
from vloc_ros.core.types import PoseEstimate
from vloc_ros.datasets import open_dataset
from vloc_ros.geometry.pose_error import error_vector
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.localizer import open_localizer
from vloc_ros.maps import pack_map, read_map, unpack_map, upgrade_map, write_map
from vloc_ros.maps.correction_npz import KINDS, decode_correction, encode_correction

COUNT = 20


def make_field(offset: float = 0.0) -> CorrectionField:
    rng = np.random.default_rng(1)
    poses = np.stack([random_pose(rng) for _ in range(COUNT)])
    poses[:, :3, 3] += offset
    kernel = CorrectionKernel(0.15, 0.2)
    return CorrectionField(poses, rng.normal(0, 0.01, (COUNT, 6)), np.zeros(COUNT, np.int32), kernel)


@pytest.fixture
def correcting(tmp_path: Path) -> Path:
    """A map with a correction field."""
    landmark_map = replace(make_map(), correction=make_field())
    write_map(tmp_path / "map", landmark_map, {"network": {"float32": NETWORK}}, PREVIEW)
    return tmp_path / "map"


@pytest.mark.parametrize("offset", [0.0, 5e3])
def test_fields_come_back(tmp_path: Path, offset: float) -> None:
    field = make_field(offset)
    for name in ("map", "again"):
        landmark_map = replace(make_map(), correction=field)
        write_map(tmp_path / name, landmark_map, {"network": {"float32": NETWORK}}, PREVIEW)
    stored = read_map(tmp_path / "map")
    for read in (stored, unpack_map(pack_map(stored), "map/data")):
        found = read.landmark_map.correction
        assert found is not None
        assert len(found) == COUNT
        for pose, expected in zip(found.poses, field.poses, strict=True):
            assert np.abs(error_vector(pose, expected)).max() < 1e-4
        np.testing.assert_allclose(found.coefficients, field.coefficients, rtol=1e-3)
        np.testing.assert_array_equal(found.places, field.places)
        np.testing.assert_allclose(list(vars(found.kernel).values()), list(vars(field.kernel).values()), rtol=1e-6)
    assert stored.map_id == read_map(tmp_path / "again").map_id


def test_a_view_takes_forty_bytes() -> None:
    assert len(encode_correction(make_field())) < 40 * COUNT + 1200  # zip's own part


def test_a_map_need_not_have_one(office: Path) -> None:
    assert not (office / "correction.npz").exists()
    assert read_map(office).landmark_map.correction is None


def test_inspect_tells_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(SHIPPED_MAP, tmp_path / "map")
    stored = read_map(tmp_path / "map")
    landmark_map = replace(stored.landmark_map, correction=make_field())
    write_map(tmp_path / "map", landmark_map, stored.networks, PREVIEW)
    assert main(["inspect", str(tmp_path / "map")]) == 0
    said = capsys.readouterr().out
    assert "correction\n" in said
    assert "15 cm, 11.5 deg" in said


def test_upgrade_copies_it(correcting: Path, tmp_path: Path) -> None:
    _, after = upgrade_map(correcting, tmp_path / "copy")
    assert after is not None
    assert after.files["correction.npz"] == (correcting / "correction.npz").read_bytes()


def test_poses_move_by_it_and_stay_the_same_to_the_last_bit_without_it(tmp_path: Path) -> None:
    stored, frame = read_map(SHIPPED_MAP), open_dataset("synthetic_room", None, "small").frame(9)
    before = open_localizer(stored, "map").localize(frame.image)
    assert isinstance(before, PoseEstimate)
    step = np.array([0.01, -0.02, 0.005, 0.004, 0.001, -0.003])
    near, far = before.map_from_camera, perturb(before.map_from_camera, np.array([9.0, 0, 0, 0, 0, 0]))
    kernel, place = CorrectionKernel(0.1, 0.1), np.zeros(1, np.int32)

    def localized(view: np.ndarray) -> PoseEstimate:
        field = CorrectionField(view[np.newaxis], step[np.newaxis], place, kernel)
        write_map(tmp_path / "map", replace(stored.landmark_map, correction=field), stored.networks, PREVIEW)
        after = open_localizer(read_map(tmp_path / "map"), "map").localize(frame.image)
        assert isinstance(after, PoseEstimate)
        return after

    moved, same = localized(near), localized(far)
    np.testing.assert_allclose(error_vector(moved.map_from_camera, before.map_from_camera), step, atol=2e-5)
    for after in (moved, same):
        np.testing.assert_array_equal(after.inliers, before.inliers)
    np.testing.assert_array_equal(same.map_from_camera, before.map_from_camera)
    np.testing.assert_array_equal(same.covariance, before.covariance)
    assert same.confidence == before.confidence


def arrays_of(field: CorrectionField) -> dict[str, np.ndarray]:
    return dict(np.load(io.BytesIO(encode_correction(field))))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("damage", [*DAMAGED_ARRAYS, lambda array: array[:0]])
def test_arrays_of_other_shape_or_type(correcting: Path, name: str, damage: Callable[[np.ndarray], np.ndarray]) -> None:
    arrays = arrays_of(make_field())
    replace_file(correcting, "correction.npz", npz(**{**arrays, name: damage(arrays[name])}))
    assert "correction.npz" in refusal(correcting)


@pytest.mark.parametrize("name", KINDS)
def test_missing_and_unknown_arrays(correcting: Path, name: str) -> None:
    arrays = arrays_of(make_field())
    replace_file(correcting, "correction.npz", npz(**arrays, extra=np.zeros(3)))
    assert "correction.npz: array 'extra' is unknown" in refusal(correcting)
    del arrays[name]
    replace_file(correcting, "correction.npz", npz(**arrays))
    assert f"correction.npz: array {name!r} is missing" in refusal(correcting)


def changed(name: str, value: float) -> bytes:
    arrays = arrays_of(make_field())
    arrays[name] = arrays[name].copy()
    arrays[name].reshape(-1)[-1] = value
    return npz(**arrays)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("poses", 3.0, "not of length 1"),
        ("poses", np.nan, "not finite"),
        ("coefficients", 2.0, "more than 1"),
        ("coefficients", np.inf, "not finite"),
        ("kernel", 0.0, "angle_rad is 0.0, must be positive"),
        ("places", 1, "correction: places: indices are 0 to 1, the map has 0 to 0"),
    ],
)
def test_values_that_cannot_be(correcting: Path, name: str, value: float, words: str) -> None:
    replace_file(correcting, "correction.npz", changed(name, value))
    assert words in refusal(correcting)


def test_what_is_no_npz(correcting: Path) -> None:
    assert_no_npz_is_named(correcting, "correction.npz", npz(**arrays_of(make_field())))


def test_damaged_fields_raise_nothing_but_map_errors() -> None:
    assert_only_map_errors(decode_correction, encode_correction(make_field()))


def test_links_and_bits(correcting: Path) -> None:
    assert_other_files_are_named(correcting, "correction.npz")
