"""Parameters as values: checked when made, described, with ranges that hold."""

from dataclasses import asdict, fields, replace

import pytest

from vloc_ros.errors import ConfigError
from vloc_ros.ros.node import resolve_map
from vloc_ros.ros.parameters import (
    MapServerParameters,
    NodeParameters,
    RelocalizerParameters,
    build_parameters,
    fixed_while_configured,
)

KINDS = (MapServerParameters, RelocalizerParameters)
DEFAULTS = asdict(RelocalizerParameters())
WRONG_TYPE = {bool: 1, int: True, float: "1", str: 3, tuple: [123456789012]}
CALLED = {tuple: "a list of texts, in quotes"}


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_are_valid_and_described(kind: type[NodeParameters]) -> None:
    assert build_parameters(kind, asdict(kind())) == kind()
    for spec in fields(kind):
        assert spec.metadata["description"].endswith("."), spec.name
        assert not spec.metadata["choices"] or spec.default in spec.metadata["choices"]


@pytest.mark.parametrize("name", DEFAULTS)
def test_another_type_is_refused_by_name(name: str) -> None:
    kind = type(DEFAULTS[name])
    with pytest.raises(ConfigError, match=rf"parameter {name} is .*, must be {CALLED.get(kind, kind.__name__)}"):
        build_parameters(RelocalizerParameters, {**DEFAULTS, name: WRONG_TYPE[kind]})


@pytest.mark.parametrize("name", [name for name, value in DEFAULTS.items() if isinstance(value, float)])
def test_whole_numbers_become_floats(name: str) -> None:
    value = getattr(build_parameters(RelocalizerParameters, {**DEFAULTS, name: 1}), name)
    assert value == 1
    assert type(value) is float


@pytest.mark.parametrize("name", [name for name, value in DEFAULTS.items() if isinstance(value, float)])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_floats_are_finite(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"parameter {name} is {value}"):
        build_parameters(RelocalizerParameters, {**DEFAULTS, name: value})


BOUNDS = [
    (spec.name, bound)
    for spec in fields(RelocalizerParameters)
    for bound in ("low", "high")
    if spec.metadata[bound] is not None
]


@pytest.mark.parametrize(("name", "bound"), BOUNDS)
def test_ranges_include_their_ends_and_nothing_beyond(name: str, bound: str) -> None:
    spec = next(spec for spec in fields(RelocalizerParameters) if spec.name == name)
    end = spec.metadata[bound]
    end = type(DEFAULTS[name])(end)
    assert getattr(replace(RelocalizerParameters(), **{name: end}), name) == end
    with pytest.raises(ConfigError, match=f"parameter {name} is "):
        replace(RelocalizerParameters(), **{name: end + (1 if bound == "high" else -1)})


@pytest.mark.parametrize("name", ["tf_mode", "image_transport", "backend"])
def test_choices_are_listed(name: str) -> None:
    with pytest.raises(ConfigError, match=f"parameter {name} is 'nonsense', must be one of {DEFAULTS[name]}, "):
        replace(RelocalizerParameters(), **{name: "nonsense"})  # type: ignore[arg-type]


def test_what_takes_effect_only_when_configured() -> None:
    assert fixed_while_configured(MapServerParameters) == {"autostart", "require_signature"}
    fixed = {"autostart", "backend", "precision", "threads", "image_transport", "maps", "odometry_topic"}
    fixed |= {"cameras", "camera_tolerance", "camera_wait", "require_signature"}
    assert fixed_while_configured(RelocalizerParameters) == fixed


@pytest.mark.parametrize("value", [None, [], ()])
def test_an_empty_list_is_a_list_of_texts(value: object) -> None:
    """ROS gives it no type, or that of bytes."""
    assert build_parameters(RelocalizerParameters, {**DEFAULTS, "allowed_map_ids": value}).allowed_map_ids == ()


@pytest.mark.parametrize("text", ["", "abc", "0123456789AB", "0123456789ag", "0" * 65, "0123456789ab\n"])
def test_ids_of_maps_are_hexadecimal(text: str) -> None:
    ids = ["0123456789ab", "f" * 64]
    assert build_parameters(RelocalizerParameters, {**DEFAULTS, "allowed_map_ids": ids}).allowed_map_ids == tuple(ids)
    with pytest.raises(ConfigError, match="parameter allowed_map_ids has "):
        build_parameters(RelocalizerParameters, {**DEFAULTS, "allowed_map_ids": [*ids, text]})


def test_tracking_takes_its_limits_from_the_parameters() -> None:
    parameters = RelocalizerParameters(max_jump_m=0.1, max_jump_deg=2.0, agreeing_fixes=7, lost_after=9.0)
    tracking = parameters.tracking
    assert (tracking.max_jump_m, tracking.max_jump_deg) == (0.1, 2.0)
    assert (tracking.agreeing_fixes, tracking.lost_after_s) == (7, 9.0)


def test_maps_are_paths_or_in_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/robot")
    assert resolve_map("/maps/office") == "/maps/office"
    assert resolve_map("~/office") == "/home/robot/office"
    for uri in ("package://no_such_package/map", "package://", "package://a b/map"):
        with pytest.raises(ConfigError, match="there is no package"):
            resolve_map(uri)


def test_without_a_ros_environment_no_package_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    with pytest.raises(ConfigError, match="there is no package 'office_maps'"):
        resolve_map("package://office_maps/office")


@pytest.mark.parametrize("limit", [0, 2, 3, 12, 1000])
@pytest.mark.parametrize("maps", [0, 1, 2, 3, 7])
def test_buildings_among_several_maps_share_what_may_be_open(maps: int, limit: int) -> None:
    uris = tuple(f"/maps/{number}" for number in range(maps))
    parameters = RelocalizerParameters(maps=uris, max_open_maps=limit)
    places = parameters.max_open_places
    if not limit:
        assert places is None
        return
    opened = min(max(1, maps), limit)
    assert places is not None
    assert places >= 1
    assert limit - opened < opened * places <= limit
