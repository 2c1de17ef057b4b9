"""Networks as the robot runs them: their input, the way torch runs them, fused and in 16-bit arithmetic."""

import cv2
import numpy as np
import pytest
import torch
from support.training_scenes import SMALL, objective_with_statistics

from vloc_ros.core.model_spec import GridSpec
from vloc_ros.geometry.camera import Camera
from vloc_ros.methods.hscnet.method import HSCNetMethod
from vloc_ros.methods.vsnet.method import VSNetMethod
from vloc_ros.training.deploy import Preprocess, TorchSession
from vloc_ros.training.deployed_spec import deployed_spec
from vloc_ros.training.fuse import fused
from vloc_ros.training.objective import Normalize
from vloc_ros.training.vsnet.objective import VSNetObjective
from vloc_ros.training.vsnet.options import Preset


def test_a_batch_is_as_good_as_one_after_the_other(objective: VSNetObjective, images: np.ndarray) -> None:
    session = TorchSession(objective, SMALL)
    together = session.run({"image": images})
    for index in range(len(images)):
        alone = session.run({"image": images[index : index + 1]})
        for name in SMALL.outputs:
            np.testing.assert_allclose(together[name][index], alone[name][0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("preset", ["mobile", "resnet50"])
def test_a_fused_network_does_the_same_in_fewer_steps(preset: Preset) -> None:
    network = objective_with_statistics(preset).network.eval()
    rewritten = fused(network)
    removed = (torch.nn.BatchNorm2d, torch.nn.PixelUnshuffle)
    assert any(isinstance(module, removed) for module in network.modules())
    assert not any(isinstance(module, removed) for module in rewritten.modules())
    pixels = torch.randn(2, 3, SMALL.height, SMALL.width)
    with torch.no_grad():
        for expected, found in zip(network(pixels), rewritten(pixels), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("shrink", [1, 2, 3])
def test_preprocessing_shrinks_as_opencv_does(shrink: int, images: np.ndarray) -> None:
    width, height = shrink * SMALL.width, shrink * SMALL.height
    rng = np.random.default_rng(0)
    full = rng.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    size = (SMALL.width, SMALL.height)
    small = np.stack([cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in full])
    found = Preprocess(width, height, shrink)(torch.from_numpy(full))
    rounding = 0.51 / 57  # of a grey level, in standard deviations
    torch.testing.assert_close(found, Normalize()(torch.from_numpy(small)), rtol=0, atol=rounding)


@pytest.mark.parametrize(
    ("camera_size", "spec"),
    [
        ((320, 240), GridSpec(320, 240, 4, VSNetMethod.outputs)),
        ((640, 480), GridSpec(640, 480, 8, VSNetMethod.outputs)),
        ((960, 720), GridSpec(960, 720, 12, VSNetMethod.outputs)),
        ((1280, 960), GridSpec(320, 240, 4, VSNetMethod.outputs)),  # too much to send through the network
        ((480, 360), GridSpec(320, 240, 4, VSNetMethod.outputs)),
        ((640, 400), GridSpec(320, 240, 4, VSNetMethod.outputs)),
        ((160, 120), GridSpec(320, 240, 4, VSNetMethod.outputs)),
    ],
)
def test_whole_images_are_the_input_where_they_are_a_small_multiple(
    camera_size: tuple[int, int], spec: GridSpec
) -> None:
    width, height = camera_size
    network_camera = Camera(320, 240, 300.0, 300.0, 160.0, 120.0)
    camera = Camera(width, height, 300.0, 300.0, width / 2, height / 2)
    assert deployed_spec(network_camera, 4, camera, VSNetMethod.outputs) == spec
    other = deployed_spec(network_camera, 8, camera, HSCNetMethod.outputs)
    assert (other.stride, other.outputs) == (2 * spec.stride, HSCNetMethod.outputs)
    assert (other.width, other.height) == (spec.width, spec.height)


def test_float16_sums_convolutions_in_float32(objective: VSNetObjective, images: np.ndarray) -> None:
    """As tensor cores do, whatever torch does on this CPU: the same but for the rounding of the result."""
    expected = TorchSession(objective, SMALL).run({"image": images})
    found = TorchSession(objective, SMALL, precision="float16").run({"image": images})
    for name in SMALL.outputs:
        assert found[name].dtype == expected[name].dtype
    assert (found["labels"] == expected["labels"]).mean() > 0.98
    np.testing.assert_allclose(found["distances"], expected["distances"], rtol=0.02, atol=0.1)
    assert np.abs(found["distances"] - expected["distances"]).max() > 1e-4  # it was rounded
