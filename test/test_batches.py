"""Batches: reproducible by number, fair to every frame, and geometrically right."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training_scenes import SIZE, landmarks, make_frames  # noqa: E402

from vloc_ros.training.augment import Augmentation  # noqa: E402
from vloc_ros.training.batches import Batch, BatchSource  # noqa: E402
from vloc_ros.training.frames import TrainingFrames  # noqa: E402

STRIDE = 4
NO_CHANGE = Augmentation(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def numbered_frames(count: int) -> TrainingFrames:
    """Frame i is a plain image of value i."""
    values = np.arange(count, dtype=np.uint8)
    return TrainingFrames(
        names=tuple(map(str, values)),
        images=np.tile(values[:, None, None, None], (1, SIZE, SIZE, 3)),
        labels=np.ones((count, SIZE // 2, SIZE // 2), np.uint16),
        intrinsics=np.tile([60.0, 60.0, 31.5, 31.5], (count, 1)),
        map_from_camera=np.tile(np.eye(4), (count, 1, 1)),
    )


def visited(source: BatchSource, numbers: range) -> list[int]:
    return [int(image[0, 0, 0]) for number in numbers for image in source.batch(number).images]


def equal(a: Batch, b: Batch) -> bool:
    pairs = (
        (a.images, b.images),
        (a.labels, b.labels),
        (a.landmark_pixels.nan_to_num(), b.landmark_pixels.nan_to_num()),
    )
    return all(torch.equal(x, y) for x, y in pairs)


def test_the_same_number_gives_the_same_batch() -> None:
    a, b, other = (BatchSource(make_frames(10), landmarks(), STRIDE, 3, Augmentation(), seed) for seed in (0, 0, 1))
    for number in (0, 7, 40):
        assert equal(a.batch(number), b.batch(number))
        assert not equal(a.batch(number), other.batch(number))
    assert not equal(a.batch(0), a.batch(1))


def test_batches_begin_where_they_are_told_to_and_keep_their_order() -> None:
    source = BatchSource(make_frames(10), landmarks(), STRIDE, 2, Augmentation(), 0)
    numbers = [5, 6, 9, 10, 13, 14]
    for number, batch in zip(numbers, source.batches(numbers, workers=3), strict=True):
        assert equal(batch, source.batch(number))
    endless = source.batches(itertools.count(5), workers=3)
    assert equal(next(endless), source.batch(5))
    endless.close()


@pytest.mark.parametrize("batch_size", [2, 4])
def test_every_epoch_visits_every_frame_once(batch_size: int) -> None:
    count = 24
    source = BatchSource(numbered_frames(count), landmarks(), STRIDE, batch_size, NO_CHANGE, 3)
    length = count // batch_size
    epochs = [visited(source, range(epoch * length, (epoch + 1) * length)) for epoch in range(3)]
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_frames_that_do_not_fill_the_last_batch_have_their_turn_too() -> None:
    source = BatchSource(numbered_frames(7), landmarks(), STRIDE, 3, NO_CHANGE, 0)
    order = visited(source, range(7))
    assert all(sorted(order[start : start + 7]) == list(range(7)) for start in (0, 7, 14))
    assert sorted(visited(BatchSource(numbered_frames(2), landmarks(), STRIDE, 6, NO_CHANGE, 0), range(1))) == [
        0,
        0,
        0,
        1,
        1,
        1,
    ]


def test_labels_lie_where_the_landmarks_are() -> None:
    """Whatever the augmentation, the cell at a landmark's pixel shows that landmark, or what no frame showed."""
    source = BatchSource(make_frames(6), landmarks(), STRIDE, 6, Augmentation(occlusion=0.0), 0)
    batch, hits = source.batch(0), 0
    assert batch.labels.shape == (6, SIZE // STRIDE, SIZE // STRIDE)
    for labels, pixels in zip(batch.labels, batch.landmark_pixels, strict=True):
        cells = ((pixels + 0.5) / STRIDE).floor().long()
        inside = ((cells >= 0) & (cells < SIZE // STRIDE)).all(dim=1).nonzero()[:, 0]
        found = labels[cells[inside, 1], cells[inside, 0]]
        assert ((found == inside + 1) | (found == 0)).all()
        hits += int((found > 0).sum())
    assert hits > 30
