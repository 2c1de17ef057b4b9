"""Transformer encoders with linear attention, whose cost grows with the number of cells and not with its square."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEADS = 8


def size_of(x: Tensor) -> tuple[int, int]:
    """Height and width of (..., h, w) as plain numbers: what is exported has no shapes to compute when it runs."""
    return int(x.shape[-2]), int(x.shape[-1])


def linear_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention (B, heads, d, N) with the kernel phi(q) . phi(k), phi(x) = elu(x) + 1, of queries, keys and values
    (B, heads, d, N): each position's weighted mean of the values (HSCNet++, section 4.2)."""
    queries, keys = F.elu(queries) + 1, F.elu(keys) + 1
    count = size_of(values)[1]  # divided by before it is summed: nothing leaves the range of 16 bits
    summary = (values / count) @ keys.transpose(-1, -2)
    weight = (keys / count).sum(dim=-1, keepdim=True).transpose(-1, -2) @ queries
    return (summary @ queries) / weight.clamp_min(1e-6)


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of every cell of (B, C, h, w)."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return y


class LinearTransformer(nn.Module):
    """One encoder layer on cells (B, C, h, w): self-attention over all of them, then each by itself, beside identities.

    It knows no positions but those that its input tells of: permuting the cells permutes the output. `width`: channels
    of the attention and of the layer between, which is what a layer costs where C is large.
    """

    def __init__(self, channels: int, width: int):
        super().__init__()
        if width % HEADS:
            raise ValueError(f"attention: width {width} is no multiple of {HEADS} heads")
        self.head_width = width // HEADS
        self.before_attention = ChannelNorm(channels)
        self.project = nn.Conv2d(channels, 3 * width, 1, bias=False)
        self.merge = nn.Conv2d(width, channels, 1)
        self.before_mlp = ChannelNorm(channels)
        self.expand = nn.Conv2d(channels, 2 * width, 1)
        self.shrink = nn.Conv2d(2 * width, channels, 1)

    def start_as_identity(self) -> None:
        """Add nothing at the beginning of training: a short one has no time to unlearn what chance would add."""
        for last in (self.merge, self.shrink):
            nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        height, width = size_of(x)
        projected = self.project(self.before_attention(x)).reshape(-1, 3, HEADS, self.head_width, height * width)
        attended = linear_attention(projected[:, 0], projected[:, 1], projected[:, 2])
        x = x + self.merge(attended.reshape(-1, HEADS * self.head_width, height, width))
        y: Tensor = x + self.shrink(F.elu(self.expand(self.before_mlp(x))))
        return y


def encoder(channels: int, width: int, layers: int) -> nn.Module:
    """So many layers one after the other; the identity for none."""
    inner = min(width, channels)
    return nn.Sequential(*(LinearTransformer(channels, inner) for _ in range(layers))) if layers else nn.Identity()


def one_hot(labels: Tensor, count: int, dtype: torch.dtype) -> Tensor:
    """One-hot maps (B, count, h, w) of labels (B, h, w); all zero where a label is -1."""
    numbers = torch.arange(count, dtype=torch.int32, device=labels.device).view(1, count, 1, 1)
    return (labels.to(torch.int32).unsqueeze(1) == numbers).to(dtype)
