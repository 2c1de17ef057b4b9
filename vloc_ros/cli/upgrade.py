"""`vloc upgrade`: rewrite a map of an older format in the present one."""

import argparse
from pathlib import Path

from vloc_ros.cli.command import Command
from vloc_ros.errors import printable
from vloc_ros.maps import upgrade_map


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("map", type=Path, metavar="MAP", help="map directory, as `vloc map` writes it")
    parser.add_argument("--out", type=Path, metavar="DIR", help="directory to write (default: in the map's place)")


def run(options: argparse.Namespace) -> int:
    before, after = upgrade_map(options.map, options.out)
    if after is None:
        where = printable(str(options.map))
        print(f"{where}: is of format {before.format_version} already, map {before.map_id}; nothing was written")
        return 0
    where = printable(str(options.out or options.map))
    print(f"{where}: format {after.format_version}, was {before.format_version}; same poses")
    if after.map_id == before.map_id:
        return 0
    print(
        f"map {before.map_id} is now map {after.map_id}: update `allowed_map_ids` where they name it, and sign it again"
    )
    return 0


COMMAND = Command(
    "Rewrite a map of an older format in the present one, all at once: the old map stays as it is until the new one is "
    "there. It gives the same poses.",
    add_arguments,
    run,
)
