"""Colours of a map's points: what frames show of them, and which place they speak for."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.building_scenes import place_map, seeing, write_place
from support.reconstruction_scenes import CAMERA, Room, observed, room
from support.sparse_scenes import blank

from vloc_ros.core.color_shares import color_shares, color_support
from vloc_ros.core.types import CameraImage, LandmarkMap
from vloc_ros.datasets import Frame
from vloc_ros.geometry.camera import Camera
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.maps import read_map
from vloc_ros.maps.building import read_building
from vloc_ros.maps.names import PLACES
from vloc_ros.methods.image_colors import blurred_input, colors_at
from vloc_ros.training.building import place_index, put_together
from vloc_ros.training.pram.point_colors import medians, point_colors

RED, BLUE, GRAY = (200, 60, 50), (40, 70, 190), (120, 120, 120)


def test_medians_are_those_of_each_group() -> None:
    rng = np.random.default_rng(0)
    groups = np.sort(np.concatenate([np.arange(40), rng.integers(0, 40, 300)])).astype(np.int32)
    order = rng.permutation(len(groups))
    values, groups = rng.integers(0, 256, (len(groups), 3), dtype=np.uint8), groups[order]
    expected = [np.quantile(values[groups == group], 0.5, axis=0, method="inverted_cdf") for group in range(40)]
    found = medians(values, groups, 41)
    np.testing.assert_array_equal(found[:40], expected)
    assert not found[40].any()


def test_colors_are_read_where_the_pixels_are() -> None:
    rgb = np.zeros((480, 640, 3), np.uint8)
    rgb[:, :320], rgb[:, 320:] = RED, BLUE
    image = CameraImage(rgb, Camera(640, 480, 500.0, 500.0, 319.5, 239.5))
    blurred = blurred_input(image, (320, 240))
    np.testing.assert_array_equal(
        colors_at(blurred, np.array([[10.2, 3.0], [319.4, 239.4], [-1.0, 0.0]])), [RED, BLUE, RED]
    )


@dataclass
class Filmed:
    """Frames, and the key points of them as a cache has them."""

    images: list[np.ndarray]
    pixels: np.ndarray
    size: tuple[int, int] = (CAMERA.width, CAMERA.height)

    def __len__(self) -> int:
        return len(self.images)

    def frame(self, index: int) -> Frame:
        return Frame(f"{index}", CameraImage(self.images[index], CAMERA), np.eye(4))


def seen_points(scene: Room, seen: list[np.ndarray]) -> Reconstruction:
    """The true points as frames observe them."""
    frames = np.repeat(np.arange(len(seen), dtype=np.int32), [len(rows) for rows in seen])
    points, own = np.concatenate(seen).astype(np.int32), np.concatenate([np.arange(len(rows)) for rows in seen])
    order = np.argsort(points, kind="stable")
    names = tuple(f"{frame}" for frame in range(len(seen)))
    return Reconstruction(
        positions=scene.points,
        sigmas=np.zeros(len(scene.points)),
        frames=frames[order],
        points=points[order],
        rows=own[order].astype(np.int32),
        pixels=np.zeros((len(points), 2)),
        names=names,
        map_from_camera=scene.poses,
        recorded=scene.poses,
        camera=CAMERA,
    )


def test_points_have_the_colors_that_most_frames_show() -> None:
    scene = room(points=60, frames=7)
    features, seen = observed(scene)
    found = seen_points(scene, seen)
    assert np.bincount(found.points, minlength=60).min() >= 3
    painted = np.random.default_rng(2).integers(20, 230, (60, 3))
    images, pixels = [], np.zeros((7, 60, 2), np.float32)
    for frame, rows in enumerate(seen):
        images.append(np.full((CAMERA.height, CAMERA.width, 3), 128, np.uint8))
        pixels[frame, : len(rows)] = features.pixels[features.starts[frame] : features.starts[frame + 1]]
        for (x, y), row in zip(pixels[frame].round().astype(int), rows, strict=False):
            images[frame][max(0, y - 4) : y + 5, max(0, x - 4) : x + 5] = painted[row]
    images[3] = images[3] // 2  # it was dark
    filmed: Any = Filmed(images, pixels)
    apart = np.abs(point_colors(found, filmed, filmed).astype(int) - painted).max(axis=1)
    assert np.mean(apart < 8) > 0.9, "but for those that others are in front of"
    grey = [np.repeat(image[..., :1], 3, axis=2) for image in images]
    images[5] = grey[5]
    apart = np.abs(point_colors(found, filmed, filmed).astype(int) - painted).max(axis=1)
    assert np.mean(apart < 8) > 0.9, "those that the other frames show"
    filmed.images = grey
    assert not point_colors(found, filmed, filmed).any(), "of grey frames colours are not known"


def some_colors(mean: tuple[int, int, int], count: int = 300, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 3, (count, 3))
    return np.clip(np.array(mean) + noise, 1, 255).astype(np.uint8)


def test_the_place_of_such_colors_is_named_however_bright_the_image_is() -> None:
    shares = np.stack([color_shares(some_colors(mean)) for mean in (RED, BLUE, GRAY)])
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
    for place, mean in enumerate((RED, BLUE, GRAY)):
        for factor in (0.7, 1.0, 1.2):
            shown = (factor * some_colors(mean, 50, seed=1)).astype(np.uint8)
            support = color_support(shares, shown)
            assert support.argmax() == place
            assert support.sum() == pytest.approx(1)
    assert color_support(shares, some_colors((60, 200, 60), 50)).max() < 0.4, "what no place has speaks for none"
    unknown = np.zeros((5, 3), np.uint8)
    assert not color_shares(unknown).any()
    np.testing.assert_array_equal(color_shares(np.concatenate([some_colors(RED), unknown])), shares[0])


def write_painted(directory: Path, colors: dict[str, tuple[int, int, int]]) -> dict[str, LandmarkMap]:
    """A building of the same room in several colours; of black, which stands for none."""
    maps = {}
    for name, color in colors.items():
        room = place_map("hall", 0)
        assert room.points is not None
        painted = np.tile(np.array(color, np.uint8), (len(room.points), 1))
        maps[name] = replace(room, manifest=place_map(name, 0).manifest, points=replace(room.points, colors=painted))
        write_place(directory, name, maps[name])
    put_together(directory, list(maps), "map")
    return maps


@pytest.mark.parametrize("name", ["red", "blue"])
def test_colors_speak_for_one_of_two_rooms_that_are_alike_but_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    house = tmp_path / "house"
    maps = write_painted(house, {"red": RED, "blue": BLUE})
    stored = read_building(house)
    shares = color_shares(np.tile(np.array(RED, np.uint8), (9, 1)))
    np.testing.assert_allclose(stored.index.colors[0], shares, atol=1e-6)
    localizer = seeing(monkeypatch, house, maps[name])
    image = blank()
    shown = np.tile(np.array(RED if name == "red" else BLUE, np.uint8), (*image.rgb.shape[:2], 1))
    shown[::2, ::2] += 1  # or nothing is seen
    votes = localizer.votes(localizer.observe(replace(image, rgb=shown)))
    assert next(iter(votes)) == name
    grey = localizer.votes(localizer.observe(replace(image, rgb=(np.indices(shown.shape)[0] % 256).astype(np.uint8))))
    assert grey["red"] == grey["blue"], "a grey image says nothing of colours"


def test_a_building_with_a_map_without_colors_uses_none(tmp_path: Path) -> None:
    house = tmp_path / "house"
    write_painted(house, {"red": RED, "older": (0, 0, 0)})
    assert len(read_building(house).index.colors) == 0
    assert not list(house.glob("recognition-*/colors.npy"))
    points = [read_map(house / PLACES / name).landmark_map.points for name in ("red", "red")]
    assert len(place_index(points).colors) == 2
