"""HSCNet: sizes and receptive fields of the papers, conditioning, attention against a slow reference, and learning."""

from dataclasses import replace

import pytest
import torch
from support.training_scenes import most_likely
from torch import Tensor, nn
from torch.nn import functional as F

from vloc_ros.training.hscnet.attention import HEADS, LinearTransformer, linear_attention, one_hot
from vloc_ros.training.hscnet.network import PRESETS, Architecture, Choose, HSCNet
from vloc_ros.training.hscnet.options import STRIDE, Preset

TINY = Architecture(
    stem=(4, 4, 8, 8, 8, 8, 8, 8),
    context=(8, 8, 8),
    classifier=(8, 8),
    regressor=(16, 16),
    classifier_generator=(8,),
    regressor_generator=(8, 8),
    attention=8,
)
VARIANTS = {
    "hscnet": (TINY, (4, 3)),
    "hscnet++": (replace(TINY, transformers=2), (4, 3)),
    "three levels": (TINY, (4, 3, 5)),
    "no conditioning": (replace(TINY, conditioned=False), (4, 3)),
    "classification only": (replace(TINY, residual=False), (4, 3)),
    "regression only": (TINY, ()),
}


def truth_of(branching: tuple[int, ...], height: int, width: int, count: int = 1) -> Tensor:
    levels = [torch.randint(k, (count, 1, height, width)) for k in branching]
    return torch.cat([torch.empty(count, 0, height, width, dtype=torch.long), *levels], dim=1)


def given(truth: Tensor) -> Choose:
    return lambda level, logits: truth[:, level]


def megabytes(network: nn.Module) -> float:
    return 4e-6 * sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("preset", "branching", "size", "tolerance"),
    [
        ("paper", (), 104, 0.01),
        ("paper", (25, 25), 147.9, 0.002),
        ("joined", (175, 25), 163, 0.002),
        ("compact", (175, 25), 73, 0.03),
        ("paper++", (25, 25), 84.5, 0.03),
        ("joined++", (175, 25), 113.5, 0.05),
    ],
)
def test_sizes_are_those_of_the_papers(
    preset: Preset, branching: tuple[int, ...], size: float, tolerance: float
) -> None:
    """HSCNet, table 2, and HSCNet++, table 10, in MB."""
    with torch.device("meta"):
        assert megabytes(HSCNet(branching, PRESETS[preset])) == pytest.approx(size, rel=tolerance)


@pytest.mark.parametrize("preset", ["small", "small++"])
def test_small_ones_have_one_to_two_million_parameters(preset: Preset) -> None:
    assert 4 < megabytes(HSCNet((25, 25), PRESETS[preset])) < 8


def stirred(network: HSCNet) -> HSCNet:
    """As after some training: transformers, which begin as the identity, do something."""
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, LinearTransformer):
                for last in (layer.merge, layer.shrink):
                    last.weight.normal_(std=0.1)
    return network


def seen(network: HSCNet, output: str) -> int:
    """Width in pixels of what one cell of an output depends on, while what it is conditioned on stays as it is."""
    size = 640
    image = torch.randn(1, 3, 8, size, requires_grad=True)
    cells = size // STRIDE
    truth = truth_of(network.branching, 1, cells)
    result = network(image, given(truth))
    chosen = result.residuals if output == "residuals" else result.logits[int(output)]
    cell = cells // 2
    (gradient,) = torch.autograd.grad(chosen[..., cell].sum(), image)
    (columns,) = torch.nonzero(gradient.abs().sum(dim=(0, 1, 2)), as_tuple=True)
    return int(columns.max() - columns.min()) + 1


@pytest.mark.parametrize(("output", "pixels"), [("residuals", 73), ("1", 185), ("2", 185), ("0", 409)])
def test_receptive_fields_are_the_papers(output: str, pixels: int) -> None:
    torch.manual_seed(0)
    assert seen(HSCNet((4, 3, 5), TINY), output) == pixels


def test_a_cell_of_hscnetpp_sees_the_whole_image() -> None:
    torch.manual_seed(0)
    architecture, branching = VARIANTS["hscnet++"]
    network = stirred(HSCNet(branching, architecture))
    assert all(seen(network, output) == 640 for output in ("residuals", "0", "1"))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [(64, 96), (48, 80)], ids=str)  # 48 / 8 / 2 is odd
def test_output_shapes(variant: str, size: tuple[int, int]) -> None:
    architecture, branching = VARIANTS[variant]
    output = HSCNet(branching, architecture)(torch.randn(2, 3, *size), most_likely)
    cells = (size[0] // STRIDE, size[1] // STRIDE)
    assert output.residuals.shape == (2, 3, *cells)
    assert [tuple(logits.shape) for logits in output.logits] == [(2, k, *cells) for k in branching]
    assert architecture.residual or not output.residuals.any()


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_output_teaches_every_parameter(variant: str) -> None:
    torch.manual_seed(0)
    architecture, branching = VARIANTS[variant]
    network = stirred(HSCNet(branching, architecture))
    output = network(torch.randn(2, 3, 64, 96), given(truth_of(branching, 8, 12, 2)))
    (output.residuals.square().mean() + sum(logits.square().mean() for logits in output.logits)).backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not silent


@pytest.mark.parametrize("variant", ["hscnet", "three levels"])
def test_a_level_is_conditioned_on_all_before_it_cell_by_cell(variant: str) -> None:
    torch.manual_seed(0)
    architecture, branching = VARIANTS[variant]
    network, image = HSCNet(branching, architecture), torch.randn(1, 3, 64, 96)
    truth = truth_of(branching, 8, 12)
    outputs = network(image, given(truth))
    for level in range(len(branching)):
        other = truth.clone()
        other[0, level, 3, 4] = (other[0, level, 3, 4] + 1) % branching[level]
        changed = network(image, given(other))
        for before, (a, b) in enumerate(
            zip((*outputs.logits, outputs.residuals), (*changed.logits, changed.residuals), strict=True)
        ):
            differs = (a != b).any(dim=1)[0]
            assert differs[3, 4] == (before > level)
            differs[3, 4] = False
            assert not differs.any()


def test_without_conditioning_labels_change_nothing() -> None:
    architecture, branching = VARIANTS["no conditioning"]
    network, image = HSCNet(branching, architecture), torch.randn(1, 3, 64, 96)
    one, other = (network(image, given(truth_of(branching, 8, 12))) for _ in range(2))
    torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_unknown_labels_are_no_label() -> None:
    labels = torch.tensor([[[0, 2, -1]]])
    hot = one_hot(labels, 3, torch.float32)
    assert hot.shape == (1, 3, 1, 3)
    torch.testing.assert_close(hot[..., :2], F.one_hot(labels[..., :2], 3).permute(0, 3, 1, 2).float())
    assert not hot[..., 2].any()


def test_transformers_begin_as_the_identity() -> None:
    """So the network begins as the one without, of the same other weights."""
    torch.manual_seed(0)
    architecture, branching = VARIANTS["hscnet++"]
    network, image = HSCNet(branching, architecture), torch.randn(1, 3, 64, 96)
    plain = HSCNet(branching, replace(architecture, transformers=0))
    plain.load_state_dict({n: v for n, v in network.state_dict().items() if "encoder" not in n})
    for a, b in zip(network(image, most_likely).logits, plain(image, most_likely).logits, strict=True):
        torch.testing.assert_close(a, b)


def test_linear_attention_is_the_quadratic_one_of_its_kernel() -> None:
    torch.manual_seed(0)
    queries, keys, values = torch.randn(3, 2, 15, 4 * HEADS, dtype=torch.float64)
    heads = []
    for q, k, v in zip(*(x.split(4, dim=-1) for x in (queries, keys, values)), strict=True):
        weights = (F.elu(q) + 1) @ (F.elu(k) + 1).transpose(-1, -2)
        heads.append((weights / weights.sum(dim=-1, keepdim=True)) @ v)
    torch.testing.assert_close(linear_attention(queries, keys, values), torch.cat(heads, dim=-1))


def test_a_transformer_knows_no_positions() -> None:
    torch.manual_seed(0)
    layer, x = LinearTransformer(16, 8).double(), torch.randn(2, 12, 16, dtype=torch.float64)
    order = torch.randperm(12)
    torch.testing.assert_close(layer(x[:, order]), layer(x)[:, order])
