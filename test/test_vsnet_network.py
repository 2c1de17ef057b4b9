"""Networks: shapes, sizes, weights from torchvision, and how far a cell sees."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from vloc_ros.errors import ModelError
from vloc_ros.training.vsnet.network import PRESETS, mobile, resnet50
from vloc_ros.training.vsnet.resnet import ResNet50, load_torchvision_weights


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(("size", "stride"), [((96, 128), 4), ((80, 144), 2)], ids=str)
def test_output_shapes(preset: str, size: tuple[int, int], stride: int) -> None:
    network = PRESETS[preset](12, stride).eval()  # type: ignore[index]
    assert network.stride == stride
    height, width = size
    with torch.no_grad():
        output = network(torch.zeros(2, 3, height, width))
    cells = (height // network.stride, width // network.stride)
    assert output.embeddings.shape == (2, 12, *cells)
    assert output.offsets.shape == (2, 2, *cells)
    assert output.log_scales.shape == (2, *cells)


def test_mobile_is_small() -> None:
    assert 1e6 < sum(p.numel() for p in mobile(32, 4).parameters()) < 3e6


@pytest.mark.parametrize("preset", PRESETS)
def test_a_loss_anywhere_reaches_every_parameter(preset: str) -> None:
    network = PRESETS[preset](8, 4)  # type: ignore[index]
    output = network(torch.randn(2, 3, 64, 96))
    (output.embeddings.square().mean() + output.offsets.square().mean() + output.log_scales.square().mean()).backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not silent


@pytest.mark.parametrize("preset", PRESETS)
def test_a_cell_sees_around_itself_and_far_away(preset: str) -> None:
    torch.manual_seed(0)
    network = PRESETS[preset](8, 4).eval()  # type: ignore[index]
    image = torch.randn(1, 3, 96, 320, requires_grad=True)
    network(image).embeddings[0, :, 12, 10].sum().backward()
    assert image.grad is not None
    influence = image.grad.abs().sum(dim=(0, 1))
    column = 10 * network.stride + network.stride // 2
    near = influence[:, column - 16 : column + 16].mean()
    far = influence[:, 280:].mean()  # through the pooled context
    assert near > 10 * far > 0


def torchvision_state() -> dict[str, Tensor]:
    """Random values under torchvision's names, its classifier included."""
    state = {name: torch.rand_like(value.float()) for name, value in ResNet50().state_dict().items()}
    assert {"conv1.weight", "bn1.running_var", "layer1.0.downsample.0.weight", "layer4.2.bn3.bias"} <= state.keys()
    return state | {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}


def test_backbone_takes_torchvision_weights(tmp_path: Path) -> None:
    state, file = torchvision_state(), tmp_path / "resnet50.pth"
    torch.save(state, file)
    network = resnet50(8, 4)
    assert network.backbone is not None
    load_torchvision_weights(network.backbone, file)
    loaded = network.backbone.state_dict()
    assert all(torch.equal(value.float(), state[name].to(value.dtype).float()) for name, value in loaded.items())
    assert mobile(8, 4).backbone is None


def test_backbone_has_torchvisions_shapes() -> None:
    """What the published file holds: 25.6 M parameters, 2.05 M of them the classifier's."""
    assert sum(p.numel() for p in ResNet50().parameters()) == 25_557_032 - 2_049_000


@pytest.mark.parametrize("fault", ["missing", "shape", "no state dict", "no file", "garbage"])
def test_other_weights_are_refused_in_one_line(tmp_path: Path, fault: str) -> None:
    file, backbone = tmp_path / "weights.pth", ResNet50()
    state: object = torchvision_state()
    assert isinstance(state, dict)
    if fault == "missing":
        del state["layer3.1.conv2.weight"]
    elif fault == "shape":
        state["layer3.1.conv2.weight"] = torch.zeros(3)
    elif fault == "no state dict":
        state = [1, 2, 3]
    if fault == "garbage":
        file.write_bytes(b"\x89PNG and so on")
    elif fault != "no file":
        torch.save(state, file)
    weight = backbone.conv1.weight
    assert isinstance(weight, Tensor)
    before = weight.clone()
    with pytest.raises(ModelError) as error:
        load_torchvision_weights(backbone, file)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)
    assert torch.equal(before, weight)
    if fault in ("missing", "shape"):
        assert "layer3.1.conv2.weight" in str(error.value)
