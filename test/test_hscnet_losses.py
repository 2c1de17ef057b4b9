"""Losses of HSCNet: the equations as they are written, what they do not depend on, and that they lead to the truth."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from vloc_ros.training.hscnet import losses
from vloc_ros.training.hscnet.losses import SPARSE, HSCNetTruth, HSCNetWeights, hscnet_losses
from vloc_ros.training.hscnet.network import HSCNetOutput

COUNT, HEIGHT, WIDTH, BRANCHING = 2, 5, 6, (4, 3)


def poses(count: int) -> Tensor:
    matrices = torch.eye(4, dtype=torch.float64).repeat(count, 1, 1)
    matrices[:, :3, :3] = torch.linalg.qr(torch.randn(count, 3, 3, dtype=torch.float64)).Q
    matrices[:, :3, 3] = torch.randn(count, 3, dtype=torch.float64)
    return matrices


@pytest.fixture
def truth() -> HSCNetTruth:
    """Coordinates are where their cells' rays meet something between 1 and 3 m away; a third is unknown."""
    torch.manual_seed(0)
    shape = (COUNT, HEIGHT, WIDTH)
    known = torch.rand(shape) > 0.3
    paths = torch.stack([torch.randint(k, shape) for k in BRANCHING], dim=1)
    rays = torch.cat(
        [torch.randn(COUNT, 2, HEIGHT, WIDTH, dtype=torch.float64) / 2, torch.ones(COUNT, 1, HEIGHT, WIDTH)], 1
    )
    map_from_camera = poses(COUNT)
    coordinates = losses.apply_poses(map_from_camera, rays * (1 + 2 * torch.rand(COUNT, 1, HEIGHT, WIDTH)))
    centers = coordinates + torch.randn_like(coordinates) / 10
    return HSCNetTruth(
        paths=torch.where(known.unsqueeze(1), paths, -1),
        centers=torch.where(known.unsqueeze(1), centers, 0),
        coordinates=torch.where(known.unsqueeze(1), coordinates, torch.nan),
        known=known,
        rays=rays,
        camera_from_map=torch.linalg.inv(map_from_camera),
        focal_lengths=torch.tensor([300.0, 500.0], dtype=torch.float64),
    )


def random_output() -> HSCNetOutput:
    logits = tuple(torch.randn(COUNT, k, HEIGHT, WIDTH, dtype=torch.float64, requires_grad=True) for k in BRANCHING)
    return HSCNetOutput(logits, torch.randn(COUNT, 3, HEIGHT, WIDTH, dtype=torch.float64, requires_grad=True))


def known_cells(truth: HSCNetTruth) -> list[tuple[int, int, int]]:
    return [(b, y, x) for b, y, x in truth.known.nonzero().tolist()]


def test_cross_entropies_are_the_equations(truth: HSCNetTruth) -> None:
    logits, labels = random_output().logits[0].detach(), truth.paths[:, 0]
    forward, reverse = [], []
    for b, y, x in known_cells(truth):
        predicted = logits[b, :, y, x].softmax(0).detach().numpy()
        wanted = np.eye(BRANCHING[0])[int(labels[b, y, x])]
        forward.append(-(wanted * np.log(predicted)).sum())
        reverse.append(-sum(p * (0.0 if w else losses.LOG_ZERO) for p, w in zip(predicted, wanted, strict=True)))
    assert float(losses.cross_entropy(logits, labels, truth.known)) == pytest.approx(np.mean(forward))
    assert float(losses.reverse_cross_entropy(logits, labels, truth.known)) == pytest.approx(np.mean(reverse))


def test_a_wrong_label_costs_the_reverse_no_more_than_its_constant() -> None:
    logits = torch.tensor([[[[50.0]], [[-50.0]]]], dtype=torch.float64)
    labels, known = torch.ones(1, 1, 1, dtype=torch.long), torch.ones(1, 1, 1, dtype=torch.bool)
    assert float(losses.reverse_cross_entropy(logits, labels, known)) == pytest.approx(-losses.LOG_ZERO)
    assert float(losses.cross_entropy(logits, labels, known)) == pytest.approx(100)
    assert float(losses.reverse_cross_entropy(logits, 1 - labels, known)) == pytest.approx(0, abs=1e-9)


def test_regression_and_reprojection_are_the_equations(truth: HSCNetTruth) -> None:
    coordinates = truth.centers + random_output().residuals.detach()
    points = losses.apply_poses(truth.camera_from_map, coordinates)
    distances, angles = [], []
    for b, y, x in known_cells(truth):
        distances.append(float((coordinates[b, :, y, x] - truth.coordinates[b, :, y, x]).norm()))
        point = (truth.camera_from_map[b] @ F.pad(coordinates[b, :, y, x], (0, 1), value=1.0))[:3]
        torch.testing.assert_close(point, points[b, :, y, x])
        on_image = truth.focal_lengths[b] * truth.rays[b, :, y, x]
        angles.append(float((on_image.norm() / point.norm() * point - on_image).norm()))
    assert float(losses.euclidean(coordinates, truth.coordinates, truth.known)) == pytest.approx(np.mean(distances))
    found = losses.angular_reprojection(points, truth.rays, truth.focal_lengths, truth.known)
    assert float(found) == pytest.approx(np.mean(angles))


def test_reprojection_is_of_angles_alone_and_of_pixels_where_they_are_small(truth: HSCNetTruth) -> None:
    def loss(points: Tensor, rays: Tensor = truth.rays) -> float:
        return float(losses.angular_reprojection(points, rays, truth.focal_lengths, truth.known))

    points = truth.rays * (1 + torch.rand(COUNT, 1, HEIGHT, WIDTH))
    assert loss(points) == pytest.approx(0, abs=1e-9)
    off = points + torch.randn_like(points) / 10
    assert loss(off) > 1
    assert loss(off * (0.1 + torch.rand(COUNT, 1, HEIGHT, WIDTH))) == pytest.approx(loss(off))
    turn = poses(1)[:, :3, :3]
    turned = [(turn @ values.flatten(2)).view_as(values) for values in (off, truth.rays)]
    assert loss(*turned) == pytest.approx(loss(off))
    assert loss(-points) > loss(off)  # behind the camera is as wrong as can be
    ahead = torch.zeros_like(truth.rays)
    ahead[:, 2] = 1
    beside = ahead.clone()
    beside[:, 0] = 1 / truth.focal_lengths.view(-1, 1, 1)
    assert loss(beside, ahead) == pytest.approx(1, abs=1e-4)


def perfect(truth: HSCNetTruth) -> HSCNetOutput:
    logits = tuple(
        60 * F.one_hot(truth.paths[:, level].clamp_min(0), k).permute(0, 3, 1, 2).double()
        for level, k in enumerate(BRANCHING)
    )
    return HSCNetOutput(logits, torch.where(truth.known.unsqueeze(1), truth.coordinates - truth.centers, 7.0))


@pytest.mark.parametrize("weights", [HSCNetWeights(), SPARSE], ids=["dense", "sparse"])
def test_the_truth_costs_nothing_and_all_else_does(truth: HSCNetTruth, weights: HSCNetWeights) -> None:
    terms = hscnet_losses(perfect(truth), truth, weights)
    assert all(float(value) == pytest.approx(0, abs=1e-6) for value in terms.values())
    assert all(value.item() > 0.01 for value in hscnet_losses(random_output(), truth, weights).values())
    assert ("reprojection" in terms) == (weights is SPARSE)
    assert "reprojection" not in hscnet_losses(perfect(truth), truth, weights, reprojection_on=False)


@pytest.mark.parametrize("weights", [HSCNetWeights(), SPARSE], ids=["dense", "sparse"])
def test_gradients_are_finite_at_the_truth_too_and_none_comes_from_unknown_cells(
    truth: HSCNetTruth, weights: HSCNetWeights
) -> None:
    for output in (random_output(), perfect(truth)):
        leaves = [values.detach().requires_grad_() for values in (*output.logits, output.residuals)]
        total = hscnet_losses(HSCNetOutput(tuple(leaves[:-1]), leaves[-1]), truth, weights)["total"]
        for gradient in torch.autograd.grad(total, leaves):
            assert gradient.isfinite().all()
            assert not gradient.abs().sum(1)[~truth.known].any()


def test_the_total_is_the_weighted_sum_of_the_terms(truth: HSCNetTruth) -> None:
    output = random_output()
    weights = HSCNetWeights(classification=3.0, regression=5.0, reprojection=0.5)
    terms = hscnet_losses(output, truth, weights)
    expected = 3 * terms["classification"] + 5 * terms["regression"] + 0.5 * terms["reprojection"]
    torch.testing.assert_close(terms["total"], expected)
    parts = [losses.cross_entropy(output.logits[i], truth.paths[:, i], truth.known) for i in range(2)]
    torch.testing.assert_close(terms["classification"], sum(parts))


def test_a_batch_that_shows_nothing_teaches_nothing(truth: HSCNetTruth) -> None:
    terms = hscnet_losses(random_output(), replace(truth, known=torch.zeros_like(truth.known)), SPARSE)
    assert float(terms["total"]) == 0
