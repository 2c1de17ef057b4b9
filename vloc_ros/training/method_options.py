"""A method's own options when its maps are made: a frozen dataclass, whose fields say how a person gives them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from vloc_ros.errors import ConfigError
from vloc_ros.methods import DEFAULT_METHOD, METHODS, load, method_entry

StageName = Literal[
    "sources", "features", "poses", "geometry", "regions", "samples", "buffer", "training", "export", "surface",
    "calibration",
]  # fmt: skip
STAGES: tuple[StageName, ...] = get_args(StageName)  # of map building, in their order
OF_BUILDINGS: tuple[StageName, ...] = ("surface",)  # of places of a building alone, so of no method's own
DENSE_MINUTES = 40.0  # of training, of methods whose network fills a grid
# Of methods whose network fills a grid; if its encoder does not learn, then FROZEN_STAGES.
DENSE_STAGES = tuple(stage for stage in STAGES if stage not in ("features", "poses", "buffer", *OF_BUILDINGS))
FROZEN_STAGES = tuple(stage for stage in STAGES if stage not in ("features", "poses", *OF_BUILDINGS))
# Of methods that match key points.
SPARSE_STAGES = tuple(stage for stage in STAGES if stage not in ("samples", "buffer", *OF_BUILDINGS))


class MethodOptions(Protocol):
    """Plain values; importing them loads nothing heavy. `stages`: those that its maps are made in, in their order.
    `preset` is the network's size, `width` that of its images, where nobody says another."""

    @property
    def method(self) -> str: ...

    @property
    def stages(self) -> tuple[StageName, ...]: ...

    @property
    def preset(self) -> str: ...

    @property
    def width(self) -> int: ...

    @property
    def minutes(self) -> float:
        """How long is trained, where nobody says how long."""
        ...


class DenseOptions(MethodOptions, Protocol):
    """Of a method whose network fills a grid of cells."""

    @property
    def stride(self) -> int:
        """Network input pixels per output cell."""
        ...


class SparseOptions(MethodOptions, Protocol):
    """Of a method that matches key points with points. `features`: which, as `open_extractor` has it; `key_points`: how
    many of an image at most; `loops`: whether poses are adjusted that contradict what frames show."""

    @property
    def features(self) -> str | Path: ...

    @property
    def key_points(self) -> int: ...

    @property
    def loops(self) -> Literal["auto", "off"]: ...

    @property
    def preset(self) -> Literal["small", "paper"]: ...


@dataclass(frozen=True)
class Flag:
    """How a field is given on a command line; `parse` makes its value of the text and raises ConfigError. `stage`: the
    first stage of map building that it changes."""

    name: str
    help: str
    default: str
    parse: Callable[[str], Any] = str
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    stage: StageName = "training"

    def describe(self) -> str:
        """For a person who asks for help."""
        default = f"default: {self.default}" if self.default else ""
        details = "; ".join(filter(None, [", ".join(self.choices), default]))
        return f"{self.help} ({details})" if details else self.help


def option(default: Any, help: str, *, shown: str = "", **settings: Any) -> Any:
    """A field of a method's options that a person can set. `shown`: the default, where it does not say itself;
    `settings` as in Flag."""
    return field(default=default, metadata={"help": help, "default": shown or str(default or ""), **settings})


def flags_of(options: type) -> dict[str, Flag]:
    """By field of a method's options, how a person gives it."""
    return {each.name: Flag(_flag_name(each.name), **each.metadata) for each in fields(options) if each.metadata}


def options_of_stage(options: MethodOptions, stage: StageName) -> dict[str, Any]:
    """By dotted name, what a stage is told of a method's options; paths are left out: what they lead to counts."""
    own = [each.name for each in fields(options) if each.metadata.get("stage", Flag.stage) == stage]  # type: ignore[arg-type]
    values = {name: getattr(options, name) for name in own}
    return {f"method.{name}": value for name, value in values.items() if not isinstance(value, Path)}


def options_class(method: str) -> Any:
    """The class of a method's options. Raises ConfigError for a method that nobody knows."""
    return load(method_entry(method).options)


def load_recipe(options: MethodOptions) -> Any:
    """What makes maps of the options' method, a `Recipe`; of dense methods it loads PyTorch."""
    return load(method_entry(options.method).recipe)(options)


def make_options(method: str, given: Mapping[str, Any]) -> MethodOptions:
    """A method's options from values by field name. Raises ConfigError for one that is another method's."""
    cls = options_class(method)
    known = {each.name for each in fields(cls)}
    if foreign := [name for name in given if name not in known]:
        owners = [other for other in METHODS if foreign[0] in flags_of(options_class(other))]
        whose = ", ".join(owners) or "no method"
        raise ConfigError(f"{_flag_name(foreign[0])} is an option of {whose}, the method is {described(method)}")
    made: MethodOptions = cls(**given)
    return made


def require_preset(method: str, preset: str, known: tuple[str, ...]) -> None:
    """Raise ConfigError for a preset that the method has not."""
    if preset not in known:
        raise ConfigError(
            f"training: preset '{preset}' is unknown, known are {', '.join(known)}; the method is {described(method)}"
        )


def described(method: str) -> str:
    """A method's name, and for who has not chosen it, how another is chosen."""
    return f"{method} (--method chooses)" if method == DEFAULT_METHOD else method


def _flag_name(field_name: str) -> str:
    return f"--{field_name.replace('_', '-')}"


def require_known(kind: str, name: str, known: tuple[str, ...]) -> None:
    """Raise ConfigError for a name that is not among the known ones."""
    if name not in known:
        raise ConfigError(f"training: {kind} '{name}' is unknown, known are {', '.join(known)}")
