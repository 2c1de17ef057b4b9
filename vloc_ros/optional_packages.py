"""Packages that only some commands need: what to say of one that is not installed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from vloc_ros.errors import ConfigError

INSTALL_ROS = (
    "source a ROS 2 Jazzy installation, or run `make demo`, which installs what is needed, or see docs/howto/install.md"
)


def pip_install(what: str) -> str:
    """The command that installs packages, or `-r FILE`, where this program will find them, in a virtual environment
    that is not activated too."""
    return f"{sys.executable or 'python3'} -m pip install {what}"


@contextmanager
def optional_packages(user: str, remedy: str) -> Iterator[None]:
    """For imports: a package that is not installed becomes a ConfigError that says that `user` needs it, and the
    remedy. What is missing of this package itself is an error as any other."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("vloc_ros"):
            raise
        raise ConfigError(f"{user} needs the Python package '{error.name}': {remedy}") from error
