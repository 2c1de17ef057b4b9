"""What is pinned with hashes is what is pinned, and the versions of a release agree."""

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import sbom
from support import ROOT

from vloc_ros import __version__

PIN = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[^ ;\\\n]+) *(?:; *(?P<marker>[^\\#\n]*?))? *(?:\\|#.*)?$", re.MULTILINE
)


def pins(name: str) -> set[tuple[str, str]]:
    """Names as pip compares them, and versions."""
    text = (ROOT / "requirements" / name).read_text()
    return {(re.sub(r"[-_.]+", "-", pin["name"]).lower(), pin["version"]) for pin in PIN.finditer(text)}


def test_a_lock_has_every_pin_and_that_of_ros_nothing_else() -> None:
    assert pins("run.txt") <= pins("run.lock")
    assert pins("ros.txt") == pins("ros.lock")
    assert len(pins("run.txt")) > 10


@pytest.mark.parametrize("name", ["run.lock", "ros.lock"])
def test_every_pin_of_a_lock_has_hashes(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert lines
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", line) for line in lines)
    assert len(lines) == len(pins(name))


def test_the_versions_of_a_release_agree() -> None:
    root = ET.parse(ROOT / "package.xml").getroot()
    assert root.findtext("version") == __version__
    assert f'version="{__version__}"' in (ROOT / "setup.py").read_text()


def test_the_licence_of_the_package_is_the_file() -> None:
    licence = ET.parse(ROOT / "package.xml").getroot().find("license")
    assert licence is not None
    assert licence.text == "Apache-2.0"
    assert "Apache License" in (ROOT / licence.attrib["file"]).read_text()


@pytest.mark.needs("catkin_pkg", "docutils")
def test_the_tools_of_ros_read_the_changelog_and_the_package() -> None:
    from catkin_pkg.changelog import get_changelog_from_path
    from catkin_pkg.package import parse_package

    warnings: list[str] = []
    package = parse_package(str(ROOT), warnings=warnings)
    assert warnings == []
    changelog = get_changelog_from_path(str(ROOT), package.name)
    versions = [version for version, _, _ in changelog.foreach_version()]
    assert package.version in versions
    assert all(content for _, _, content in changelog.foreach_version())


def test_licences_come_from_where_a_package_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    (tmp_path / "share/some_msgs").mkdir(parents=True)
    (tmp_path / "share/some_msgs/package.xml").write_text("<package><license>BSD-3-Clause</license></package>")
    of_ros = sbom.completed({"name": "ros-some-msgs", "version": "1"})
    named = {"name": "numpy", "licenses": [{"expression": "MIT AND Zlib"}, {"license": {"id": "0BSD"}}]}
    assert sbom.licences(of_ros) == "BSD-3-Clause"
    assert sbom.licences(sbom.completed(named)) == "MIT AND Zlib; 0BSD"
    assert sbom.licences({"name": "nobody knows"}) == sbom.UNKNOWN


def test_a_list_for_others_names_no_file_of_this_computer() -> None:
    references = [{"url": "file:///home/me/vloc_ros"}, {"url": "https://example.com"}]
    whole = sbom.completed({"name": "pytest", "externalReferences": references, "licenses": []})
    assert whole["externalReferences"] == references[1:]
