"""The localization methods: one file each, imported only when asked for."""

from importlib import import_module

from vloc_ros.core.pipeline import Method
from vloc_ros.errors import ConfigError

METHODS = {
    "vsnet": "vloc_ros.methods.vsnet:VsNet",
    "hscnet": "vloc_ros.methods.hscnet:HscNet",
}


def get_method(name: str) -> Method:
    """The method called `name`, with its defaults. Raises ConfigError for an unknown name."""
    if name not in METHODS:
        raise ConfigError(f"method {name!r} is unknown, known are {', '.join(METHODS)}")
    module, attribute = METHODS[name].split(":")
    method: Method = getattr(import_module(module), attribute)()
    return method
