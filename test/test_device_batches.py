"""Batches made with torch are those made with OpenCV, up to the rounding of what lies between two pixels."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training_scenes import landmarks  # noqa: E402

from vloc_ros.training import device_batches  # noqa: E402
from vloc_ros.training.augment import Augmentation  # noqa: E402
from vloc_ros.training.batches import Batch, BatchSource  # noqa: E402
from vloc_ros.training.device_batches import DeviceBatchSource, fits  # noqa: E402
from vloc_ros.training.frames import TrainingFrames  # noqa: E402

CPU = torch.device("cpu")
WIDTH, HEIGHT, STRIDE, COUNT, BATCH = 96, 64, 4, 7, 5
EXACT = Augmentation(noise=0.0, occlusion=0.0)
NOTHING = Augmentation(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def smooth_frames() -> TrainingFrames:
    """Images without sharp edges, labels in blocks, cameras that look at the landmarks from here and there."""
    rng = np.random.default_rng(0)
    images = [cv2.resize(rng.integers(0, 256, (8, 12, 3), dtype=np.uint8), (WIDTH, HEIGHT)) for _ in range(COUNT)]
    blocks = rng.integers(0, 60_000, (COUNT, HEIGHT // 16, WIDTH // 16)).astype(np.uint16)
    poses = np.tile(np.eye(4), (COUNT, 1, 1))
    poses[:, :3, :3] = [cv2.Rodrigues(rng.uniform(-0.6, 0.6, 3))[0] for _ in range(COUNT)]
    poses[:, :3, 3] = rng.uniform(-0.5, 0.5, (COUNT, 3))
    poses[0, 2, 3] = 5.0  # behind the wall: all landmarks are behind this camera
    return TrainingFrames(
        names=tuple(map(str, range(COUNT))),
        images=np.stack(images),
        labels=blocks.repeat(8, axis=1).repeat(8, axis=2),
        intrinsics=np.column_stack([rng.uniform(80, 100, (COUNT, 2)), rng.uniform((45, 28), (50, 34), (COUNT, 2))]),
        map_from_camera=poses,
    )


def both(augmentation: Augmentation, resident: bool = True) -> tuple[BatchSource, DeviceBatchSource]:
    arguments = (smooth_frames(), landmarks(), STRIDE, BATCH, augmentation, 3)
    return BatchSource(*arguments), DeviceBatchSource(*arguments, CPU, resident)


def assert_same(ours: Batch, reference: Batch) -> None:
    assert [t.shape for t in vars(ours).values()] == [t.shape for t in vars(reference).values()]
    assert [t.dtype for t in vars(ours).values()] == [t.dtype for t in vars(reference).values()]
    difference = (ours.images.int() - reference.images.int()).abs().float()
    assert difference.mean() < 0.6  # OpenCV interpolates at 32nds of a pixel
    assert difference.max() <= 8
    assert (ours.labels == reference.labels).float().mean() > 0.998
    torch.testing.assert_close(ours.landmark_pixels, reference.landmark_pixels, atol=1e-3, rtol=1e-5, equal_nan=True)


@pytest.mark.parametrize(
    "augmentation",
    [
        NOTHING,
        EXACT,
        replace(EXACT, blur=1.0),
        replace(NOTHING, pan_deg=10.0, tilt_deg=10.0, roll_deg=180.0),
        replace(NOTHING, zoom=0.5, stretch=0.2, shift=0.3),
        replace(NOTHING, gain=0.5, tint=0.3, offset=0.3),
    ],
)
def test_both_make_the_same(augmentation: Augmentation) -> None:
    reference, ours = both(augmentation)
    for number in (0, 1, 40):
        assert_same(ours.batch(number), reference.batch(number))


def test_nothing_drawn_nothing_changed() -> None:
    reference, ours = both(NOTHING)
    batch, frames = ours.batch(0), smooth_frames()
    indices = reference.draw(0)[0]
    assert np.array_equal(batch.images.numpy(), frames.images[indices])
    assert np.array_equal(batch.labels.numpy(), frames.labels[indices][:, 1::2, 1::2])


def test_occluders_cover_the_same_pixels_and_cells() -> None:
    """Colours and parts are the same in both; noise is noise in both, in the same box."""
    reference, ours = both(replace(NOTHING, occlusion=1.0, occluder=0.6))
    kinds = set()
    for number in range(8):
        a, b = ours.batch(number), reference.batch(number)
        occluders = reference.draw(number)[1].occluders
        assert torch.equal(a.labels, b.labels)
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
    sigma = torch.from_numpy(reference.draw(0)[1].light.noise)
    plain = torch.from_numpy(smooth_frames().images[reference.draw(0)[0]]).float()
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
    size = frames.images.nbytes + frames.labels.nbytes
    for free, expected in ((10 * size, True), (2 * size, False)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 10**12))
        assert fits(frames, torch.device("cuda", 0)) is expected
    assert fits(frames, CPU)


def test_frames_move_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = both(EXACT)[1].batch(2)
    monkeypatch.setattr(device_batches, "CHUNK", 3)
    assert torch.equal(both(EXACT)[1].batch(2).images, expected.images)


def test_a_gpu_makes_what_the_cpu_makes() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    reference = both(EXACT)[0]
    for resident in (True, False):
        source = DeviceBatchSource(
            smooth_frames(), landmarks(), STRIDE, BATCH, EXACT, 3, torch.device("cuda", 0), resident
        )
        for batch, number in zip(source.batches(range(4), workers=2), range(4), strict=True):
            assert_same(batch.to(CPU), reference.batch(number))
