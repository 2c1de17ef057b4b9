"""`vloc sign`: say who made a map, so that a robot can ask for it."""

import argparse
from pathlib import Path

from vloc_ros.cli.command import Command
from vloc_ros.errors import printable
from vloc_ros.maps import sign_map


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("map", type=Path, metavar="MAP", help="a map, or a building, as `vloc map` writes it")
    parser.add_argument(
        "--key", required=True, type=Path, metavar="PRIVATE_KEY",
        help="PEM file: `openssl genpkey -algorithm ed25519 -out PRIVATE_KEY` makes one",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    stored, key = sign_map(options.map, options.key)
    where = printable(str(options.map / f"{stored.signed[0]}.sig"))
    print(f"{where}: signature of map {stored.map_id} by the key {key}")
    return 0


COMMAND = Command(
    "Check a map and sign its map.yaml, which holds the hashes of all other files; of a building, its building.json. "
    "`--require-signature` of the other commands and the parameter `require_signature` of the nodes take the public "
    "key: `openssl pkey -in PRIVATE_KEY -pubout -out PUBLIC_KEY`. Whatever changes the map later makes the signature "
    "void.",
    add_arguments,
    run,
)
