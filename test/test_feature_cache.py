"""Key points of a place's frames on disk: they are what the extractor finds, interrupted or not."""

import tracemalloc
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.feature_frames import CAMERA, Frames

from vloc_ros.core.feature_spec import DESCRIPTORS, KEY_POINTS, SCORES
from vloc_ros.core.types import CameraImage
from vloc_ros.datasets.subset import Subset
from vloc_ros.datasets.types import Frame
from vloc_ros.errors import DatasetError
from vloc_ros.features.cache import FeatureCache, open_features
from vloc_ros.features.extractor import Extractor
from vloc_ros.geometry.camera import Camera
from vloc_ros.methods.network_input import network_input
from vloc_ros.progress import Silent
from vloc_ros.training.features import extraction
from vloc_ros.training.features.extraction import depth_at, extract_features
from vloc_ros.training.features.opening import open_extractor
from vloc_ros.training.stages.feature_stage import tell_blank_frames

LARGE = Camera(5472, 3648, 4000.0, 4000.0, 2735.5, 1823.5)
SIZE, K = (100, 80), 60
EXTRACTOR = open_extractor("sift", SIZE, K)


def assert_same(found: FeatureCache, expected: FeatureCache) -> None:
    for name, value in vars(expected).items():
        np.testing.assert_array_equal(getattr(found, name), value)


@pytest.fixture
def expected(tmp_path: Path) -> FeatureCache:
    return extract_features(Frames(), EXTRACTOR, tmp_path / "expected", Silent())


def test_the_cache_holds_what_the_extractor_finds(tmp_path: Path) -> None:
    frames = Frames()
    cache = extract_features(frames, EXTRACTOR, tmp_path / "new" / "features", Silent())
    assert len(cache) == len(frames)
    assert sorted(frames.decoded) == [0, *range(7)]  # the first one once more, to see that it is the same
    for index in range(len(frames)):
        image = frames.frame(index).image
        found, key_points = cache.key_points(index), EXTRACTOR.key_points(network_input(image, SIZE))
        assert (len(found) == 0) == (index == 3)
        np.testing.assert_allclose(found.pixels, key_points.pixels, atol=1e-4)
        np.testing.assert_array_equal(found.scores, key_points.scores)
        np.testing.assert_allclose(found.descriptors, key_points.descriptors, atol=1e-3)
        np.testing.assert_allclose(np.linalg.norm(found.descriptors, axis=1), 1, atol=1e-6)
        assert set(cache.depth(index)) <= {0.0, 2.0 + index}
        assert cache.camera(index).matrix.tolist() == CAMERA.undistorted().resized(*SIZE).matrix.tolist()


def test_frames_that_show_nothing_are_named(tmp_path: Path) -> None:
    lines: list[str] = []
    progress = SimpleNamespace(say=lines.append)
    tell_blank_frames(extract_features(Frames(), EXTRACTOR, tmp_path / "some", Silent()), progress)
    assert lines == ["warning: no key points in frame frame-3: do the images show anything?"]
    blank = extract_features(Subset(Frames(), [3]), EXTRACTOR, tmp_path / "all", Silent())
    with pytest.raises(
        DatasetError, match=r"^features: no key points in frame frame-3: do the images show anything\?$"
    ):
        tell_blank_frames(blank, Silent())


def test_an_interrupted_extraction_goes_on_where_it_was(
    tmp_path: Path, expected: FeatureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "KEPT_EVERY", 2)
    directory = tmp_path / "features"
    with pytest.raises(KeyboardInterrupt):
        extract_features(Frames(breaks_at=5), EXTRACTOR, directory, Silent())
    with pytest.raises(DatasetError, match=r"5 of 7 frames are done.*--fresh"):
        open_features(directory)
    frames = Frames()
    assert_same(extract_features(frames, EXTRACTOR, directory, Silent()), expected)
    assert sorted(frames.decoded) == [0, 5, 6]
    extract_features(again := Frames(), EXTRACTOR, directory, Silent())
    assert again.decoded == [0]


@pytest.mark.parametrize(
    ("frames", "extractor"),
    [
        (Frames(seed=2), EXTRACTOR),
        (Frames(count=6), EXTRACTOR),
        (Frames(has_depth=False), EXTRACTOR),
        (Frames(camera_=replace(CAMERA, fx=160.0)), EXTRACTOR),
        (Frames(), open_extractor("sift", SIZE, K - 10)),
        (Frames(), open_extractor("sift", (50, 40), K)),
    ],
)
def test_what_is_left_of_other_frames_or_another_extractor_is_not_gone_on_with(
    tmp_path: Path, frames: Frames, extractor: Extractor
) -> None:
    directory = tmp_path / "features"
    with pytest.raises(KeyboardInterrupt):
        extract_features(Frames(breaks_at=5), EXTRACTOR, directory, Silent())
    found = extract_features(frames, extractor, directory, Silent())
    assert_same(found, extract_features(frames, extractor, tmp_path / "anew", Silent()))


@dataclass
class LargeFrames(Frames):
    """20 megapixels each, and the same ones."""

    count: int = 12
    camera_: Camera = LARGE
    has_depth: bool = False

    def __post_init__(self) -> None:
        rng = np.random.default_rng(1)
        coarse = rng.integers(0, 256, (57, 86, 3), np.uint8)
        self.rgb = np.ascontiguousarray(np.kron(coarse, np.ones((64, 64, 1), np.uint8))[:3648, :5472])

    def frame(self, index: int, *, depth: bool = False) -> Frame:
        return Frame(self.names[index], CameraImage(self.rgb, self.camera_), np.eye(4))


def test_images_of_20_megapixels_are_scaled_and_none_is_kept(tmp_path: Path) -> None:
    frames = LargeFrames()
    tracemalloc.start()
    cache = extract_features(frames, open_extractor("sift", (640, 428), 500), tmp_path / "features", Silent())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.5 * frames.rgb.nbytes
    found = cache.key_points(0)
    assert len(found) > 100
    assert (found.pixels < (640, 428)).all()
    assert cache.camera(0).fx == pytest.approx(4000 * 640 / 5472)


@pytest.mark.parametrize("size", [(140, 80), (100, 120)])
def test_images_of_another_aspect_ratio_are_fitted_into_the_extractors(tmp_path: Path, size: tuple[int, int]) -> None:
    """They are 200x160, so 100x80 here; what is found in what was added is left out."""
    fitted = extract_features(Frames(), open_extractor("sift", (100, 80), K), tmp_path / "fitted", Silent())
    padded = extract_features(Frames(), open_extractor("sift", size, K), tmp_path / "padded", Silent())
    assert any(fitted.count(index) for index in range(len(fitted)))
    for index in filter(fitted.count, range(len(fitted))):  # not of those without texture
        few, many = fitted.key_points(index), padded.key_points(index)
        assert len(many) > 0.8 * len(few)
        assert (many.pixels <= (99.5, 79.5)).all()
        assert (np.diff(many.scores) <= 0).all()
        apart = np.linalg.norm(few.pixels[:, None] - many.pixels, axis=2).min(axis=1)
        assert np.mean(apart < 0.01) > 0.8  # but near the border
        assert padded.camera(index).fx == fitted.camera(index).fx
        assert padded.camera(index).cy == fitted.camera(index).cy


@pytest.mark.parametrize("file", ["pixels.npy", "content.json", "done.json"])
def test_a_damaged_cache_is_one_line(tmp_path: Path, expected: FeatureCache, file: str) -> None:
    (tmp_path / "expected" / file).write_bytes(b"nothing")
    with pytest.raises(DatasetError, match=r"expected: key points are missing .*--fresh"):
        open_features(tmp_path / "expected")


def test_depth_between_pixels_is_that_of_the_plane_and_unknown_at_edges() -> None:
    rng = np.random.default_rng(1)
    columns, rows = np.meshgrid(np.arange(40), np.arange(30))
    plane = (2 + 0.01 * columns + 0.005 * rows).astype(np.float32)
    pixels = rng.uniform((0, 0), (39, 29), (200, 2))
    np.testing.assert_allclose(depth_at(plane, pixels), 2 + pixels @ [0.01, 0.005], atol=1e-5)
    edged = np.where(columns < 20, plane, 3 * plane)
    edged[:, 30:] = np.inf
    edged[:10] = 0
    x, y = pixels.T
    known = (y >= 10) & ((x < 19) | ((x > 20) & (x < 29)))
    np.testing.assert_array_equal(depth_at(edged, pixels) > 0, known)


def test_the_tensors_have_the_names_of_the_contract() -> None:
    tensors = EXTRACTOR.tensors(EXTRACTOR.inputs(network_input(Frames().frame(3).image, SIZE)))
    assert set(tensors) == {KEY_POINTS, SCORES, DESCRIPTORS}
    assert not tensors[SCORES].any()
