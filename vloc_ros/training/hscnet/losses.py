"""The losses of HSCNet and HSCNet++, averaged over the cells that count: masks (B, h, w) of those with a label."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from vloc_ros.training.hscnet.network import HSCNetOutput
from vloc_ros.training.hscnet.options import REGRESSION

# In place of log 0 in the reverse cross-entropy: less trusts labels less. The paper says that it is a constant.
LOG_ZERO = -4.0


@dataclass(frozen=True)
class HSCNetWeights:
    """Of the terms of the loss. classification: of plain cross-entropy (lambda_1), or with `symmetric`, for labels that
    may be wrong, of what cross-entropy and its reverse make together. regression (lambda_2). reprojection
    (lambda_3): 0 where all labels are measured."""

    classification: float = 1.0
    regression: float = REGRESSION
    symmetric: bool = False
    cross_entropy: float = 0.1
    reverse_cross_entropy: float = 1.0
    reprojection: float = 0.0


DENSE = HSCNetWeights()
SPARSE = HSCNetWeights(symmetric=True, reprojection=0.1)


@dataclass(frozen=True)
class HSCNetTruth:
    """What cells show: paths (B, L, h, w) int64, which child at each level, -1 for unknown; centers (B, 3, h, w) of
    their leaves and coordinates (B, 3, h, w) in metres of their place; known (B, h, w) bool, where that is so.

    For the reprojection: rays (B, 3, h, w), where the cell's centre is seen at depth 1 in the camera's frame, whatever
    augmentation did to the image; camera_from_map (B, 4, 4); focal_lengths (B,) in network pixels.
    """

    paths: Tensor
    centers: Tensor
    coordinates: Tensor
    known: Tensor
    rays: Tensor
    camera_from_map: Tensor
    focal_lengths: Tensor


def hscnet_losses(
    output: HSCNetOutput, truth: HSCNetTruth, weights: HSCNetWeights, reprojection_on: bool = True
) -> dict[str, Tensor]:
    """Terms by name, and their weighted sum `total` (HSCNet, equation 4; HSCNet++, equation 3 and section 5).

    `reprojection_on`: the paper adds the reprojection after ten epochs, so that it starts from something sensible.
    """
    coordinates = truth.centers + output.residuals
    terms = {
        "classification": _classification(output.logits, truth, weights),
        "regression": euclidean(coordinates, truth.coordinates, truth.known),
    }
    total = weights.classification * terms["classification"] + weights.regression * terms["regression"]
    if weights.reprojection and reprojection_on:
        points = apply_poses(truth.camera_from_map, coordinates)
        terms["reprojection"] = angular_reprojection(points, truth.rays, truth.focal_lengths, truth.known)
        total = total + weights.reprojection * terms["reprojection"]
    return {**terms, "total": total}


def _classification(logits: Sequence[Tensor], truth: HSCNetTruth, weights: HSCNetWeights) -> Tensor:
    """Sum over the levels; 0 for a network without."""
    total = truth.centers.new_zeros(())
    for level, scores in enumerate(logits):
        labels = truth.paths[:, level]
        if weights.symmetric:
            total = total + weights.cross_entropy * cross_entropy(scores, labels, truth.known)
            total = total + weights.reverse_cross_entropy * reverse_cross_entropy(scores, labels, truth.known)
        else:
            total = total + cross_entropy(scores, labels, truth.known)
    return total


def cross_entropy(logits: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    """HSCNet, equation 3 (HSCNet++, equation 5): of logits (B, k, h, w) and labels (B, h, w)."""
    return masked_mean(F.cross_entropy(logits, labels.clamp_min(0), reduction="none"), known)


def reverse_cross_entropy(logits: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    """HSCNet++, equation 4: minus the sum of predicted probabilities times the log of the one-hot labels, log 0 being
    LOG_ZERO. Bounded: a wrong label cannot cost more than -LOG_ZERO."""
    probability = logits.softmax(dim=1).gather(1, labels.clamp_min(0).unsqueeze(1)).squeeze(1)
    return masked_mean(-LOG_ZERO * (1 - probability), known)


def euclidean(coordinates: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """HSCNet, equation 2: distance in metres of coordinates (B, 3, h, w) to the truth."""
    # Unknown cells first: NaN times 0 is NaN, in the gradient too.
    difference = torch.where(known.unsqueeze(1), coordinates - truth, 0)
    return masked_mean(_length(difference), known)


def angular_reprojection(points: Tensor, rays: Tensor, focal_lengths: Tensor, known: Tensor) -> Tensor:
    """HSCNet++, equation 6: in pixels, for points (B, 3, h, w) in the camera's frame and cells that are seen along rays
    (B, 3, h, w) at depth 1. Points are first brought to their cell's distance f |ray|, so that only the angle between
    the two counts, behind the camera and close to it too; small angles are pixels."""
    onto_image = focal_lengths.view(-1, 1, 1, 1) * rays
    scale = _length(onto_image) / _length(points).clamp_min(1e-6)
    return masked_mean(_length(scale.unsqueeze(1) * points - onto_image), known)


def apply_poses(target_from_source: Tensor, points: Tensor) -> Tensor:
    """Points (B, 3, h, w) through rigid transforms (B, 4, 4)."""
    rotated = (target_from_source[:, :3, :3] @ points.flatten(2)).view_as(points)
    return rotated + target_from_source[:, :3, 3, None, None]


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Of values (B, h, w); 0 where nothing is known."""
    return torch.where(mask, values, 0).sum() / mask.sum().clamp_min(1)


def _length(vectors: Tensor) -> Tensor:
    """(B, h, w) of (B, 3, h, w); its gradient at 0 is 0 and not NaN."""
    squares = vectors.square().sum(dim=1)
    return torch.where(squares > 0, squares, 1).sqrt() * (squares > 0)
