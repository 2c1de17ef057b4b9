"""The localization methods: one file each, imported only when asked for.

`METHODS` is all that a new one needs outside its own files: what runs is METHOD.CLASS of vloc_ros.methods; making maps
takes CLASSOptions and CLASSRecipe of vloc_ros.training.METHOD.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from vloc_ros.errors import ConfigError

if TYPE_CHECKING:  # who only wants to know which methods there are loads nothing heavy
    from vloc_ros.core.pipeline import Method

METHODS = {
    "vsnet": "VsNet",
    "hscnet": "HscNet",
}
DEFAULT_METHOD = next(iter(METHODS))


def get_method(name: str) -> "Method":
    """The method called `name`, with its defaults. Raises ConfigError for an unknown name."""
    require_method(name)
    method: Method = getattr(import_module(f"vloc_ros.methods.{name}"), METHODS[name])()
    return method


def require_method(name: str) -> None:
    """Raise ConfigError for a method that nobody knows."""
    if name not in METHODS:
        raise ConfigError(f"method {name!r} is unknown, known are {', '.join(METHODS)}")
