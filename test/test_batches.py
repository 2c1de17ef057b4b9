"""Batches: reproducible by number, fair to every frame, and geometrically right."""

import itertools

import numpy as np
import pytest
import torch
from support.training_scenes import DISTANCE, NOTHING, SIZE, coordinates_seen, landmarks, make_frames

from vloc_ros.training.augment import Augmentation
from vloc_ros.training.batches import Batch, BatchSettings, BatchSource
from vloc_ros.training.frames import TrainingFrames
from vloc_ros.training.projection import cell_centers, project

STRIDE = 4


def numbered_frames(count: int) -> TrainingFrames:
    """Frame i is a plain image of value i, of place i modulo 3."""
    values = np.arange(count, dtype=np.uint8)
    return TrainingFrames(
        names=tuple(map(str, values)),
        images=np.tile(values[:, None, None, None], (1, SIZE, SIZE, 3)),
        cells=np.ones((count, SIZE // 2, SIZE // 2), np.uint16),
        intrinsics=np.tile([60.0, 60.0, 31.5, 31.5], (count, 1)),
        map_from_camera=np.tile(np.eye(4), (count, 1, 1)),
        places=np.arange(count) % 3,
    )


def visited(source: BatchSource, numbers: range) -> list[int]:
    return [int(image[0, 0, 0]) for number in numbers for image in source.batch(number).images]


def equal(a: Batch, b: Batch) -> bool:
    """Of batches whose cells are labels."""
    return all(torch.equal(x, y) for x, y in zip(vars(a).values(), vars(b).values(), strict=True))


def test_the_same_number_gives_the_same_batch() -> None:
    a, b, other = (BatchSource(make_frames(10), BatchSettings(STRIDE, 3, Augmentation(), seed)) for seed in (0, 0, 1))
    for number in (0, 7, 40):
        assert equal(a.batch(number), b.batch(number))
        assert not equal(a.batch(number), other.batch(number))
    assert not equal(a.batch(0), a.batch(1))


def test_batches_begin_where_they_are_told_to_and_keep_their_order() -> None:
    source = BatchSource(make_frames(10), BatchSettings(STRIDE, 2, Augmentation(), 0))
    numbers = [5, 6, 9, 10, 13, 14]
    for number, batch in zip(numbers, source.batches(numbers, workers=3), strict=True):
        assert equal(batch, source.batch(number))
    endless = source.batches(itertools.count(5), workers=3)
    assert equal(next(endless), source.batch(5))
    endless.close()


@pytest.mark.parametrize("batch_size", [2, 4])
def test_every_epoch_visits_every_frame_once(batch_size: int) -> None:
    count = 24
    source = BatchSource(numbered_frames(count), BatchSettings(STRIDE, batch_size, NOTHING, 3))
    length = count // batch_size
    epochs = [visited(source, range(epoch * length, (epoch + 1) * length)) for epoch in range(3)]
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_frames_that_do_not_fill_the_last_batch_have_their_turn_too() -> None:
    source = BatchSource(numbered_frames(7), BatchSettings(STRIDE, 3, NOTHING, 0))
    order = visited(source, range(7))
    assert all(sorted(order[start : start + 7]) == list(range(7)) for start in (0, 7, 14))
    assert sorted(visited(BatchSource(numbered_frames(2), BatchSettings(STRIDE, 6, NOTHING, 0)), range(1))) == [
        0,
        0,
        0,
        1,
        1,
        1,
    ]


def test_a_batch_says_of_which_scene_a_frame_is_and_how_often_it_was_shown() -> None:
    source = BatchSource(numbered_frames(7), BatchSettings(STRIDE, 3, NOTHING, 0))
    shown = dict.fromkeys(range(7), 0)
    for number in range(9):
        batch = source.batch(number)
        assert batch.places.dtype == batch.epochs.dtype == torch.int64
        for index, place, epoch in zip(batch.images[:, 0, 0, 0].tolist(), batch.places, batch.epochs, strict=True):
            assert (int(place), int(epoch)) == (index % 3, shown[index])
            shown[index] += 1


WARPED = Augmentation(shear_deg=10.0, occlusion=0.0)


def test_labels_lie_where_the_landmarks_are() -> None:
    """Whatever the augmentation, the cell at a landmark's pixel shows that landmark, or what no frame showed."""
    batch, hits = BatchSource(make_frames(6), BatchSettings(STRIDE, 6, WARPED, 0)).batch(0), 0
    assert batch.cells.shape == (6, SIZE // STRIDE, SIZE // STRIDE)
    assert batch.cells.dtype == torch.int64
    positions = torch.from_numpy(landmarks())
    for labels, pixels in zip(
        batch.cells, project(positions, batch.map_from_camera, batch.warped_from_camera), strict=True
    ):
        cells = ((pixels + 0.5) / STRIDE).floor().long()
        inside = ((cells >= 0) & (cells < SIZE // STRIDE)).all(dim=1).nonzero()[:, 0]
        found = labels[cells[inside, 1], cells[inside, 0]]
        assert ((found == inside + 1) | (found == 0)).all()
        hits += int((found > 0).sum())
    assert hits > 30


def test_coordinates_lie_where_their_cells_see_them() -> None:
    """Whatever the augmentation, a cell's coordinate projects into it, but for what half-size cells are off."""
    batch = BatchSource(make_frames(6, coordinates_seen), BatchSettings(STRIDE, 6, WARPED, 0)).batch(0)
    assert batch.cells.shape == (6, SIZE // STRIDE, SIZE // STRIDE, 3)
    assert batch.cells.dtype == torch.float32
    centers = cell_centers(SIZE // STRIDE, SIZE // STRIDE, STRIDE, torch.device("cpu"))
    known = batch.cells.isfinite().all(dim=-1)
    assert 0.3 < known.float().mean() < 1
    for index in range(6):
        cells = known[index]
        points = batch.cells[index][cells].double()
        assert points[:, 2] == pytest.approx(DISTANCE, abs=1e-5)
        views = (batch.map_from_camera[index : index + 1], batch.warped_from_camera[index : index + 1])
        distance = (project(points, *views)[0] - centers[cells]).norm(dim=1)
        assert distance.max() < STRIDE
        assert distance.median() < 0.3 * STRIDE
