"""The localization methods: a package each, imported only when asked for.

`METHODS` is all that a new one needs outside its own files.
"""

from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from vloc_ros.errors import ConfigError

if TYPE_CHECKING:  # who only wants to know which methods there are loads nothing heavy
    from vloc_ros.core.method import Method


@dataclass(frozen=True)
class MethodEntry:
    """Where the three parts of a method are, as "module:class", which `pkgutil.resolve_name` loads.

    `method`: a `core.method.Method`, all that a robot needs. `options`: its options of `vloc map`, a
    `training.method_options.MethodOptions`. `recipe`: what makes its maps, a `training.recipe.Recipe`; that of a dense
    method loads PyTorch.
    """

    method: str
    options: str
    recipe: str


METHODS = {
    "vsnet": MethodEntry(
        "vloc_ros.methods.vsnet.method:VSNetMethod",
        "vloc_ros.training.vsnet.options:VSNetOptions",
        "vloc_ros.training.vsnet.recipe:VSNetRecipe",
    ),
    "hscnet": MethodEntry(
        "vloc_ros.methods.hscnet.method:HSCNetMethod",
        "vloc_ros.training.hscnet.options:HSCNetOptions",
        "vloc_ros.training.hscnet.recipe:HSCNetRecipe",
    ),
    "pram": MethodEntry(
        "vloc_ros.methods.pram.method:PRAMMethod",
        "vloc_ros.training.pram.options:PRAMOptions",
        "vloc_ros.training.pram.recipe:PRAMRecipe",
    ),
}
# Of `vloc map`: the most accurate, ready in a minute or two, and also right where no image was taken.
DEFAULT_METHOD = "pram"


def get_method(name: str) -> "Method":
    """The method called `name`, with its defaults. Raises ConfigError for an unknown name."""
    method: Method = load(method_entry(name).method)()
    return method


def method_entry(name: str) -> MethodEntry:
    """Where a method's parts are. Raises ConfigError for a method that nobody knows."""
    if name not in METHODS:
        raise ConfigError(f"method {name!r} is unknown, known are {', '.join(METHODS)}")
    return METHODS[name]


def load(part: str) -> Any:
    """One part of a MethodEntry."""
    return resolve_name(part)
