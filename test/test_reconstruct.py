"""Points from posed RGB-D: pairs, matches, tracks, triangulation, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.reconstruction_scenes import CAMERA, Room, Source, moved, observed, room

from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.features.types import KeyPoints
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.mapping.array_files import loaded_arrays, save_arrays
from vloc_ros.mapping.covisibility import covisible_pairs
from vloc_ros.mapping.depth_calibration import DepthCorrection
from vloc_ros.mapping.frame_features import FrameFeatures, read_frame_features, seen_by
from vloc_ros.mapping.observations import observations_of
from vloc_ros.mapping.pair_matching import KeyPointMatches, match_pairs
from vloc_ros.mapping.reconstruct import reconstruct
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.mapping.tracks import unite
from vloc_ros.mapping.triangulation import sigmas, triangulate

SCENE = room()
NOISY, SEEN = observed(SCENE, pixel_noise=0.5, depth_noise=0.01)


def turned_back(scene: Room, frames: slice) -> Room:
    """The same with some cameras looking away from everything."""
    poses = scene.poses.copy()
    poses[frames, :3, :3] = poses[frames, :3, :3] @ np.diag([-1.0, 1, -1])
    return replace(scene, poses=poses)


def true_points(rows: np.ndarray) -> np.ndarray:
    """The true point of rows of NOISY's key points."""
    return np.asarray(np.concatenate(SEEN)[rows])


def test_pairs_are_of_frames_that_see_the_same() -> None:
    pairs = covisible_pairs(NOISY, partners=4)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert set(pairs.ravel().tolist()) == set(range(len(NOISY)))
    assert len(np.unique(pairs, axis=0)) == len(pairs) >= 2 * len(NOISY)
    features, _ = observed(turned_back(SCENE, slice(0, 5)))
    assert covisible_pairs(features).min() >= 5


def test_matches_are_of_the_same_point() -> None:
    matches = match_pairs(NOISY, NOISY.map_from_camera, covisible_pairs(NOISY), radius_px=20.0)
    same = true_points(matches.rows[:, 0]) == true_points(matches.rows[:, 1])
    assert len(matches) > 10 * len(NOISY) * 20
    assert same.mean() > 0.999
    np.testing.assert_allclose(matches.cosines[same], 1.0, atol=0.02)


def test_matches_are_the_same_in_threads() -> None:
    pairs = covisible_pairs(NOISY)
    one, two = (match_pairs(NOISY, NOISY.map_from_camera, pairs, threads=threads) for threads in (1, 2))
    np.testing.assert_array_equal(one.rows, two.rows)


@pytest.mark.parametrize("radius", [2.0, 8.0])
def test_only_what_is_near_is_matched(radius: float) -> None:
    off = moved(NOISY, 0.05, 0.5)
    matches = match_pairs(off, off.map_from_camera, covisible_pairs(off), radius_px=radius)
    near = [
        np.linalg.norm(seen_from(off, a, b) - off.pixels[b], axis=1) for a, b in (matches.rows.T, matches.rows.T[::-1])
    ]
    assert len(matches) > 100
    assert np.minimum(*near).max() <= radius


def seen_from(features: FrameFeatures, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Where (n, 2) depth and poses put key points in the images of the frames of `others`."""
    poses = features.map_from_camera
    pixels = []
    for row, frame in zip(rows, features.frames[others], strict=True):
        point = apply(poses[features.frames[row]], features.rays[row : row + 1] * features.depths[row])
        pixels.append(CAMERA.project(apply(invert(poses[frame]), point))[0][0])
    return np.array(pixels)


def matches_of(edges: dict[tuple[int, int], float]) -> KeyPointMatches:
    return KeyPointMatches(
        np.array(list(edges), dtype=np.int64).reshape(-1, 2), np.array(list(edges.values()), dtype=np.float32)
    )


def test_tracks_are_cut_at_their_weakest_match() -> None:
    frames = np.array(
        [0, 0, 1, 1, 2, 2, 3, 3], dtype=np.int32
    )  # key points 0, 2, 4, 6 show one point, 1, 3, 5, 7 another
    right = {(0, 2): 0.95, (2, 4): 0.94, (4, 6): 0.9, (1, 3): 0.97, (3, 5): 0.96, (5, 7): 0.91}
    tracks = unite(matches_of(right | {(2, 5): 0.85}), frames)
    assert [tracks.rows[a:b].tolist() for a, b in zip(tracks.starts, tracks.starts[1:], strict=False)] == [
        [0, 2, 4, 6],
        [1, 3, 5, 7],
    ]
    assert len(unite(matches_of({(0, 2): 0.9, (1, 2): 0.8}), frames, min_length=2)) == 1
    assert len(unite(matches_of({(0, 2): 0.9, (5, 7): 0.9}), frames)) == 0
    assert len(unite(matches_of({}), frames)) == 0


def test_no_track_has_two_key_points_of_a_frame() -> None:
    rng = np.random.default_rng(0)
    frames = np.repeat(np.arange(8, dtype=np.int32), 20)
    edges = rng.integers(0, len(frames), (3000, 2))
    edges = edges[frames[edges[:, 0]] != frames[edges[:, 1]]]
    tracks = unite(KeyPointMatches(edges, rng.uniform(size=len(edges)).astype(np.float32)), frames)
    assert len(tracks) > 3
    for first, end in zip(tracks.starts, tracks.starts[1:], strict=False):
        assert (np.diff(frames[tracks.rows[first:end]]) > 0).all()


def test_triangulation_finds_points_in_spite_of_wrong_observations() -> None:
    tracks = unite(match_pairs(NOISY, NOISY.map_from_camera, covisible_pairs(NOISY)), NOISY.frames)
    observations = observations_of(tracks, NOISY)
    points = true_points(observations.rows[observations.starts[:-1]])
    wrong = np.zeros(len(observations), dtype=np.bool_)
    wrong[observations.starts[:-1]] = observations.counts >= 6
    pixels = observations.pixels + 60.0 * wrong[:, None]
    positions, information = triangulate(replace(observations, pixels=pixels), NOISY.map_from_camera)
    errors = np.linalg.norm(positions - SCENE.points[points], axis=1)
    assert np.median(errors) < 0.003
    assert np.percentile(errors, 98) < 0.02
    assert 0.3 < np.median(errors / sigmas(information)) < 3


def test_points_are_where_they_are() -> None:
    found = reconstruct(NOISY)
    rows = NOISY.starts[found.frames] + found.rows
    points = true_points(rows)
    errors = np.linalg.norm(found.positions[found.points] - SCENE.points[points], axis=1)
    assert len(found) > 0.8 * len(SCENE.points)
    assert np.median(errors) < 0.004
    assert np.bincount(found.frames).min() > 50
    np.testing.assert_array_equal(found.pixels, NOISY.pixels[rows])
    assert (np.diff(found.points) >= 0).all()
    assert "poses adjusted by" in found.describe()


def test_without_bundle_adjustment_poses_stay() -> None:
    found = reconstruct(NOISY, bundle=False)
    np.testing.assert_array_equal(found.map_from_camera, found.recorded)
    assert max(map(np.max, found.pose_changes())) < 1e-7


def test_observations_that_do_not_fit_are_left_out() -> None:
    pixels = NOISY.pixels.copy()
    pixels[::50] += 4.5  # still matched, at a wrong place
    found = reconstruct(replace(NOISY, pixels=pixels))
    assert (reprojection_error(found) <= 4.0).all()


def reprojection_error(found: Reconstruction) -> np.ndarray:
    poses = invert(found.map_from_camera)
    local = [apply(poses[f], found.positions[p][None])[0] for f, p in zip(found.frames, found.points, strict=True)]
    return np.asarray(np.linalg.norm(found.camera.project(np.array(local))[0] - found.pixels, axis=1))


def test_a_reconstruction_comes_back_from_its_file(tmp_path: Path) -> None:
    found = reconstruct(NOISY)
    save_arrays(tmp_path / "points.npz", found.as_arrays())
    with loaded_arrays(tmp_path / "points.npz", "reconstruction") as arrays:
        back = Reconstruction.from_arrays(arrays)
    for name, value in vars(found).items():
        np.testing.assert_array_equal(getattr(back, name), value)
    assert back.camera == found.camera


def test_arrays_that_do_not_belong_together() -> None:
    found = reconstruct(NOISY)
    with pytest.raises(ConfigError, match=r"reconstruction: frames: indices are .* the map has 0 to 3"):
        replace(found, names=found.names[:4], map_from_camera=found.recorded[:4], recorded=found.recorded[:4])


def test_one_frame() -> None:
    features, _ = observed(replace(SCENE, poses=SCENE.poses[:1]))
    with pytest.raises(DatasetError, match="points: 1 frames, a point must be seen by 3"):
        reconstruct(features)


def test_frames_that_share_no_view() -> None:
    turns = [
        np.array([[np.cos(a), -np.sin(a), 0, 0], [np.sin(a), np.cos(a), 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        for a in (0, 2, 4)
    ]
    features, _ = observed(replace(SCENE, poses=SCENE.poses[:3]))
    apart = replace(features, map_from_camera=np.stack([turn @ SCENE.poses[0] for turn in turns]))
    with pytest.raises(DatasetError, match="points: no two of the 3 frames see the same part of the place"):
        reconstruct(apart)


def test_depth_that_contradicts_the_poses() -> None:
    with pytest.raises(DatasetError, match=r"points: none that 3 of the 12 frames agree on.*do depth and poses belong"):
        reconstruct(replace(NOISY, depths=NOISY.depths / 4))


def test_no_depth_at_all() -> None:
    with pytest.raises(DatasetError, match="points: no depth is known at any key point of the 12 frames"):
        reconstruct(replace(NOISY, depths=np.zeros_like(NOISY.depths)))


def test_frames_of_another_camera_of_a_rig() -> None:
    """Every second frame is of a camera that has fewer pixels and another centre: the points are the same ones."""
    features, _ = observed(SCENE)
    own = Camera(320, 240, 260.0, 262.0, 150.0, 125.0)
    cameras = [own if index % 2 else CAMERA for index in range(len(features))]
    assert np.abs(seen_by(CAMERA, own, seen_by(own, CAMERA, features.pixels)) - features.pixels).max() < 1e-9

    class RigSource(Source):
        def key_points(self, index: int) -> KeyPoints:
            found = super().key_points(index)
            return replace(found, pixels=seen_by(cameras[index], CAMERA, found.pixels))

        def depth(self, index: int) -> np.ndarray:
            return features.depths[features.starts[index] : features.starts[index + 1]]

        def camera(self, index: int) -> Camera:
            return cameras[index]

        def map_from_camera(self, index: int) -> np.ndarray:
            return np.asarray(features.map_from_camera[index])

    source = RigSource(features)
    read = read_frame_features(source, source, DepthCorrection())  # type: ignore[arg-type]
    assert read.of_rig
    assert read.camera == CAMERA
    np.testing.assert_allclose(read.pixels, features.pixels, atol=1e-9)
    assert reconstruct(read).lens.tolist() == [1.0, 0.0], "one lens is not estimated of several"
