"""The synthetic rooms: exact depth, images that agree with it, repeatability, paths and splits."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.synthetic_room import CAMERA, RoomFrames, SyntheticRoom, synthetic_room
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import apply, invert, rigid_fault
from vloc_ros.synthetic.living_room import LIVING_ROOM
from vloc_ros.synthetic.office import OFFICE
from vloc_ros.synthetic.plan import RoomPlan
from vloc_ros.synthetic.sensor import expose

Float = NDArray[np.float64]

SMALL = CAMERA.resized(160, 120)


@pytest.fixture(scope="module", params=[LIVING_ROOM, OFFICE], ids=lambda plan: plan.name)
def plan(request: pytest.FixtureRequest) -> RoomPlan:
    parameter: RoomPlan = request.param
    return parameter


@pytest.fixture(scope="module")
def room(plan: RoomPlan) -> SyntheticRoom:
    return synthetic_room(plan)


def poses_of(plan: RoomPlan, split: str) -> Float:
    frames = open_dataset(plan.name, None, split)
    return np.stack([frames.map_from_camera(i) for i in range(len(frames))])


def cast_rays(vertices: Float, triangles: NDArray[np.int64], origin: Float, directions: Float) -> Float:
    """Distance, in lengths of the direction, to the nearest triangle that faces the ray (Moeller and Trumbore)."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    distances = np.empty(len(directions))
    for n, direction in enumerate(directions):
        p = np.cross(direction, c - a)
        determinant = np.einsum("ij,ij->i", b - a, p)
        with np.errstate(divide="ignore", invalid="ignore"):
            s = (origin - a) * p
            u = s.sum(axis=1) / determinant
            q = np.cross(origin - a, b - a)
            v = q @ direction / determinant
            t = np.einsum("ij,ij->i", q, c - a) / determinant
            hit = (determinant > 1e-12) & (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0)
        distances[n] = t[hit].min(initial=np.inf)
    return distances


@pytest.mark.parametrize("index", [3, 100, 190, 260, 350])
def test_depth_is_that_of_rays_cast_at_the_mesh(plan: RoomPlan, room: SyntheticRoom, index: int) -> None:
    pose = poses_of(plan, "train")[index]
    _, depth = room.render(SMALL, pose)
    rng = np.random.default_rng(index)
    rows, columns = rng.integers(0, SMALL.height, 60), rng.integers(0, SMALL.width, 60)
    rays = SMALL.rays()[rows, columns] @ pose[:3, :3].T
    expected = cast_rays(*room.mesh(), pose[:3, 3], rays)
    assert np.isclose(depth[rows, columns], expected, rtol=0, atol=1e-4).sum() >= 59  # one may lie on an edge


# places in each room that see nothing but the wall in the east, above everything
VIEWS_OF_WALLS = {LIVING_ROOM.name: (3.5, 4.5, 2.3), OFFICE.name: (4.5, 1.75, 2.2)}


def test_the_camera_in_front_of_a_wall(plan: RoomPlan, room: SyntheticRoom) -> None:
    place = VIEWS_OF_WALLS[plan.name]
    pose = np.eye(4)
    pose[:3] = [[0, 0, 1, place[0]], [-1, 0, 0, place[1]], [0, -1, 0, place[2]]]
    camera = Camera(80, 40, 300.0, 300.0, 39.5, 19.5)
    rgb, depth = room.render(camera, pose)
    np.testing.assert_allclose(depth, plan.size[0] - place[0], atol=1e-5)
    red, green, blue = rgb.reshape(-1, 3).mean(axis=0)
    assert red > green > blue  # of bricks, of wood


def test_colours_agree_between_two_views(plan: RoomPlan, room: SyntheticRoom) -> None:
    camera = CAMERA.resized(320, 240)
    first, second = poses_of(plan, "train")[[200, 203]]
    rgb_1, depth_1 = room.render(camera, first)
    rgb_2, depth_2 = room.render(camera, second)
    points = apply(invert(second) @ first, (camera.rays() * depth_1[..., None]).reshape(-1, 3))
    pixels, z = camera.project(points)
    column, row = np.rint(np.nan_to_num(pixels, nan=-1.0)).astype(int).T
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height) & (z > 0)
    column, row = column[inside], row[inside]
    seen = np.abs(depth_2[row, column] - z[inside]) < 0.02
    assert seen.mean() > 0.8
    colour_1 = rgb_1.reshape(-1, 3)[inside][seen].astype(int)
    difference = np.abs(colour_1 - rgb_2[row, column][seen])
    assert np.median(difference) <= 5
    unrelated = np.abs(colour_1 - np.roll(rgb_2[row, column][seen], 500, axis=0))
    assert difference.mean() < 0.35 * unrelated.mean()


def test_small_images_are_averages_of_large_ones(plan: RoomPlan, room: SyntheticRoom) -> None:
    pose = poses_of(plan, "test")[60]
    large, _ = room.render(CAMERA, pose)
    small, _ = room.render(SMALL, pose)
    average = large.reshape(120, 4, 160, 4, 3).mean(axis=(1, 3))
    difference = small - average
    assert abs(difference.mean()) < 1.5
    assert np.abs(difference).mean() < 5


@pytest.mark.parametrize("split", ["train", "test", "drive"])
def test_every_ray_ends_in_the_room(plan: RoomPlan, room: SyntheticRoom, split: str) -> None:
    diagonal = float(np.linalg.norm(plan.size))
    for pose in poses_of(plan, split)[::15]:
        rgb, depth = room.render(SMALL, pose)
        assert 0.3 < depth.min() <= depth.max() < diagonal
        assert rgb.std() > 20


def test_the_room_is_built_the_same_every_time(plan: RoomPlan, room: SyntheticRoom) -> None:
    again = SyntheticRoom(*plan.build())
    np.testing.assert_array_equal(again.pyramids.texels, room.pyramids.texels)
    np.testing.assert_array_equal(again.lightmaps.values, room.lightmaps.values)
    np.testing.assert_array_equal(again.faces.origins, room.faces.origins)
    assert synthetic_room(plan) is room


def test_frames_repeat_to_the_byte(plan: RoomPlan) -> None:
    frames, again = open_dataset(plan.name, None, "small"), open_dataset(plan.name, None, "train")
    index = again.names.index(frames.names[5])
    first, second = frames.frame(5, depth=True), again.frame(index, depth=True)
    assert first.name == second.name
    assert first.depth is not None
    np.testing.assert_array_equal(first.image.rgb, second.image.rgb)
    np.testing.assert_array_equal(first.depth, second.depth)
    assert frames.frame(5).depth is None


def test_the_sensor_is_a_little_off_each_time_in_its_own_way() -> None:
    grey = np.full((60, 80, 3), 120, dtype=np.uint8)
    images = [expose(grey, f"train/{k:06d}").astype(float) for k in range(20)]
    np.testing.assert_array_equal(images[3], expose(grey, "train/000003"))
    levels = np.array([image.mean() for image in images])
    assert 2 < levels.std() < 20
    assert all(1.5 < image.std(axis=(0, 1)).mean() < 2.5 for image in images)


@pytest.mark.needs("scipy")
@pytest.mark.parametrize("split", ["train", "test", "drive"])
def test_cameras_keep_clear_of_everything(plan: RoomPlan, room: SyntheticRoom, split: str) -> None:
    from scipy.spatial import cKDTree

    tree = cKDTree(sampled_surface(room))
    centres = poses_of(plan, split)[:, :3, 3]
    assert centres[:, 2].min() > 0.5
    assert centres[:, 2].max() < 1.7
    assert tree.query(centres)[0].min() > 0.5
    assert all(rigid_fault(pose) is None for pose in poses_of(plan, split))


def sampled_surface(room: SyntheticRoom, spacing: float = 0.06) -> Float:
    """Points on all faces."""
    points = []
    faces = room.faces
    for origin, u, v, triangle in zip(faces.origins, faces.edges_u, faces.edges_v, faces.triangles, strict=True):
        s, t = np.meshgrid(*(np.linspace(0, 1, int(np.linalg.norm(edge) / spacing) + 2) for edge in (u, v)))
        inside = s + t <= (1 if triangle else 2)
        points.append(origin + s[inside][:, None] * u + t[inside][:, None] * v)
    return np.concatenate(points)


@pytest.mark.parametrize("split", ["test", "drive"])
def test_other_paths_than_in_training_but_not_far_from_them(plan: RoomPlan, split: str) -> None:
    train, others = poses_of(plan, "train"), poses_of(plan, split)
    nearest = []
    for pose in others:
        metres = np.linalg.norm(train[:, :3, 3] - pose[:3, 3], axis=1)
        cosines = (np.einsum("nij,ij->n", train[:, :3, :3], pose[:3, :3]) - 1) / 2
        degrees = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
        best = int(np.argmin(metres / 0.2 + degrees / 10))
        nearest.append((metres[best], degrees[best]))
    metres, degrees = np.array(nearest).T
    assert 0.05 < np.median(metres) < 0.3
    assert 2 < np.median(degrees) < 15
    assert metres.min() > 0.02
    assert metres.max() < 0.35
    assert degrees.max() < 20


def test_training_looks_everywhere(plan: RoomPlan) -> None:
    forward = poses_of(plan, "train")[:, :3, 2]
    heading = np.degrees(np.arctan2(forward[:, 1], forward[:, 0])) % 360
    assert (np.histogram(heading, bins=12, range=(0, 360))[0] > 10).all()


def test_the_drive_is_a_ground_robots(plan: RoomPlan) -> None:
    frames = open_dataset(plan.name, None, "drive")
    poses = poses_of(plan, "drive")
    centres = poses[:, :3, 3]
    assert np.ptp(centres[:, 2]) < 1e-9
    steps = np.diff(centres, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    assert lengths.max() < 0.06
    assert lengths.min() > 0.9 * lengths.max()
    ahead = np.einsum("ij,ij->i", poses[:-1, :3, 2], steps) / lengths
    assert ahead.min() > 0.99
    assert isinstance(frames, RoomFrames)
    assert [b - a for a, b in pairwise(frames.stamps_ns)] == [100_000_000] * (len(frames) - 1)
    assert frames.frame(3).image.stamp_ns == 300_000_000


@pytest.mark.parametrize(
    ("split", "count"), [("train", 400), ("test", 120), ("all", 520), ("small", 24), ("drive", 150)]
)
def test_splits(plan: RoomPlan, split: str, count: int) -> None:
    frames = open_dataset(plan.name, None, split)
    assert len(frames) == len(set(frames.names)) == count
    assert frames.has_depth
    assert frames.camera(count - 1) == CAMERA


def test_a_file_of_names_is_a_split(plan: RoomPlan, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("test/000007\ndrive/000100\n")
    frames = open_dataset(plan.name, None, str(tmp_path / "mine.txt"))
    assert frames.names == ("test/000007", "drive/000100")
    np.testing.assert_array_equal(frames.map_from_camera(1), poses_of(plan, "drive")[100])
    (tmp_path / "mine.txt").write_text("test/000007\nattic/000001\n")
    with pytest.raises(DatasetError, match="attic/000001"):
        open_dataset(plan.name, None, str(tmp_path / "mine.txt"))


def test_what_it_refuses(plan: RoomPlan, room: SyntheticRoom, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=f"{plan.name}: no split 'cellar'"):
        open_dataset(plan.name, None, "cellar")
    with pytest.raises(ConfigError, match="root"):
        open_dataset(plan.name, tmp_path, "train")
    with pytest.raises(ConfigError, match="poses"):
        open_dataset(plan.name, None, "train", "poses.txt")
    with pytest.raises(ConfigError, match="distortion"):
        room.render(Camera(64, 48, 50, 50, 31.5, 23.5, (0.1, 0, 0, 0)), poses_of(plan, "train")[0])
