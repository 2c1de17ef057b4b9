"""What making a map can be told: refused in one line before anything heavy is loaded."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from vloc_ros.errors import ConfigError
from vloc_ros.training.map_options import LossWeights, MapOptions, SegmentationLoss, TrainingOptions, flatten

OPTIONS = MapOptions("folder", Path("room"), "train", Path("out"), Path("out.work"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "hscnet"}, "hscnet"),
        ({"landmarks": None}, "patches"),
        ({"patch_size_m": 0.3}, "patches"),
        ({"landmarks": 0}, "positive"),
        ({"landmarks": None, "patch_size_m": float("nan")}, "positive"),
        ({"width": 48}, "at least 64"),
        ({"width": 330}, "multiple of 16"),
    ],
)
def test_a_map_that_makes_no_sense(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(OPTIONS, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "either minutes or epochs"),
        ({"minutes": 1.0, "epochs": 1}, "either minutes or epochs"),
        ({"minutes": 0.0}, "positive"),
        ({"minutes": float("nan")}, "positive"),
        ({"minutes": float("inf")}, "finite"),
        ({"epochs": -1}, "positive"),
        ({"epochs": 1, "preset": "huge"}, "known are mobile, resnet50"),
        ({"epochs": 1, "batch_size": -1}, "batch size -1"),
        ({"epochs": 1, "accumulate": -2}, "accumulate -2"),
        ({"epochs": 1, "seed": -1}, "seed -1"),
        ({"epochs": 1, "pretrained": Path("w.pth")}, "preset resnet50"),
    ],
)
def test_a_training_that_makes_no_sense(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainingOptions(**changes)  # type: ignore[arg-type]


def test_an_unknown_loss() -> None:
    with pytest.raises(ConfigError, match="loss 'hinge' is unknown"):
        SegmentationLoss("hinge")  # type: ignore[arg-type]


def test_the_fingerprint_is_of_what_is_learned_and_not_of_where_it_is_written() -> None:
    same = replace(OPTIONS, out=Path("a"), workdir=Path("b"), fresh=True)
    assert same.fingerprint() == OPTIONS.fingerprint()
    weights = LossWeights(SegmentationLoss("triplet"))
    other = replace(OPTIONS, training=replace(OPTIONS.training, weights=weights))
    before, after = flatten(OPTIONS.fingerprint()), flatten(other.fingerprint())
    assert {name for name in before if before[name] != after[name]} == {"training.weights.segmentation.name"}


def test_sizes_of_batches_that_were_left_open_are_settled_and_the_others_kept() -> None:
    open_, given = TrainingOptions(epochs=1), TrainingOptions(epochs=1, batch_size=8, accumulate=3)
    assert (open_.settled(6, 2).batch_size, open_.settled(6, 2).accumulate) == (6, 2)
    assert given.settled(6, 2) == given


def test_the_rate_grows_with_the_root_of_the_images_a_step() -> None:
    rates = [
        TrainingOptions(epochs=1, batch_size=b, accumulate=a).scaled_learning_rate for b, a in ((6, 1), (6, 4), (24, 1))
    ]
    assert rates == pytest.approx([2e-3, 4e-3, 4e-3])


def test_the_fingerprint_is_blind_to_what_learns_the_same() -> None:
    """Compiled or not; and a run of one batch a step is the run that it was before there was a choice."""
    one = replace(OPTIONS, training=replace(OPTIONS.training, accumulate=1))
    compiled = replace(one, training=replace(one.training, compile=True))
    two = replace(one, training=replace(one.training, accumulate=2))
    assert one.fingerprint() == compiled.fingerprint() != two.fingerprint()
    assert "accumulate" not in one.fingerprint()["training"]


@pytest.mark.parametrize("image", [(640, 480), (1280, 720), (1920, 1080), (752, 480), (480, 640), (1000, 20)])
@pytest.mark.parametrize("width", [160, 320, 640])
def test_the_networks_input_follows_the_images_shape(image: tuple[int, int], width: int) -> None:
    found_width, height = replace(OPTIONS, width=width).input_size(*image)
    assert found_width == width
    assert height % 16 == 0
    assert height >= 16
    assert abs(height - width * image[1] / image[0]) <= 16


def test_options_load_nothing_heavy() -> None:
    check = "import sys, vloc_ros.training.map_options; assert not {'torch', 'numpy', 'cv2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True, cwd=Path(__file__).resolve().parents[1])
