"""What was made of the places comes back as it was, and what is not whole is refused."""

from pathlib import Path

import numpy as np
import pytest
from support.mapping_scenes import WallAndBox, plane, views

from vloc_ros.errors import DatasetError
from vloc_ros.mapping.landmarks import Landmarks, build_landmarks
from vloc_ros.mapping.supervoxels import segment
from vloc_ros.training.scene import MappedPlace, Scene, load_scene, save_scene

WALL = plane((-1.501, 2.0, -1.501), (3, 0, 0), (0, 0, 3), (0, -1, 0))
HALL = build_landmarks(WALL, segment(WALL, 0.6), WallAndBox(views(12)), min_observations=3)
ATTIC = Landmarks(
    positions=np.arange(6.0).reshape(2, 3),
    normals=np.tile((0.0, 0.0, 1.0), (2, 1)),
    extents=np.array([0.5, 0.6]),
    observations=np.array([3, 4], dtype=np.int32),
    point_labels=np.array([1, 2, 0], dtype=np.int32),
)
SCENES = {
    "one place": Scene((MappedPlace("", HALL, WALL),)),
    "two places": Scene((MappedPlace("hall", HALL, WALL), MappedPlace("attic", ATTIC))),
    "with extras": Scene((MappedPlace("", ATTIC),), {"roots": np.eye(3), "first0": np.arange(4, dtype=np.int32)}),
}


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    scene = SCENES[name]
    save_scene(tmp_path / "scene.npz", scene)
    assert [path.name for path in tmp_path.iterdir()] == ["scene.npz"]
    found = load_scene(tmp_path / "scene.npz")
    assert found.names == scene.names
    for place, expected in zip(found.places, scene.places, strict=True):
        assert (place.surface is None) == (expected.surface is None)
        for part, wanted in ((place.landmarks, expected.landmarks), (place.surface, expected.surface)):
            for field, value in vars(wanted).items() if wanted is not None else ():
                np.testing.assert_array_equal(getattr(part, field), value)
                assert type(getattr(part, field)) is type(value)
    assert found.extras.keys() == scene.extras.keys()
    for key, value in scene.extras.items():
        np.testing.assert_array_equal(found.extras[key], value)
        assert found.extras[key].dtype == value.dtype


def test_landmarks_of_all_places_one_after_the_other() -> None:
    scene = SCENES["two places"]
    np.testing.assert_array_equal(scene.positions, np.concatenate([HALL.positions, ATTIC.positions]))
    np.testing.assert_array_equal(scene.of_landmarks("extents")[len(HALL) :], ATTIC.extents)
    np.testing.assert_array_equal(scene.scene_of_landmark, [0] * len(HALL) + [1, 1])
    assert scene.scene_of_landmark.dtype == np.int32


@pytest.mark.parametrize("fault", ["truncated", "garbage", "foreign", "missing"])
def test_a_file_that_is_not_whole(fault: str, tmp_path: Path) -> None:
    path = tmp_path / "scene.npz"
    save_scene(path, SCENES["two places"])
    content = path.read_bytes()
    if fault == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif fault == "garbage":
        path.write_bytes(b"not a scene")
    elif fault == "foreign":
        np.savez(path, names=np.array(["hall"]), positions=np.zeros(3))
    else:
        path.unlink()
    with pytest.raises(DatasetError, match=r"scene.npz: not a complete scene .*--fresh"):
        load_scene(path)
