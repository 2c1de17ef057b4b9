"""Many images through the network at once: the same results as one after the other, in the same order."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vloc_ros.core.model_spec import ModelSpec
from vloc_ros.core.session import Session
from vloc_ros.core.types import CameraImage, PoseEstimate
from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.subset import Subset
from vloc_ros.datasets.types import Dataset, Frame
from vloc_ros.errors import ConfigError, DatasetError, ModelError, VlocError
from vloc_ros.evaluation.evaluate import evaluate
from vloc_ros.geometry.camera import Camera
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import Localizer, load_localizer
from vloc_ros.shipped import shipped

BATCH, COUNT = 3, 8


@dataclass
class BatchedSession:
    """A session that takes BATCH images at once, and remembers how many it was given."""

    single: Session
    given: list[int]

    max_batch = BATCH
    backend = "batches"

    @property
    def spec(self) -> ModelSpec:
        return self.single.spec

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        images = inputs["image"]
        self.given.append(len(images))
        rows = [self.single.run({"image": images[i : i + 1]}) for i in range(len(images))]
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


@dataclass(frozen=True)
class Faulty:
    """A data set, one frame of which cannot be read or suits no map."""

    base: Dataset
    index: int
    kind: str

    def __len__(self) -> int:
        return len(self.base)

    @property
    def names(self) -> Any:
        return self.base.names

    def frame(self, index: int) -> Frame:
        frame = self.base.frame(index)
        if index != self.index:
            return frame
        if self.kind == "unreadable":
            raise DatasetError("truncated")
        tall = CameraImage(np.zeros((64, 16, 3), np.uint8), Camera(16, 64, 20.0, 20.0, 7.5, 31.5))
        return replace(frame, image=tall)


@pytest.fixture(scope="module")
def dataset() -> Subset:
    room = open_dataset("synthetic_room", None, "test")
    return Subset(room, range(COUNT))


@pytest.fixture(scope="module")
def single() -> Localizer:
    return load_localizer(shipped("maps/demo_room"), SessionOptions("onnxruntime", threads=1))


@pytest.fixture
def given() -> list[int]:
    return []


@pytest.fixture
def batched(single: Localizer, given: list[int]) -> Localizer:
    return replace(single, sessions={"network": BatchedSession(single.sessions["network"], given)})


def test_the_results_are_those_of_one_image_after_the_other(
    dataset: Subset, single: Localizer, batched: Localizer, given: list[int]
) -> None:
    images = [dataset.frame(index).image for index in range(COUNT)]
    results = list(batched.localize_all(images))
    assert given == [3, 3, 2]
    assert len(results) == COUNT
    for image, result in zip(images, results, strict=True):
        expected = single.localize(image)
        assert isinstance(result, PoseEstimate)
        assert isinstance(expected, PoseEstimate)
        np.testing.assert_allclose(result.map_from_camera, expected.map_from_camera, atol=1e-9)
        assert set(result.timings_ms) == set(expected.timings_ms)
        stages = [ms for name, ms in result.timings_ms.items() if name != "total"]
        assert result.timings_ms["total"] == pytest.approx(sum(stages))


def test_no_images_no_results(batched: Localizer) -> None:
    assert list(batched.localize_all([])) == []


def test_an_evaluation_says_the_same_of_every_frame(dataset: Subset, single: Localizer, batched: Localizer) -> None:
    done: list[tuple[int, int]] = []
    one_by_one = evaluate(single, dataset).records
    at_once = evaluate(batched, dataset, lambda *counts: done.append(counts)).records
    assert done == [(count, COUNT) for count in range(1, COUNT + 1)]
    for a, b in zip(one_by_one, at_once, strict=True):
        assert (a.name, a.stamp_ns) == (b.name, b.stamp_ns)
        assert a.error is not None
        assert b.error is not None
        assert a.error.translation_m == pytest.approx(b.error.translation_m, abs=1e-9)


@pytest.mark.parametrize("index", [0, 4, 7])
@pytest.mark.parametrize(("kind", "error"), [("unreadable", DatasetError), ("other shape", ConfigError)])
def test_a_frame_that_cannot_be_used_is_named(
    dataset: Subset, batched: Localizer, index: int, kind: str, error: type[VlocError]
) -> None:
    done: list[int] = []
    with pytest.raises(error, match=rf"^{dataset.names[index]}: "):
        evaluate(batched, Faulty(dataset, index, kind), lambda count, _: done.append(count))  # type: ignore[arg-type]
    assert len(done) <= index


def test_a_network_that_fails_ends_it(dataset: Subset, batched: Localizer, monkeypatch: pytest.MonkeyPatch) -> None:
    batched.warm_up()
    session: Any = batched.sessions["network"]

    def fail(*_: object) -> None:
        raise ModelError("network: out of memory")

    monkeypatch.setattr(session, "single", type("Failing", (), {"run": fail, "spec": session.spec})())
    with pytest.raises(ModelError, match=r"out of memory"):
        list(batched.localize_all(dataset.frame(index).image for index in range(COUNT)))
