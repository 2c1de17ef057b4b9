"""Options of `vloc map --update`: which map the images are a new recording of the place of."""

import argparse
from pathlib import Path
from typing import Any

from vloc_ros.errors import ConfigError

KEPT = 5  # recordings


def add_update(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("updating a map")
    group.add_argument(
        "--update", type=Path, metavar="MAP",
        help="the images are a new recording of the place of this map of pram: OUT is made of both, once it has proved "
        "to localize as well; MAP stays as it is",
    )  # fmt: skip
    group.add_argument("--update-workdir", type=Path, metavar="DIR", help="that of MAP (default: MAP.work)")
    group.add_argument(
        "--keep-recordings", type=int, metavar="COUNT",
        help=f"of an updated map: at most so many, the newest (default: {KEPT})",
    )  # fmt: skip


def update_options(options: argparse.Namespace) -> Any:
    """What `MapOptions.update` is. Raises ConfigError."""
    from vloc_ros.training.update_options import UpdateOptions

    workdir, kept = options.update_workdir, options.keep_recordings
    if options.update is None:
        for flag, value in (("--update-workdir", workdir), ("--keep-recordings", kept)):
            if value is not None:
                raise ConfigError(f"{flag} {value}: is of --update, which is not given")
        return None
    return UpdateOptions(options.update, workdir, KEPT if kept is None else kept)
