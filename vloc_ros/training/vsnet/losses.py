"""The losses of VS-Net (section 3.2) on pixel embeddings (P, E), labels (P,) in [0, K) and prototypes (K, E)."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from vloc_ros.training.vsnet.options import SegmentationLoss

# Pixels whose gradient is worked out at a time: the temporaries of one chunk stay in the processor's cache.
CHUNK_PIXELS = 8192
SOFTMAX_CELLS = 256  # cells whose similarities to a thousand prototypes stay in that cache
# An offset of about a patch's size, in network pixels: it brings the loss and the network's output into scale.
OFFSET_UNIT = 8.0


def segmentation_loss(
    settings: SegmentationLoss, embeddings: Tensor, labels: Tensor, images: Tensor, prototypes: Tensor
) -> Tensor:
    """Mean loss over the P pixels; `images` (P,) says which image of the batch a pixel belongs to."""
    if settings.name == "cross_entropy":
        return cosine_cross_entropy(embeddings, labels, prototypes, settings.temperature)
    if settings.name == "softmax":
        return sampled_softmax(settings, embeddings, labels, prototypes)
    if settings.name == "triplet":
        negatives = mine_negatives(embeddings, labels, images, prototypes, settings.neighbours)
    else:
        offsets = torch.randint(1, len(prototypes), labels.shape, device=labels.device)
        negatives = (labels + offsets) % len(prototypes)
    return prototype_triplet(embeddings, labels, negatives, prototypes, settings.margin)


def sampled_softmax(settings: SegmentationLoss, embeddings: Tensor, labels: Tensor, prototypes: Tensor) -> Tensor:
    """`cosine_cross_entropy` of some pixels against some prototypes, always with every pixel's own among them."""
    if len(labels) > settings.pixels:
        kept = torch.randperm(len(labels), device=labels.device)[: settings.pixels]
        embeddings, labels = embeddings[kept], labels[kept]
    candidates = _candidates(settings, embeddings, labels, prototypes)
    position = torch.zeros(len(prototypes), dtype=torch.long, device=labels.device)
    position[candidates] = torch.arange(len(candidates), device=labels.device)
    return cosine_cross_entropy(embeddings, position[labels], prototypes[candidates], settings.temperature)


def _candidates(settings: SegmentationLoss, embeddings: Tensor, labels: Tensor, prototypes: Tensor) -> Tensor:
    """Prototypes to tell apart: active in the batch, nearest to an active one's mean embedding, and random."""
    active, means = class_means(embeddings, labels)
    near = nearest_prototypes(means, active, prototypes, settings.neighbours)
    some = torch.randint(len(prototypes), (settings.random_prototypes,), device=labels.device)
    candidates: Tensor = torch.unique(torch.cat([active, near.flatten(), some]))
    return candidates


def cosine_cross_entropy(embeddings: Tensor, labels: Tensor, prototypes: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of softmax(cosine similarity / temperature): P x K memory."""
    logits = F.normalize(embeddings, dim=-1) @ (F.normalize(prototypes, dim=-1).T / temperature)
    return _mean(F.cross_entropy(logits, labels, reduction="none"))


def chunked_cross_entropy(embeddings: Tensor, labels: Tensor, prototypes: Tensor, temperature: float) -> Tensor:
    """The same up to rounding, in half the time: for losses that take longer than their network. Nothing of size P x K
    is kept."""
    lengths = embeddings.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    units = F.normalize(prototypes, dim=-1)
    loss: Tensor = _CosineSoftmax.apply(embeddings / lengths, units, labels, temperature)  # type: ignore[no-untyped-call]
    return loss


class _CosineSoftmax(torch.autograd.Function):
    """Of unit vectors: as cosines are in -1 .. 1, no exponential can overflow, nor all of them vanish at temperatures
    above 0.025.

    The gradient is worked out with the loss, chunk by chunk, and scaled in place, so that torch refuses to go backward
    twice.
    """

    @staticmethod
    def forward(ctx: Any, embeddings: Tensor, prototypes: Tensor, labels: Tensor, temperature: float) -> Tensor:
        total = embeddings.new_zeros(())
        grad_embeddings, grad_prototypes = torch.empty_like(embeddings), torch.zeros_like(prototypes)
        weight = 1 / max(1, len(labels))
        for start in range(0, len(labels), SOFTMAX_CELLS):
            chunk = slice(start, start + SOFTMAX_CELLS)
            own, unit = labels[chunk, None], embeddings[chunk]
            logits = (unit @ prototypes.T).sub_(1).div_(temperature)
            likelihood = logits.gather(1, own)
            shares = logits.exp_()
            sums = shares.sum(1, keepdim=True)
            total += (sums.log() - likelihood).sum()
            shares.mul_(weight / temperature / sums)
            shares.scatter_add_(1, own, shares.new_full(own.shape, -weight / temperature))
            grad_embeddings[chunk] = shares @ prototypes
            grad_prototypes.addmm_(shares.T, unit)
        ctx.save_for_backward(grad_embeddings, grad_prototypes)
        return total * weight

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad_embeddings, grad_prototypes = ctx.saved_tensors
        return grad_embeddings.mul_(grad), grad_prototypes.mul_(grad), None, None


@torch.no_grad()
def class_means(embeddings: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """The classes present (A,) and the direction of each one's mean normalised embedding (A, E)."""
    present, inverse = torch.unique(classes, return_inverse=True)
    sums = embeddings.new_zeros(len(present), embeddings.shape[1])
    for chunk in _chunks(len(classes)):
        sums.index_add_(0, inverse[chunk], F.normalize(embeddings[chunk], dim=-1))
    return present, F.normalize(sums, dim=-1)


@torch.no_grad()
def nearest_prototypes(means: Tensor, classes: Tensor, prototypes: Tensor, k: int) -> Tensor:
    """For each class mean (A, E) the k nearest prototypes that are not its own, (A, min(k, K - 1))."""
    similarity = means @ F.normalize(prototypes, dim=-1).T
    similarity[torch.arange(len(classes), device=classes.device), classes] = -torch.inf
    return similarity.topk(min(k, len(prototypes) - 1), dim=1).indices


@torch.no_grad()
def mine_negatives(embeddings: Tensor, labels: Tensor, images: Tensor, prototypes: Tensor, k: int) -> Tensor:
    """Hard negatives (P,): each pixel draws one of the k prototypes nearest to its landmark's mean in its image."""
    groups, means = class_means(embeddings, images * len(prototypes) + labels)
    near = nearest_prototypes(means, groups % len(prototypes), prototypes, k)
    row = torch.searchsorted(groups, images * len(prototypes) + labels)
    return near[row, torch.randint(near.shape[1], labels.shape, device=labels.device)]


def prototype_triplet(
    embeddings: Tensor, labels: Tensor, negatives: Tensor, prototypes: Tensor, margin: float
) -> Tensor:
    """Equation 2, averaged over pixels: max(0, m + sim(E_i, P_i-) - sim(E_i, P_i+)), sim the cosine."""
    units = F.normalize(prototypes, dim=-1)
    loss: Tensor = _PrototypeTriplet.apply(embeddings, units, labels, negatives, margin)  # type: ignore[no-untyped-call]
    return loss


class _PrototypeTriplet(torch.autograd.Function):
    """The gradient is worked out with the loss, chunk by chunk: nothing of size P x E but the gradient is kept.

    It is scaled in place, so that torch refuses to go backward twice.
    """

    @staticmethod
    def forward(
        ctx: Any, embeddings: Tensor, units: Tensor, positives: Tensor, negatives: Tensor, margin: float
    ) -> Tensor:
        pixels = len(embeddings)
        total = embeddings.new_zeros(())
        grad_embeddings = torch.empty_like(embeddings)
        grad_units = torch.zeros_like(units)
        for chunk in _chunks(pixels):
            length = embeddings[chunk].norm(dim=-1, keepdim=True).clamp_min(1e-8)
            unit = embeddings[chunk] / length
            difference = units[negatives[chunk]] - units[positives[chunk]]
            hinge = margin + (unit * difference).sum(-1, keepdim=True)
            active = (hinge > 0).to(unit.dtype) / pixels
            total += (hinge * active).sum()
            difference *= active
            radial = (difference * unit).sum(-1, keepdim=True)
            grad_embeddings[chunk] = (difference - radial * unit) / length
            unit *= active
            grad_units.index_add_(0, negatives[chunk], unit)
            grad_units.index_add_(0, positives[chunk], unit, alpha=-1)
        ctx.save_for_backward(grad_embeddings, grad_units)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        grad_embeddings, grad_units = ctx.saved_tensors
        return grad_embeddings.mul_(grad), grad_units.mul_(grad), None, None, None


def _chunks(length: int) -> list[slice]:
    return [slice(start, start + CHUNK_PIXELS) for start in range(0, length, CHUNK_PIXELS)]


def direction_l1(offsets: Tensor, targets: Tensor, counts: Tensor | None = None) -> Tensor:
    """Equation 3, averaged over the pixels that count (...), by default all of them: L1 between the directions of
    offsets and targets (..., 2)."""
    return _mean((F.normalize(offsets, dim=-1) - F.normalize(targets, dim=-1)).abs().sum(-1), counts)


def offset_l1(offsets: Tensor, targets: Tensor, counts: Tensor | None = None) -> Tensor:
    """L1 between offsets and targets (..., 2), network pixels, in units of OFFSET_UNIT, averaged in the same way.

    Not in the paper: a direction says nothing of the distance, and is a coin toss beside its landmark, where the offset
    is at its most certain.
    """
    return _mean((offsets - targets).abs().sum(-1), counts) / OFFSET_UNIT


def scale_likelihood(offsets: Tensor, targets: Tensor, log_scales: Tensor, counts: Tensor | None = None) -> Tensor:
    """Negative log-likelihood of the scales (...) given Laplace-distributed offset errors (..., 2), network pixels,
    averaged in the same way.

    It teaches each pixel what its vote is worth, and nothing else: if the errors were not detached, pixels that are far
    off would call themselves uncertain and be let off learning.
    """
    error = (offsets - targets).abs().sum(-1).detach()
    return _mean(error * torch.exp(-log_scales) + 2 * log_scales, counts)


def _mean(losses: Tensor, counts: Tensor | None = None) -> Tensor:
    """0 for no pixels at all: a batch that shows no landmark teaches nothing, it does not end the training with NaN.

    A mask, unlike a selection, has a size that a GPU need not be waited for to know.
    """
    if counts is None:
        return losses.sum() / max(1, losses.numel())
    return (losses * counts).sum() / counts.sum().clamp_min(1)
