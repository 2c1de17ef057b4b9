"""Completes what cyclonedx-py says of an environment, and writes the licences of it as a table.

.venv/bin/python requirements/sbom.py out/sbom.json out/licences.md

Run by the environment's own Python. The wheels of ROS name no licence, but their package.xml does; where a package
gives the text of its licence in place of a name, its first line is the name. References to this computer's files are
left out.
"""

import json
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

CLASSIFIER = "License :: OSI Approved :: "
UNKNOWN = "unknown"


def licence_of(name: str) -> str | None:
    """Of an installed package, as its package.xml or its metadata names it."""
    of_ros = Path(sys.prefix) / "share" / name.removeprefix("ros-").replace("-", "_") / "package.xml"
    if of_ros.is_file():
        return ", ".join(str(element.text) for element in ET.parse(of_ros).iter("license"))
    said = metadata(name)
    lines = ("".join(said.get_all("License", []))).strip().splitlines()
    return lines[0].strip() if lines else None


def completed(component: Mapping[str, Any]) -> dict[str, Any]:
    """With a licence where it has none, and without references to files."""
    references = [one for one in component.get("externalReferences", ()) if not one["url"].startswith("file:")]
    whole = {**component, "externalReferences": references}
    if "licenses" not in component and (name := licence_of(component["name"])):
        whole["licenses"] = [{"license": {"acknowledgement": "declared", "name": name}}]
    return whole


def licences(component: Mapping[str, Any]) -> str:
    """As people read it."""
    names = []
    for entry in component.get("licenses", ()):
        licence = entry.get("license", {})
        names.append(entry.get("expression") or licence.get("id") or licence["name"].removeprefix(CLASSIFIER))
    return "; ".join(names) or UNKNOWN


def main() -> None:
    sbom_file, table_file = map(Path, sys.argv[1:])
    sbom = json.loads(sbom_file.read_text(encoding="utf-8"))
    sbom["components"] = [completed(component) for component in sbom["components"]]
    sbom_file.write_text(json.dumps(sbom, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    rows = [f"| {one['name']} | {one['version']} | {licences(one)} |" for one in sbom["components"]]
    table_file.write_text(
        "\n".join(["| package | version | licence |", "|---|---|---|", *rows]) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
