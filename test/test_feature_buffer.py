"""A frozen encoder's features on disk, and batches of their cells: each as the network would see it in its image."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.training_scenes import NOTHING, SIZE, landmarks, make_frames
from torch import Tensor, nn

from vloc_ros.errors import DatasetError
from vloc_ros.training import feature_buffer
from vloc_ros.training.augment import Augmentation
from vloc_ros.training.batches import Batch, BatchSettings, BatchSource
from vloc_ros.training.feature_buffer import CellSource, FeatureBuffer, FrozenEncoder, build_buffer, open_buffer
from vloc_ros.training.frames import TrainingFrames
from vloc_ros.training.projection import cell_centers, project
from vloc_ros.training.vsnet.layers import Neighbourhoods

STRIDE, CELLS = 8, SIZE // 8
SETTINGS = BatchSettings(STRIDE, 4, Augmentation(occlusion=0.0), 0)
CPU = torch.device("cpu")


class Means(nn.Module):
    """The mean colour of each cell."""

    def forward(self, images: Tensor) -> Tensor:
        means: Tensor = nn.functional.avg_pool2d(images.permute(0, 3, 1, 2).float(), STRIDE)
        return means


ENCODER = FrozenEncoder("means", Means(), channels=3, border=1)


@pytest.fixture(scope="module")
def frames() -> TrainingFrames:
    return make_frames(6)


def buffer_in(directory: Path, frames: TrainingFrames, count: int = 10) -> FeatureBuffer:
    return build_buffer(BatchSource(frames, SETTINGS), ENCODER, count, directory / "buffer", CPU)


@pytest.fixture(scope="module")
def images(frames: TrainingFrames) -> Batch:
    """The same as the buffer has, as whole images."""
    parts = [BatchSource(frames, SETTINGS).batch(number) for number in range(3)]
    joined = [torch.cat([getattr(part, name) for part in parts])[:10] for name in vars(parts[0])]
    return Batch(*joined)


@pytest.fixture(scope="module")
def buffer(frames: TrainingFrames, tmp_path_factory: pytest.TempPathFactory) -> FeatureBuffer:
    return buffer_in(tmp_path_factory.mktemp("buffer"), frames)


def all_cells(buffer: FeatureBuffer) -> NDArray[np.int64]:
    return np.arange(buffer.labels.size)


def test_a_buffer_holds_what_the_encoder_says_of_augmented_images(buffer: FeatureBuffer, images: Batch) -> None:
    assert len(buffer) == 10
    assert buffer.border == 1
    inside = torch.from_numpy(np.array(buffer.features[:, 1:-1, 1:-1])).permute(0, 3, 1, 2)
    torch.testing.assert_close(inside, Means()(images.images).half())
    outside = np.array(buffer.features)
    outside[:, 1:-1, 1:-1] = 0
    assert not outside.any()
    np.testing.assert_array_equal(buffer.labels, images.cells.numpy())
    np.testing.assert_array_equal(buffer.map_from_camera, images.map_from_camera.numpy())
    np.testing.assert_array_equal(buffer.warped_from_camera, images.warped_from_camera.numpy())


def test_a_cell_has_the_neighbours_that_it_has_in_its_image(
    buffer: FeatureBuffer, images: Batch, frames: TrainingFrames
) -> None:
    batch = CellSource(frames, buffer, SETTINGS).batch_of(all_cells(buffer))
    expected = Neighbourhoods(3)(Means()(images.images)).permute(0, 2, 3, 1).half()
    torch.testing.assert_close(batch.images, expected.reshape(1, -1, 1, 27))
    assert torch.equal(batch.cells.flatten(), images.cells.flatten())


def test_a_cells_camera_sees_landmarks_from_its_centre(
    buffer: FeatureBuffer, images: Batch, frames: TrainingFrames
) -> None:
    batch = CellSource(frames, buffer, SETTINGS).batch_of(all_cells(buffer))
    points = torch.from_numpy(landmarks())
    found = project(points, batch.map_from_camera, batch.warped_from_camera).view(10, CELLS, CELLS, 16, 2)
    pixels = project(points, images.map_from_camera, images.warped_from_camera)[:, None, None]
    expected = pixels - cell_centers(CELLS, CELLS, STRIDE, CPU)[..., None, :]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3, equal_nan=True)


def test_batches_follow_from_seed_and_number_and_have_labelled_cells_of_all_images(
    buffer: FeatureBuffer, frames: TrainingFrames
) -> None:
    source = CellSource(frames, buffer, SETTINGS)
    first, again = source.batch(7), CellSource(frames, buffer, SETTINGS).batch(7)
    assert all(torch.equal(a, b) for a, b in zip(vars(first).values(), vars(again).values(), strict=True))
    assert first.cells.shape == (1, feature_buffer.CELLS * SETTINGS.batch_size, 1)
    assert (first.cells > 0).all()
    assert len(np.unique(first.map_from_camera.numpy(), axis=0)) == len(frames)
    others = source.batch(8), CellSource(frames, buffer, replace(SETTINGS, seed=1)).batch(7)
    assert not any(torch.equal(first.images, other.images) for other in others)


def test_a_buffer_is_as_large_as_there_is_room_for(frames: TrainingFrames, monkeypatch: pytest.MonkeyPatch) -> None:
    assert feature_buffer.buffer_size(frames, STRIDE, ENCODER) == feature_buffer.VERSIONS * len(frames)
    monkeypatch.setattr(feature_buffer, "MAX_BYTES", 8 * (CELLS + 2) ** 2 * 3 * 2 + 5)
    assert feature_buffer.buffer_size(frames, STRIDE, ENCODER) == 8


def test_an_interrupted_buffer_leaves_nothing(frames: TrainingFrames, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_buffer(BatchSource(frames, SETTINGS), ENCODER, 10, tmp_path / "buffer", CPU, interrupt)
    assert not list(tmp_path.iterdir())


def test_a_buffer_for_which_there_is_no_room(frames: TrainingFrames, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"buffer.*: the buffer of features take .* GB are free"):
        build_buffer(BatchSource(frames, SETTINGS), ENCODER, 10**12, tmp_path / "buffer", CPU)
    assert not list(tmp_path.iterdir())


def test_a_damaged_buffer(frames: TrainingFrames, tmp_path: Path) -> None:
    buffer_in(tmp_path, frames)
    (tmp_path / "buffer" / "labels.npy").write_bytes(b"no array")
    with pytest.raises(DatasetError, match=r"features are missing .*; --fresh makes them anew$"):
        open_buffer(tmp_path / "buffer")


def test_images_that_show_no_landmark(frames: TrainingFrames, tmp_path: Path) -> None:
    blind = replace(frames, cells=np.zeros_like(frames.cells))
    buffer = build_buffer(BatchSource(blind, replace(SETTINGS, augmentation=NOTHING)), ENCODER, 4, tmp_path / "b", CPU)
    with pytest.raises(DatasetError, match="no cell of any image shows a landmark"):
        CellSource(blind, buffer, SETTINGS)
