"""Transformer encoders with linear attention, whose cost grows with the number of cells and not with its square."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEADS = 8


def size_of(x: Tensor) -> tuple[int, int]:
    """Height and width of (..., h, w) as plain numbers: what is exported has no shapes to compute when it runs."""
    return int(x.shape[-2]), int(x.shape[-1])


def linear_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention (B, N, C) with the kernel phi(q) . phi(k), phi(x) = elu(x) + 1, in each of HEADS shares of the channels
    of queries, keys and values (B, N, C): each position's weighted mean of the values (HSCNet++, section 4.2)."""
    count, channels = size_of(keys)
    queries, keys = _kernel(queries), _kernel(keys)
    keys = keys * (1 / count)  # before they are summed: nothing leaves the range of 16 bits
    # All pairs of channels, those of two heads masked: less work than taking the heads apart and putting them together.
    head = torch.arange(channels, device=keys.device) // (channels // HEADS)
    same_head = (head[:, None] == head).to(keys.dtype)
    summaries = (keys.transpose(-1, -2) @ values) * same_head
    weights = queries @ (keys.sum(dim=-2, keepdim=True).transpose(-1, -2) * same_head)
    return (queries @ summaries) / weights.clamp_min(1e-6)


def _kernel(x: Tensor) -> Tensor:
    """elu(x) + 1, in operations that ONNX Runtime does in half the time."""
    return x.clamp_max(0).exp() + F.relu(x)


class LinearTransformer(nn.Module):
    """One encoder layer on tokens (B, N, C): self-attention over all of them, then each by itself, beside identities.

    It knows no positions but those that its input tells of: permuting the tokens permutes the output. `width`: channels
    of the attention and of the layer between, which is what a layer costs where C is large.
    """

    def __init__(self, channels: int, width: int):
        super().__init__()
        if width % HEADS:
            raise ValueError(f"attention: width {width} is no multiple of {HEADS} heads")
        self.before_attention = nn.LayerNorm(channels)
        self.to_queries, self.to_keys, self.to_values = (nn.Linear(channels, width, bias=False) for _ in range(3))
        self.merge = nn.Linear(width, channels, bias=False)
        self.before_mlp = nn.LayerNorm(channels)
        self.expand = nn.Linear(channels, 2 * width, bias=False)
        self.shrink = nn.Linear(2 * width, channels, bias=False)

    def start_as_identity(self) -> None:
        """Add nothing at the beginning of training: a short one has no time to unlearn what chance would add."""
        for last in (self.merge, self.shrink):
            nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        normalised = self.before_attention(x)
        projected = (project(normalised) for project in (self.to_queries, self.to_keys, self.to_values))
        x = x + self.merge(linear_attention(*projected))
        y: Tensor = x + self.shrink(F.relu(self.expand(self.before_mlp(x))))
        return y


class Encoder(nn.Module):
    """Transformers, one after the other, on the cells of (B, C, h, w)."""

    def __init__(self, channels: int, width: int, layers: int):
        super().__init__()
        self.layers = nn.Sequential(*(LinearTransformer(channels, min(width, channels)) for _ in range(layers)))

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.permute(0, 2, 3, 1)
        height, width, channels = (int(size) for size in tokens.shape[1:])
        tokens = self.layers(tokens.reshape(-1, height * width, channels))
        cells: Tensor = tokens.reshape(-1, height, width, channels)
        return cells.permute(0, 3, 1, 2)


def one_hot(labels: Tensor, count: int, dtype: torch.dtype) -> Tensor:
    """One-hot maps (B, count, h, w) of labels (B, h, w)."""
    numbers = torch.arange(count, dtype=torch.int32, device=labels.device).view(1, count, 1, 1)
    return (labels.to(torch.int32).unsqueeze(1) == numbers).to(dtype)
