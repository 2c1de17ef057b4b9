"""Batches made with torch are those made with OpenCV, up to the rounding of what lies between two pixels."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from support.training_scenes import NOTHING

from vloc_ros.training import device_batches
from vloc_ros.training.augment import Augmentation
from vloc_ros.training.batches import Batch, BatchSettings, BatchSource
from vloc_ros.training.device_batches import DeviceBatchSource, fits
from vloc_ros.training.frames import TrainingFrames

CPU = torch.device("cpu")
WIDTH, HEIGHT, STRIDE, COUNT, BATCH = 96, 64, 4, 7, 5
EXACT = Augmentation(noise=0.0, occlusion=0.0)


def smooth_frames(measures: bool = False) -> TrainingFrames:
    """Images without sharp edges, labels in blocks, or in their place measures, of which some are unknown; cameras from
    here and there."""
    rng = np.random.default_rng(0)
    images = [cv2.resize(rng.integers(0, 256, (8, 12, 3), dtype=np.uint8), (WIDTH, HEIGHT)) for _ in range(COUNT)]
    blocks = rng.integers(0, 60_000, (COUNT, HEIGHT // 16, WIDTH // 16)).astype(np.uint16)
    poses = np.tile(np.eye(4), (COUNT, 1, 1))
    poses[:, :3, :3] = [cv2.Rodrigues(rng.uniform(-0.6, 0.6, 3))[0] for _ in range(COUNT)]
    poses[:, :3, 3] = rng.uniform(-0.5, 0.5, (COUNT, 3))
    cells = blocks.repeat(8, axis=1).repeat(8, axis=2)
    if measures:
        cells = np.stack([cells, -0.5 * cells, cells * 1e-3], axis=-1).astype(np.float32)
        cells[cells[..., 0] % 3 == 0] = np.nan
    return TrainingFrames(
        names=tuple(map(str, range(COUNT))),
        images=np.stack(images),
        cells=cells,
        intrinsics=np.column_stack([rng.uniform(80, 100, (COUNT, 2)), rng.uniform((45, 28), (50, 34), (COUNT, 2))]),
        map_from_camera=poses,
        places=np.arange(COUNT) % 2,
    )


def both(
    augmentation: Augmentation, resident: bool = True, measures: bool = False
) -> tuple[BatchSource, DeviceBatchSource]:
    frames, settings = smooth_frames(measures), BatchSettings(STRIDE, BATCH, augmentation, 3)
    return BatchSource(frames, settings), DeviceBatchSource(frames, settings, CPU, resident)


def assert_same(ours: Batch, reference: Batch) -> None:
    assert [t.shape for t in vars(ours).values()] == [t.shape for t in vars(reference).values()]
    assert [t.dtype for t in vars(ours).values()] == [t.dtype for t in vars(reference).values()]
    difference = (ours.images.int() - reference.images.int()).abs().float()
    assert difference.mean() < 0.6  # OpenCV interpolates at 32nds of a pixel
    assert difference.max() <= 8
    same = (ours.cells == reference.cells) | (ours.cells.isnan() & reference.cells.isnan())
    assert same.float().mean() > 0.998
    for name in ("map_from_camera", "warped_from_camera", "places", "epochs"):
        torch.testing.assert_close(getattr(ours, name), getattr(reference, name), atol=0, rtol=0)


@pytest.mark.parametrize(
    "augmentation",
    [
        NOTHING,
        EXACT,
        replace(EXACT, blur=1.0),
        replace(NOTHING, pan_deg=10.0, tilt_deg=10.0, roll_deg=180.0),
        replace(NOTHING, zoom=(-0.5, 0.5), stretch=0.2, shift=0.3, shear_deg=20.0),
        replace(NOTHING, gain=0.5, tint=0.3, offset=0.3),
        replace(EXACT, grey=0.5),
    ],
)
@pytest.mark.parametrize("measures", [False, True], ids=["labels", "measures"])
def test_both_make_the_same(augmentation: Augmentation, measures: bool) -> None:
    reference, ours = both(augmentation, measures=measures)
    for number in (0, 1, 40):
        assert_same(ours.batch(number), reference.batch(number))


@pytest.mark.parametrize("measures", [False, True], ids=["labels", "measures"])
def test_nothing_drawn_nothing_changed(measures: bool) -> None:
    reference, ours = both(NOTHING, measures=measures)
    batch, frames = ours.batch(0), smooth_frames(measures)
    indices = reference.draw(0).indices
    np.testing.assert_array_equal(batch.images.numpy(), frames.images[indices])
    np.testing.assert_array_equal(batch.cells.numpy(), frames.cells[indices][:, 1::2, 1::2])


@pytest.mark.parametrize("measures", [False, True], ids=["labels", "measures"])
def test_occluders_cover_the_same_pixels_and_cells(measures: bool) -> None:
    """Colours and parts are the same in both; noise is noise in both, in the same box."""
    reference, ours = both(replace(NOTHING, occlusion=1.0, occluder=0.6), measures=measures)
    kinds = set()
    for number in range(8):
        a, b = ours.batch(number), reference.batch(number)
        occluders = reference.draw(number).changes.occluders
        torch.testing.assert_close(a.cells, b.cells, atol=0, rtol=0, equal_nan=True)
        for place, (kind, (y, x, h, w)) in enumerate(zip(occluders.kinds, occluders.boxes, strict=True)):
            box = (place, slice(y, y + h), slice(x, x + w))
            if kind == 1:
                assert a.images[box].float().std() > 40
                a.images[box] = b.images[box]
            kinds.add(int(kind))
        assert torch.equal(a.images, b.images)
    assert kinds == {1, 2, 3}


def test_noise_is_as_strong_in_both() -> None:
    reference, ours = both(replace(NOTHING, noise=20.0))
    sigma = torch.from_numpy(reference.draw(0).changes.light.noise)
    plain = torch.from_numpy(smooth_frames().images[reference.draw(0).indices]).float()
    inner = (plain > 80) & (plain < 175)  # nothing is clipped there
    for source in (reference, ours):
        noise = source.batch(0).images.float() + 0.5 - plain
        found = torch.stack([noise[i][inner[i]].std() for i in range(BATCH)])
        torch.testing.assert_close(found, sigma.float(), rtol=0.1, atol=0.4)
    assert torch.equal(ours.batch(0).images, ours.batch(0).images)  # again the same, whatever was made in between
    assert not torch.equal(ours.batch(0).images, ours.batch(1).images)


def test_frames_that_do_not_fit_are_sent_batch_by_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (0, 9):
        here, there = (both(Augmentation(), resident)[1].batch(number) for resident in (True, False))
        for a, b in zip(vars(here).values(), vars(there).values(), strict=True):
            torch.testing.assert_close(a, b, atol=0, rtol=0, equal_nan=True)
    frames = smooth_frames()
    size = frames.images.nbytes + frames.cells.nbytes
    for free, expected in ((10 * size, True), (2 * size, False)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 10**12))
        assert fits(frames, torch.device("cuda", 0)) is expected
    assert fits(frames, CPU)


def test_frames_move_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = both(EXACT)[1].batch(2)
    monkeypatch.setattr(device_batches, "CHUNK", 3)
    assert torch.equal(both(EXACT)[1].batch(2).images, expected.images)


@pytest.mark.parametrize("measures", [False, True], ids=["labels", "measures"])
def test_a_gpu_makes_what_the_cpu_makes(measures: bool) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    reference = both(EXACT, measures=measures)[0]
    for resident in (True, False):
        frames, device = smooth_frames(measures), torch.device("cuda", 0)
        source = DeviceBatchSource(frames, BatchSettings(STRIDE, BATCH, EXACT, 3), device, resident)
        for batch, number in zip(source.batches(range(4), workers=2), range(4), strict=True):
            assert_same(batch.to(CPU), reference.batch(number))
