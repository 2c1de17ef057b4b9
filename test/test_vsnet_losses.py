"""Losses of VS-Net: gradients against autograd and differences, mining against a slow reference, minima at truth."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from vloc_ros.training.vsnet import losses
from vloc_ros.training.vsnet.losses import (
    chunked_cross_entropy,
    cosine_cross_entropy,
    direction_l1,
    mine_negatives,
    offset_l1,
    prototype_triplet,
    sampled_softmax,
    scale_likelihood,
    segmentation_loss,
)
from vloc_ros.training.vsnet.options import SegmentationLoss

PIXELS, CLASSES, EMBEDDING = 200, 30, 8


@pytest.fixture
def sample() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Embeddings (P, E), labels (P,), images (P,), prototypes (K, E), float64."""
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(PIXELS, EMBEDDING, generator=generator, dtype=torch.float64, requires_grad=True),
        torch.randint(CLASSES, (PIXELS,), generator=generator),
        torch.randint(3, (PIXELS,), generator=generator),
        torch.randn(CLASSES, EMBEDDING, generator=generator, dtype=torch.float64, requires_grad=True),
    )


def plain_triplet(embeddings: Tensor, labels: Tensor, negatives: Tensor, prototypes: Tensor, margin: float) -> Tensor:
    """Equation 2 as it is written."""
    positive = F.cosine_similarity(embeddings, prototypes[labels])
    negative = F.cosine_similarity(embeddings, prototypes[negatives])
    return (margin + negative - positive).clamp_min(0).mean()


def test_triplet_and_its_gradient_are_those_of_autograd(
    sample: tuple[Tensor, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "CHUNK_PIXELS", 64)  # several chunks, the last one not full
    embeddings, labels, _, prototypes = sample
    negatives = (labels + torch.randint(1, CLASSES, labels.shape)) % CLASSES
    results = []
    for function in (prototype_triplet, plain_triplet):
        loss = function(embeddings, labels, negatives, prototypes, 0.5)
        results.append((loss, *torch.autograd.grad(2.5 * loss, (embeddings, prototypes))))
    for ours, plain in zip(*results, strict=True):
        torch.testing.assert_close(ours, plain)
    assert results[0][0] > 0


def test_cross_entropy_by_chunks_and_its_gradient_are_those_of_the_plain_one(
    sample: tuple[Tensor, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "SOFTMAX_CELLS", 64)  # several chunks, the last one not full
    embeddings, labels, _, prototypes = sample
    results = []
    for function in (chunked_cross_entropy, cosine_cross_entropy):
        loss = function(embeddings, labels, prototypes, 0.05)
        results.append((loss, *torch.autograd.grad(2.5 * loss, (embeddings, prototypes))))
    for ours, plain in zip(*results, strict=True):
        torch.testing.assert_close(ours, plain)
    assert results[0][0] > 0


def test_cross_entropy_by_chunks_is_finite_whatever_it_is_given() -> None:
    prototypes = torch.eye(4)
    for embeddings in (1e4 * torch.eye(4)[[0, 1]], torch.zeros(2, 4), torch.empty(0, 4)):
        given = embeddings.requires_grad_()
        loss = chunked_cross_entropy(given, torch.arange(len(given)) + 2, prototypes, 0.05)
        torch.autograd.backward(loss)
        assert loss.isfinite()
        assert given.grad is not None
        assert given.grad.isfinite().all()


def test_triplet_gradient_is_that_of_finite_differences(sample: tuple[Tensor, ...]) -> None:
    embeddings, labels, _, prototypes = sample
    negatives = (labels + 1) % CLASSES
    loss = prototype_triplet(embeddings, labels, negatives, prototypes, 0.5)
    gradients = torch.autograd.grad(loss, (embeddings, prototypes))
    step = 1e-6
    for place, gradient in enumerate(gradients):
        direction = torch.randn(gradient.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        moved = []
        for sign in (-1, 1):
            tensors = [embeddings.detach(), prototypes.detach()]
            tensors[place] = tensors[place] + sign * step * direction
            moved.append(prototype_triplet(tensors[0], labels, negatives, tensors[1], 0.5))
        numeric = (moved[1] - moved[0]) / (2 * step)
        assert float((gradient * direction).sum()) == pytest.approx(float(numeric), rel=1e-5)


def test_triplet_does_not_go_backward_twice(sample: tuple[Tensor, ...]) -> None:
    embeddings, labels, _, prototypes = sample
    loss = prototype_triplet(embeddings, labels, (labels + 1) % CLASSES, prototypes, 0.5)
    torch.autograd.grad(2 * loss, embeddings, retain_graph=True)
    with pytest.raises(RuntimeError, match="has been modified by an inplace operation"):
        torch.autograd.grad(loss, embeddings)


@torch.no_grad()
def nearest_others(
    embeddings: Tensor, labels: Tensor, images: Tensor, prototypes: Tensor, pixel: int, k: int
) -> set[int]:
    """The k prototypes nearest to the mean embedding of a pixel's landmark in its image, without its own; slow."""
    same = (labels == labels[pixel]) & (images == images[pixel])
    mean = torch.stack([e / e.norm() for e in embeddings[same]]).mean(dim=0)
    similarity = {c: float(F.cosine_similarity(mean, prototypes[c], dim=0)) for c in range(CLASSES)}
    del similarity[int(labels[pixel])]
    return set(sorted(similarity, key=lambda c: -similarity[c])[:k])


@pytest.mark.parametrize("k", [1, 4])
def test_mined_negatives_are_the_nearest_other_prototypes(
    sample: tuple[Tensor, Tensor, Tensor, Tensor], k: int
) -> None:
    drawn = [mine_negatives(*sample, k) for _ in range(40)]
    for pixel in range(0, PIXELS, 7):
        expected = nearest_others(*sample, pixel, k)
        assert {int(negatives[pixel]) for negatives in drawn} == expected
    assert all((negatives != sample[1]).all() for negatives in drawn)


def test_more_neighbours_than_there_are_others(sample: tuple[Tensor, ...]) -> None:
    embeddings, labels, images, prototypes = sample
    negatives = mine_negatives(embeddings, labels % 3, images, prototypes[:3], 24)
    assert (negatives != labels % 3).all()


@pytest.mark.parametrize("name", ["softmax", "triplet", "triplet_random", "cross_entropy"])
def test_no_loss_where_classes_are_well_apart_and_some_where_they_are_not(name: str) -> None:
    prototypes, labels = torch.eye(12), torch.arange(12).repeat(5)
    images = torch.zeros_like(labels)
    settings = SegmentationLoss(name)  # type: ignore[arg-type]
    assert float(segmentation_loss(settings, 3 * prototypes[labels], labels, images, prototypes)) < 1e-6
    assert float(segmentation_loss(settings, prototypes[(labels + 1) % 12], labels, images, prototypes)) > 0.4


def test_sampled_softmax_of_everything_is_cross_entropy(sample: tuple[Tensor, ...]) -> None:
    embeddings, labels, _, prototypes = sample
    settings = SegmentationLoss("softmax", random_prototypes=4000)  # draws each of the 30, but for a chance of 1e-57
    sampled = sampled_softmax(settings, embeddings, labels, prototypes)
    torch.testing.assert_close(sampled, cosine_cross_entropy(embeddings, labels, prototypes, settings.temperature))
    logits = F.cosine_similarity(embeddings[:, None], prototypes[None], dim=-1) / settings.temperature
    torch.testing.assert_close(sampled, F.cross_entropy(logits, labels))


def test_sampled_softmax_of_some_prototypes_is_a_lower_bound(sample: tuple[Tensor, ...]) -> None:
    embeddings, labels, _, prototypes = sample
    labels = labels % 5
    settings = SegmentationLoss("softmax", neighbours=2, random_prototypes=1)
    sampled = sampled_softmax(settings, embeddings, labels, prototypes)
    assert 0 < sampled < cosine_cross_entropy(embeddings, labels, prototypes, settings.temperature)
    few = sampled_softmax(SegmentationLoss("softmax", pixels=50), embeddings, labels, prototypes)
    few.backward()  # type: ignore[no-untyped-call]
    assert embeddings.grad is not None
    assert int((embeddings.grad.abs().sum(dim=1) > 0).sum()) == 50


@pytest.mark.parametrize("name", ["softmax", "triplet", "triplet_random", "cross_entropy"])
def test_no_pixels_no_loss(name: str) -> None:
    embeddings = torch.zeros(0, EMBEDDING, requires_grad=True)
    none = torch.zeros(0, dtype=torch.long)
    settings = SegmentationLoss(name)  # type: ignore[arg-type]
    loss = segmentation_loss(settings, embeddings, none, none, torch.randn(CLASSES, EMBEDDING))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert direction_l1(embeddings[:, :2], embeddings[:, :2]).item() == 0
    assert offset_l1(embeddings[:, :2], embeddings[:, :2]).item() == 0


def test_direction_loss_is_least_at_the_true_direction() -> None:
    angles = torch.linspace(0, 2 * np.pi, 41, dtype=torch.float64)[:-1]
    directions = torch.stack([angles.cos(), angles.sin()], dim=1)
    for target in directions[::7]:
        values = [float(direction_l1(3 * d[None], 20 * target[None])) for d in directions]
        assert min(values) == pytest.approx(0, abs=1e-12)
        assert torch.equal(directions[int(np.argmin(values))], target)


def test_offset_l1_and_scale_likelihood_are_least_at_the_truth() -> None:
    generator = np.random.default_rng(0)
    scale, targets = 2.5, torch.from_numpy(generator.uniform(-20, 20, (20_000, 2)))
    offsets = targets + torch.from_numpy(generator.laplace(0, scale, (20_000, 2)))
    scales = np.linspace(0.5, 6, 56)
    values = [float(scale_likelihood(offsets, targets, torch.full((20_000,), np.log(s)))) for s in scales]
    assert scales[int(np.argmin(values))] == pytest.approx(scale, abs=0.11)
    shifted = [float(offset_l1(offsets + x, targets)) for x in (-1.0, 0.0, 1.0)]
    assert shifted[1] < min(shifted[0], shifted[2])
