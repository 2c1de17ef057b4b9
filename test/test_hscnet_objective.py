"""What HSCNet is told of a batch: where its cells look, dense labels moved there, sparse ones left as they are."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.training_scenes import DISTANCE, SIZE, TILE, coordinates_seen, make_frames
from torch import Tensor
from torch.nn import functional as F

from vloc_ros.mapping.hierarchy import Hierarchy, build_hierarchy, join_hierarchies
from vloc_ros.training.batches import Batch, BatchSettings, BatchSource
from vloc_ros.training.hscnet.losses import DENSE, SPARSE, HSCNetTruth
from vloc_ros.training.hscnet.network import Choose, HSCNetOutput
from vloc_ros.training.hscnet.objective import HSCNetObjective
from vloc_ros.training.hscnet.options import JOINED_REGRESSION, STRIDE, HSCNetOptions
from vloc_ros.training.hscnet.recipe import PAPERS
from vloc_ros.training.projection import focal_lengths, project, rays

DENSELY, SPARSELY = HSCNetOptions(branching=(4, 4)), HSCNetOptions(branching=(4, 4), sparsify=100, reprojection_from=3)
WALL = np.random.default_rng(0).uniform((-2 * TILE, -2 * TILE, DISTANCE), (2 * TILE, 2 * TILE, DISTANCE), (4000, 3))
HIERARCHY = build_hierarchy(WALL, (4, 4))
CELLS = SIZE // STRIDE


@pytest.fixture(scope="module")
def batch() -> Batch:
    made = BatchSource(make_frames(6, coordinates_seen), BatchSettings(STRIDE, 6, PAPERS, 0)).batch(0)
    known = made.cells.isfinite().all(dim=-1)
    assert 0.3 < known.float().mean() < 1
    return made


def made(options: HSCNetOptions, hierarchy: Hierarchy = HIERARCHY) -> HSCNetObjective:
    torch.manual_seed(0)
    return HSCNetObjective(options, hierarchy)


def seen_at(batch: Batch, truth: HSCNetTruth, index: int) -> "torch.Tensor":
    """Pixels (N, 2) at which the known coordinates of one image are seen."""
    points = truth.coordinates[index].permute(1, 2, 0)[truth.known[index]].double()
    return project(points, batch.map_from_camera[index : index + 1], batch.warped_from_camera[index : index + 1])[0]


def centres(truth: HSCNetTruth, index: int) -> "torch.Tensor":
    """Pixels (N, 2) in the middle of the known cells of one image."""
    return truth.known[index].nonzero().flip(1) * STRIDE + (STRIDE - 1) / 2


@pytest.mark.parametrize("options", [DENSELY, SPARSELY], ids=["dense", "sparse"])
def test_the_truth_is_of_the_warped_image(batch: Batch, options: HSCNetOptions) -> None:
    truth = made(options).truth(batch)
    assert torch.equal(truth.known, batch.cells.isfinite().all(dim=-1))
    assert truth.coordinates.shape == truth.centers.shape == truth.rays.shape == (6, 3, CELLS, CELLS)
    assert truth.coordinates.dtype == truth.rays.dtype == truth.focal_lengths.dtype == torch.float32
    expected = rays(CELLS, CELLS, STRIDE, batch.warped_from_camera).permute(0, 3, 1, 2)
    torch.testing.assert_close(truth.rays, expected.float())
    torch.testing.assert_close(truth.focal_lengths, focal_lengths(batch.warped_from_camera).float())
    identity = truth.camera_from_map @ batch.map_from_camera.float()
    torch.testing.assert_close(identity, torch.eye(4).expand(6, 4, 4), rtol=0, atol=1e-5)
    for index in range(6):
        known = truth.known[index]
        leaves = HIERARCHY.assign(truth.coordinates[index].permute(1, 2, 0)[known].double().numpy())
        np.testing.assert_array_equal(truth.paths[index].permute(1, 2, 0)[known], HIERARCHY.paths(leaves))
        centers = truth.centers[index].permute(1, 2, 0)[known].numpy()
        np.testing.assert_allclose(centers, HIERARCHY.leaf_centers[leaves], rtol=1e-6)


def test_dense_coordinates_move_to_where_their_cells_centre_looks(batch: Batch) -> None:
    """At the depth that they have; on this wall that is the point that the centre sees."""
    truth = made(DENSELY).truth(batch)
    for index in range(6):
        torch.testing.assert_close(seen_at(batch, truth, index), centres(truth, index), rtol=0, atol=0.01)
        moved = truth.coordinates[index].permute(1, 2, 0)[truth.known[index]]
        before = batch.cells[index][truth.known[index]]
        np.testing.assert_allclose(moved[:, 2], DISTANCE, atol=1e-4)
        assert 0.001 < (moved - before).norm(dim=1).mean() < 0.15


def test_sparse_coordinates_stay_as_they_are(batch: Batch) -> None:
    truth = made(SPARSELY).truth(batch)
    coordinates = truth.coordinates.permute(0, 2, 3, 1)
    torch.testing.assert_close(coordinates, batch.cells, rtol=0, atol=0, equal_nan=True)
    apart = torch.cat([(seen_at(batch, truth, i) - centres(truth, i)).norm(dim=1) for i in range(6)])
    assert 0.1 < apart.mean() < STRIDE


@pytest.mark.parametrize("options", [DENSELY, SPARSELY], ids=["dense", "sparse"])
def test_the_right_answer_costs_nothing(batch: Batch, options: HSCNetOptions) -> None:
    objective = made(options)
    truth = objective.truth(batch)
    logits = tuple(
        100 * F.one_hot(truth.paths[:, level].clamp_min(0), k).permute(0, 3, 1, 2).float()
        for level, k in enumerate(HIERARCHY.branching)
    )
    residuals = torch.where(truth.known.unsqueeze(1), truth.coordinates - truth.centers, 5.0)
    terms = objective.losses((HSCNetOutput(logits, residuals), truth), batch)
    assert set(terms) == {"classification", "regression", "total"}
    assert all(float(value) == pytest.approx(0, abs=1e-4) for value in terms.values())


@pytest.mark.parametrize(("epoch", "expected"), [(0, False), (2, False), (3, True), (9, True)])
def test_reprojection_comes_from_its_epoch_on_and_only_where_labels_are_sparse(
    batch: Batch, epoch: int, expected: bool
) -> None:
    later = replace(batch, epochs=torch.full_like(batch.epochs, epoch))
    terms = made(SPARSELY)(later)
    assert ("reprojection" in terms) == expected
    assert "reprojection" not in made(DENSELY)(later)
    if expected:  # a batch between two epochs is of the earlier one
        later.epochs[0] = 2
        assert "reprojection" not in made(SPARSELY)(later)


def test_cells_are_conditioned_on_the_truth_and_where_there_is_none_on_what_the_network_says(batch: Batch) -> None:
    objective = made(DENSELY)
    truth = objective.truth(batch)
    assert 0.05 < truth.known.float().mean() < 0.95
    assert (truth.paths[:, 0][~truth.known] == -1).all()
    chosen = []

    def network(images: Tensor, choose: Choose) -> None:
        for level, k in enumerate(HIERARCHY.branching):
            logits = torch.zeros(6, k, *truth.known.shape[1:])
            logits[:, k - 1] = 1
            chosen.append((choose(level, logits), k - 1))

    objective.network.forward = network  # type: ignore[method-assign, assignment]
    objective.apply_network(objective.normalize(batch.images), batch)
    for level, (found, likeliest) in enumerate(chosen):
        assert (found[~truth.known] == likeliest).all()
        torch.testing.assert_close(found[truth.known], truth.paths[:, level][truth.known])


def test_weights_are_the_options() -> None:
    assert made(DENSELY).weights == DENSE
    assert made(SPARSELY).weights == SPARSE
    assert made(replace(DENSELY, regression=3.0)).weights == replace(DENSE, regression=3.0)
    joined = join_hierarchies([HIERARCHY, HIERARCHY])
    assert made(DENSELY, joined).weights == replace(DENSE, regression=JOINED_REGRESSION)
    assert made(replace(DENSELY, regression=3.0), joined).weights == replace(DENSE, regression=3.0)


@pytest.mark.parametrize(
    "options",
    [
        DENSELY,
        SPARSELY,
        replace(DENSELY, preset="small++"),
        replace(DENSELY, variant="unconditioned"),
        replace(DENSELY, variant="classification"),
        replace(DENSELY, branching=()),
    ],
    ids=lambda o: f"{o.preset} {o.variant} {'sparse' if o.is_sparse else 'dense'} {len(o.branching)} levels",
)
def test_every_variant_learns_from_a_batch(batch: Batch, options: HSCNetOptions) -> None:
    torch.manual_seed(0)
    objective = HSCNetObjective(options, build_hierarchy(WALL, options.branching))
    optimizer = torch.optim.AdamW(objective.parameter_groups())
    totals = []
    for _ in range(6):
        optimizer.zero_grad()
        total = objective(replace(batch, epochs=batch.epochs + 9))["total"]
        total.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in objective.parameters())
        optimizer.step()
        totals.append(float(total.detach()))
    assert totals[-1] < totals[0]


def test_each_image_is_labelled_in_its_own_place(batch: Batch) -> None:
    parts = [build_hierarchy(WALL + offset, (3, 4), seed=seed) for seed, offset in enumerate((0.0, 0.1))]
    joined = join_hierarchies(parts)
    places = torch.tensor([0, 1, 1, 0, 1, 0])
    truth = HSCNetObjective(DENSELY, joined).truth(replace(batch, places=places))
    for index, place in enumerate(places.tolist()):
        coarse = truth.paths[index, 0][truth.known[index]]
        assert (coarse // 3 == place).all()


def test_a_batch_that_shows_nothing_is_survived(batch: Batch) -> None:
    for options in (DENSELY, SPARSELY):
        objective = made(options)
        terms = objective(replace(batch, cells=torch.full_like(batch.cells, torch.nan), epochs=batch.epochs + 9))
        terms["total"].backward()
        assert all(float(value.detach()) == 0 for value in terms.values())
        assert all(p.grad is None or p.grad.isfinite().all() for p in objective.parameters())
