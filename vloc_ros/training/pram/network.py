"""PRAM's recognizer (section 3.3): from the key points of an image to the landmark that each belongs to.

A key point's descriptor and position make a feature; layers let the features of an image know of each other; a linear
layer says how likely each landmark is, and none.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Preset: TypeAlias = Literal["small", "paper"]
Layer: TypeAlias = Literal["pooled", "attention"]

LEAST_SHARE = 0.02  # of key points with a landmark and without: what is never seen may still be
SHARPNESS, USUAL_COSINE = 40.0, 0.85  # of a key point that shows a landmark with the most similar prototype of it
POSITION_CHANNELS = (32, 64, 128)  # of the position encoder's hidden layers, as in the paper


@dataclass(frozen=True)
class RecognizerSettings:
    """`layers` of `channels`, of a kind: attention, as in the paper, in which every key point asks all others, by so
    many `heads`; or pooled, in which each is told the mean and the maximum over all, in a time that grows with the
    number of key points and not with its square. `learning_rate`: of steps of BASE_BATCH images. `prototypes` of each
    landmark, directions of descriptors: the likelihood of a landmark begins with the cosine of the most similar one,
    and the layers learn what is to be added. None in the paper."""

    layer: Layer
    layers: int
    channels: int
    learning_rate: float
    heads: int = 4
    prototypes: int = 0


PRESETS: Mapping[Preset, RecognizerSettings] = {
    "small": RecognizerSettings("pooled", 1, 64, 4e-3, prototypes=8),
    "paper": RecognizerSettings("attention", 15, 256, 1e-4),
}


class Recognizer(nn.Module):
    """key points (B, K, 2), pixels of an image of `size` (width, height), their scores (B, K), 0 where there is none,
    and descriptors (B, K, D) to logits (B, K, 1 + landmarks): column 0 is none, column k landmark k - 1. `none_share`:
    of the key points that it learns from, those that show no landmark."""

    def __init__(
        self,
        landmarks: int,
        dimensions: int,
        size: tuple[int, int],
        settings: RecognizerSettings,
        none_share: float = 0.5,
    ) -> None:
        super().__init__()
        self.landmarks, self.dimensions, self.size = landmarks, dimensions, size
        width, height = size
        self.center: Tensor
        # The loss weighs key points with and without a landmark alike, as if half of all had none.
        self.none_odds: Tensor
        odds = min(max(none_share, LEAST_SHARE), 1 - LEAST_SHARE)
        self.register_buffer("none_odds", torch.tensor(math.log(odds / (1 - odds))))
        self.register_buffer("center", torch.tensor([(width - 1) / 2, (height - 1) / 2]))
        self.half_size = max(width, height) / 2
        self.position_encoder = position_encoder(settings.channels)
        self.descriptor_encoder = nn.Linear(dimensions, settings.channels)
        layer = {"pooled": PooledLayer, "attention": AttentionLayer}[settings.layer]
        self.layers = nn.ModuleList(layer(settings) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(settings.channels)
        self.head = nn.Linear(settings.channels, 1 + landmarks)
        self.prototypes = nn.Parameter(torch.zeros(landmarks * settings.prototypes, dimensions))
        self.sharpness = nn.Parameter(torch.tensor(1.0))

    def start_from(self, prototypes: Tensor) -> None:
        """Begin with prototypes (landmarks * settings.prototypes, D), landmark after landmark, and nothing else."""
        with torch.no_grad():
            self.prototypes.copy_(prototypes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, key_points: Tensor, scores: Tensor, descriptors: Tensor) -> Tensor:
        there = (scores > 0).unsqueeze(-1).to(descriptors.dtype)
        position = (key_points - self.center) / self.half_size
        # A unit vector's numbers are small: with a variance of 1 the layer learns as fast as that of the position.
        described = self.descriptor_encoder(descriptors * math.sqrt(self.dimensions))
        features = described + self.position_encoder(position)  # equation 7
        for layer in self.layers:
            features = layer(features, there)
        logits: Tensor = self.head(self.norm(features))
        if len(self.prototypes):
            cosines = descriptors @ self.prototypes.T
            most = cosines.reshape(*cosines.shape[:2], self.landmarks, -1).amax(-1)
            alike = SHARPNESS * self.sharpness * (most - USUAL_COSINE)
            logits = torch.cat([logits[..., :1], logits[..., 1:] + alike], dim=-1)
        return logits

    def probabilities(self, key_points: Tensor, scores: Tensor, descriptors: Tensor) -> Tensor:
        """Of none and of each landmark (B, K, 1 + landmarks), with as many key points of none as were learned from."""
        logits = self(key_points, scores, descriptors)
        return torch.cat([logits[..., :1] + self.none_odds, logits[..., 1:]], dim=-1).softmax(-1)


def position_encoder(channels: int) -> nn.Sequential:
    """The paper's f_pos: from x and y, -1 to 1 along the longer side, to a feature."""
    layers: list[nn.Module] = []
    before = 2
    for hidden in POSITION_CHANNELS:
        layers += [nn.Linear(before, hidden), nn.LayerNorm(hidden), nn.GELU()]
        before = hidden
    return nn.Sequential(*layers, nn.Linear(before, channels))


class PooledLayer(nn.Module):
    """Features (B, K, C) that are told the mean and the maximum over those that are `there` (B, K, 1)."""

    def __init__(self, settings: RecognizerSettings) -> None:
        super().__init__()
        channels = settings.channels
        self.norm = nn.LayerNorm(channels)
        self.own = nn.Linear(channels, 2 * channels)
        self.context = nn.Linear(2 * channels, 2 * channels, bias=False)
        self.out = nn.Linear(2 * channels, channels)

    def forward(self, features: Tensor, there: Tensor) -> Tensor:
        normalized = self.norm(features) * there
        mean = normalized.sum(1) / there.sum(1).clamp_min(1)
        highest = normalized.amax(1).clamp_min(0)  # the 0 of those that are not there counts in any case
        pooled = torch.cat([mean, highest], dim=-1)
        hidden = self.own(normalized) + self.context(pooled).unsqueeze(1)
        updated: Tensor = features + self.out(F.relu(hidden))
        return updated


class AttentionLayer(nn.Module):
    """Features (B, K, C) after self-attention over those that are `there` (B, K, 1)."""

    def __init__(self, settings: RecognizerSettings) -> None:
        super().__init__()
        channels = settings.channels
        self.heads = settings.heads
        self.norm = nn.LayerNorm(channels)
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.message = nn.Linear(channels, channels)
        self.out = nn.Sequential(
            nn.LayerNorm(channels), nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels)
        )

    def forward(self, features: Tensor, there: Tensor) -> Tensor:
        batch, count, channels = features.shape
        split = self.query_key_value(self.norm(features)).view(batch, count, 3, self.heads, channels // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        unseen = (1 - there.transpose(1, 2)).unsqueeze(1) * -1e4  # (B, 1, 1, K); finite in 16 bits too
        message = F.scaled_dot_product_attention(query, key, value, attn_mask=unseen.expand(-1, -1, count, -1))
        features = features + self.message(message.transpose(1, 2).reshape(batch, count, channels))
        updated: Tensor = features + self.out(features)
        return updated
