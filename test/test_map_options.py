"""What making a map can be told: refused in one line before anything heavy is loaded."""

import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from support import ROOT

from vloc_ros.errors import ConfigError
from vloc_ros.training.hscnet.options import HSCNetOptions
from vloc_ros.training.map_options import MapOptions, TrainingOptions
from vloc_ros.training.method_options import STAGES, options_of_stage
from vloc_ros.training.stages.settings import input_size, settings_of
from vloc_ros.training.stages.stage_records import Records, plain
from vloc_ros.training.vsnet.options import VSNetOptions

OPTIONS = MapOptions("folder", Path("room"), "train", Path("out"), Path("out.work"), VSNetOptions())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 48}, "at least 64"),
        ({"width": 330}, "multiple of 16"),
        ({"false_positive_rate": 1.5}, "1.5 must be in 0 .. 1"),
        ({"false_positive_rate": float("nan")}, "nan must be in 0 .. 1"),
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
        ({"epochs": 1, "batch_size": -1}, "batch size -1"),
        ({"epochs": 1, "accumulate": -2}, "accumulate -2"),
        ({"epochs": 1, "seed": -1}, "seed -1"),
    ],
)
def test_a_training_that_makes_no_sense(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainingOptions(**changes)  # type: ignore[arg-type]


def inputs(options: MapOptions) -> dict[str, Any]:
    """What all that comes before the export depends on, of what was set."""
    settings = settings_of(options, Records(), novel_views=0.5, gpu=False, processes=1)
    method = {"method.name": options.method.method}
    for stage in STAGES:
        method |= options_of_stage(options.method, stage)
    return plain({**settings.sources.inputs(), **settings.samples.inputs(), **settings.training.inputs(), **method})


def changed(one: MapOptions, other: MapOptions) -> set[str]:
    """What makes two runs different."""
    before, after = inputs(one), inputs(other)
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def test_what_is_learned_depends_on_options_and_not_on_where_it_is_written() -> None:
    same = replace(
        OPTIONS, out=Path("a"), workdir=Path("b"), fresh=True, false_positive_rate=0.1, precisions=("float16",),
        until="geometry",
    )  # fmt: skip
    longer = replace(OPTIONS, training=TrainingOptions(epochs=7, compile=True))
    assert not changed(OPTIONS, same)
    assert not changed(OPTIONS, longer)
    assert changed(OPTIONS, replace(OPTIONS, width=640)) == {"width"}
    accumulating = replace(OPTIONS, training=replace(OPTIONS.training, accumulate=2))
    assert changed(OPTIONS, accumulating) == {"training.accumulate"}


def test_each_of_the_methods_options_is_of_one_stage() -> None:
    for method in (VSNetOptions(), HSCNetOptions()):
        own = [name for stage in STAGES for name in options_of_stage(method, stage)]
        paths = {"method.sparse", "method.pretrained"}  # what they lead to counts
        given = {f"method.{each.name}" for each in fields(method)}
        assert sorted(own) == sorted(given - {name for name in paths if name not in own})
    assert options_of_stage(HSCNetOptions(sparsify=9), "geometry") == {"method.sparse": None, "method.sparsify": 9}
    assert options_of_stage(VSNetOptions(), "regions") == {"method.landmarks": None, "method.patch_size": None}


def test_the_methods_options_are_part_of_what_is_learned() -> None:
    assert changed(OPTIONS, replace(OPTIONS, method=VSNetOptions(loss="triplet"))) == {"method.loss"}
    dense = replace(OPTIONS, method=HSCNetOptions())
    assert "method.name" in changed(OPTIONS, dense)
    assert changed(dense, replace(dense, method=HSCNetOptions(branching=(4, 5)))) == {"method.branching"}
    assert json.loads(json.dumps(inputs(dense))) == inputs(dense)  # as it is read from the work directory


def test_paths_are_the_same_from_wherever_they_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    method = HSCNetOptions(sparse=Path("model"))
    one = replace(OPTIONS, method=method)
    other = replace(one, root=tmp_path / "room", method=replace(method, sparse=tmp_path / "model"))
    assert not changed(one, other)


def test_sizes_of_batches_that_were_left_open_are_settled_and_the_others_kept() -> None:
    open_, given = TrainingOptions(epochs=1), TrainingOptions(epochs=1, batch_size=8, accumulate=3)
    assert (open_.with_defaults(6, 2).batch_size, open_.with_defaults(6, 2).accumulate) == (6, 2)
    assert given.with_defaults(6, 2) == given


def test_the_rate_grows_with_the_root_of_the_images_a_step() -> None:
    sizes = ((6, 1), (6, 4), (24, 1))
    scales = [TrainingOptions(epochs=1, batch_size=size, accumulate=count).rate_scale for size, count in sizes]
    assert scales == pytest.approx([1, 2, 2])


@pytest.mark.parametrize("image", [(640, 480), (1280, 720), (1920, 1080), (752, 480), (480, 640), (1000, 20)])
@pytest.mark.parametrize("width", [160, 320, 640])
def test_the_networks_input_follows_the_images_shape(image: tuple[int, int], width: int) -> None:
    found_width, height = input_size(width, *image)
    assert found_width == width
    assert height % 16 == 0
    assert height >= 16
    assert abs(height - width * image[1] / image[0]) <= 16


@pytest.mark.parametrize(
    "module", ["map_options", "method_options", "stages.stage_records", "vsnet.options", "hscnet.options"]
)
def test_options_load_nothing_heavy(module: str) -> None:
    check = f"import sys, vloc_ros.training.{module}; assert not {{'torch', 'numpy', 'cv2'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT)
