"""Options of the methods: what each refuses, how a person gives them, and whose they are."""

import dataclasses
from dataclasses import fields
from pathlib import Path

import pytest

from vloc_ros.errors import ConfigError
from vloc_ros.methods import METHODS
from vloc_ros.training.hscnet.options import HSCNetOptions, parse_branching
from vloc_ros.training.method_options import Flag, flags_of, make_options, option, options_class
from vloc_ros.training.vsnet.options import LossWeights, SegmentationLoss, VSNetOptions


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_options_that_plain_defaults_make(method: str) -> None:
    options = make_options(method, {})
    assert options == options_class(method)()
    assert options.method == method
    assert isinstance(options.preset, str)
    assert options.width >= 64
    assert hash(options) == hash(make_options(method, {}))
    assert dataclasses.is_dataclass(options)


@pytest.mark.parametrize("method", METHODS)
def test_flags_are_the_fields_that_a_person_can_set(method: str) -> None:
    cls = options_class(method)
    flags = flags_of(cls)
    defaults = {each.name: each.default for each in fields(cls)}
    assert {"learning_rate"} & defaults.keys() <= defaults.keys() - flags.keys()
    assert "preset" in flags
    for name, flag in flags.items():
        assert flag.name == f"--{name.replace('_', '-')}"
        assert flag.help in flag.describe()
        if flag.default and defaults[name] is not None:  # what the help says is what happens
            assert flag.parse(flag.default) == defaults[name]
        if flag.choices:
            assert flag.default in flag.choices


def test_a_flag_says_what_there_is_to_choose_from() -> None:
    assert Flag("--size", "of the network", "small", choices=("small", "large")).describe() == (
        "of the network (small, large; default: small)"
    )
    assert Flag("--size", "of the network", "9").describe() == "of the network (default: 9)"
    assert Flag("--size", "of the network", "").describe() == "of the network"


def test_an_option_is_a_field_with_a_default() -> None:
    @dataclasses.dataclass(frozen=True)
    class Options:
        size: int = option(3, "how large", parse=int, metavar="CM")
        place: Path | None = option(None, "where", shown="here")
        hidden: float = 1.0

    assert Options() == Options(3, None, 1.0)
    assert flags_of(Options) == {
        "size": Flag("--size", "how large", "3", int, metavar="CM"),
        "place": Flag("--place", "where", "here"),
    }


def test_an_option_of_another_method_is_refused_with_its_owners() -> None:
    with pytest.raises(ConfigError, match=r"^--landmarks is an option of vsnet, pram, the method is hscnet$"):
        make_options("hscnet", {"preset": "small", "landmarks": 500})
    with pytest.raises(ConfigError, match=r"^--branching is an option of hscnet, the method is vsnet$"):
        make_options("vsnet", {"branching": (9, 9)})
    with pytest.raises(ConfigError, match=r"^--full-moon is an option of no method, the method is vsnet$"):
        make_options("vsnet", {"full_moon": True})


def test_methods_that_nobody_knows() -> None:
    for ask in (options_class, lambda name: make_options(name, {})):
        with pytest.raises(ConfigError, match=r"method 'orb' is unknown, known are vsnet, hscnet"):
            ask("orb")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"landmarks": 500, "patch_size": 0.3}, "patches: give landmarks or patch size, got 500 and 0.3"),
        ({"landmarks": 0}, "positive"),
        ({"patch_size": float("nan")}, "positive"),
        ({"patch_size": float("inf")}, "finite"),
        ({"preset": "huge"}, "known are mobile, resnet50, xfeat"),
        ({"loss": "hinge"}, "loss 'hinge' is unknown"),
        ({"pretrained": Path("w.pth")}, "preset resnet50"),
        ({"stride": 3}, r"stride 3 is not one of mobile's, \(1, 2, 4, 8\)"),
        ({"preset": "resnet50", "stride": 8}, "stride 8 is not one of resnet50's"),
        ({"preset": "xfeat", "stride": 4}, r"stride 4 is not one of xfeat's, \(8,\)"),
    ],
)
def test_vsnet_options_that_make_no_sense(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_options("vsnet", values)


def test_the_weights_of_vsnets_loss() -> None:
    assert VSNetOptions().weights == LossWeights()
    assert VSNetOptions(loss="triplet", direction=0.0).weights == LossWeights(
        SegmentationLoss("triplet"), direction=0.0
    )
    with pytest.raises(ConfigError, match="loss 'hinge' is unknown"):
        SegmentationLoss("hinge")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"preset": "mobile"}, r"known are small, compact, .*small\+\+"),
        ({"variant": "half"}, "variant 'half' is unknown"),
        ({"branching": (25, 0)}, r"branching \(25, 0\) must be positive"),
        ({"variant": "classification", "branching": ()}, "nothing to be 'classification'"),
        ({"reach": 3}, "reach is 3, it is for sparse points"),
        ({"reprojection_from": 3}, "reprojection_from is 3, it is for sparse points"),
        ({"sparse": Path("model"), "sparsify": 500}, "give sparse or sparsify"),
        ({"sparsify": 0}, "sparsify 0"),
        ({"sparsify": 9, "reach": -1}, "reach is -1"),
        ({"regression": 0.0}, "must be positive"),
        ({"regression": float("nan")}, "must be positive"),
        ({"regression": float("inf")}, "finite"),
    ],
)
def test_hscnet_options_that_make_no_sense(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_options("hscnet", values)


def test_hscnet_learns_from_sparse_points_if_it_is_told_to() -> None:
    assert not HSCNetOptions().is_sparse
    assert HSCNetOptions(sparsify=500).is_sparse
    assert HSCNetOptions(sparse=Path("model")).is_sparse


@pytest.mark.parametrize(
    ("text", "branching"), [("25x25", (25, 25)), ("625", (625,)), ("10x100x100", (10, 100, 100)), ("none", ())]
)
def test_branching_as_it_is_written(text: str, branching: tuple[int, ...]) -> None:
    assert parse_branching(text) == branching


@pytest.mark.parametrize("text", ["", "x", "9x", "9,9", "a", "9x9.5"])
def test_branching_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ConfigError, match="is not like 25x25"):
        parse_branching(text)
