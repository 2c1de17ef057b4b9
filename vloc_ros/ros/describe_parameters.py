"""Writes what parameters/ says of each parameter into config/*.yaml and into the tables of the pages.

python -m vloc_ros.ros.describe_parameters [--check]

In a configuration file that is all below `ros__parameters:`; in a page, what lies between `<!-- parameters: NODE -->`
and `<!-- end of parameters -->`. `--check` changes nothing and exits with 1 if a file says something else.
"""

import argparse
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import Field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vloc_ros.files import write_text
from vloc_ros.ros.parameters import MapServerParameters, NodeParameters, RelocalizerParameters
from vloc_ros.ros.parameters.field import range_of

ROOT = Path(__file__).resolve().parents[2]
NODES: Mapping[str, type[NodeParameters]] = MappingProxyType(
    {"relocalizer": RelocalizerParameters, "vloc_map_server": MapServerParameters}
)
CONFIGURATIONS = MappingProxyType(
    {"relocalizer": "config/relocalizer.yaml", "vloc_map_server": "config/map_server.yaml"}
)
WIDTH, INDENT = 119, "    "
BELOW = "ros__parameters:\n"
BLOCK = re.compile(r"<!-- parameters: (?P<node>\w+) -->\n(?P<content>.*?)<!-- end of parameters -->\n", re.DOTALL)
HEADER = "| parameter | default | values | meaning |\n|---|---|---|---|\n"


def yaml_of(kind: type[NodeParameters]) -> str:
    """Every parameter at its default below a comment; headings only where there are several."""
    headings = [spec for spec in fields(kind) if spec.metadata["begins"]]
    return "".join(_yaml_lines(spec, is_headed=len(headings) > 1) for spec in fields(kind))


def table_of(kind: type[NodeParameters]) -> str:
    """A row for each parameter, as Markdown."""
    return HEADER + "".join(
        f"| `{spec.name}` | `{_default(spec)}` | {range_of(spec)} | {_text(spec)} |\n" for spec in fields(kind)
    )


def described(content: str) -> str:
    """A page with its tables as they should be."""
    return BLOCK.sub(
        lambda block: (
            f"<!-- parameters: {block['node']} -->\n{table_of(NODES[block['node']])}<!-- end of parameters -->\n"
        ),
        content,
    )


def wanted() -> Iterator[tuple[Path, str]]:
    """Every file that describes parameters, and what it should say."""
    for node, name in CONFIGURATIONS.items():
        head, below, _ = (ROOT / name).read_text(encoding="utf-8").partition(BELOW)
        yield ROOT / name, head + below + yaml_of(NODES[node])
    for page in sorted((ROOT / "docs").rglob("*.md")):
        content = page.read_text(encoding="utf-8")
        if BLOCK.search(content):
            yield page, described(content)


def stale() -> list[tuple[Path, str]]:
    """The files that say something else, and what they should say."""
    return [(path, content) for path, content in wanted() if path.read_text(encoding="utf-8") != content]


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, exit with 1 if a file differs")
    check = parser.parse_args().check
    files = stale()
    for path, content in files:
        print(f"{path.relative_to(ROOT)}: {'differs from vloc_ros/ros/parameters/' if check else 'written'}")
        if not check:
            write_text(path, content)
    return int(check and bool(files))


def _yaml_lines(spec: "Field[Any]", is_headed: bool) -> str:
    heading, values = spec.metadata["begins"], range_of(spec)
    lines = [f"{INDENT}# --- {heading} ".ljust(WIDTH, "-")] if heading and is_headed else []
    if lines and spec.name != "autostart":  # the first of all
        lines.insert(0, "")
    comment = _text(spec) + (f" [{values}]" if values else "")
    lines += textwrap.wrap(comment, WIDTH, initial_indent=f"{INDENT}# ", subsequent_indent=f"{INDENT}# ")
    return "\n".join([*lines, f"{INDENT}{spec.name}: {_default(spec)}", ""])


def _text(spec: "Field[Any]") -> str:
    return ("" if spec.metadata["live"] else "(fixed) ") + str(spec.metadata["description"])


def _default(spec: "Field[Any]") -> str:
    """As YAML has it."""
    if isinstance(spec.default, bool):
        return str(spec.default).lower()
    return '""' if spec.default == "" else "[]" if spec.default == () else str(spec.default)


if __name__ == "__main__":
    sys.exit(main())
