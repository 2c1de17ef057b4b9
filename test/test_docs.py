"""The pages: every link leads somewhere, and the README's "Where is..." tables mirror the tree."""

import ast
import re
import runpy
import shlex
from pathlib import Path
from pkgutil import resolve_name

import pytest
from support import ROOT

from vloc_ros.cli import build_parser

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "benchmark/README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
LINK = re.compile(r"(?<!`)!?\[[^\]]*\]\(([^)\s]+)\)")
HTML_SOURCE = re.compile(r'\b(?:src|srcset|href)="([^"]+)"')
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
# Folders of the check-out that are nobody's work: what tools leave behind.
LEFT_BY_TOOLS = {"build", "dist", "install", "log", "out", "__pycache__"}


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return "\n".join(line for line in text.splitlines() if not line.startswith("    "))


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
        copies = sum(other == name or re.fullmatch(rf"{re.escape(name)}-\d+", other) is not None for other in found)
        found.add(f"{name}-{copies}" if copies else name)
    return found


def links(page: Path) -> list[str]:
    """Its links within the project."""
    text = prose(page)
    targets = LINK.findall(text) + HTML_SOURCE.findall(text)
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link} does not exist"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {link}: there is no such heading"


def test_code_holds_no_links_and_headings_are_counted(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A title: `code`, (twice)\n\n```\n[x](y)\n```\n\n    [a](b.md)\n\n[c](d.md#e)\n\n## Same\n\n## Same\n"
    )
    assert links(page) == ["d.md#e"]
    assert anchors(page) == {"a-title-code-twice", "same", "same-1"}


def paths_named(section: str) -> set[str]:
    """The paths in the tables below that heading of the README, as they are written there."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    below = text.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in below.splitlines() if line.startswith("|")]
    return {path for row in rows for path in re.findall(r"`([\w./]+(?:/|\.\w+))`", row)}


def test_where_is_names_what_exists() -> None:
    assert not [path for path in paths_named("Where is...") if not (ROOT / path).exists()]


def test_where_is_has_a_row_for_every_part() -> None:
    folders = {
        f"{path.name}/"
        for path in ROOT.iterdir()
        if path.is_dir() and not path.name.startswith(".") and path.name not in LEFT_BY_TOOLS | {"vloc_ros"}
        if not path.name.endswith((".egg-info", ".work"))
    }
    package = ROOT / "vloc_ros"
    packages = {f"vloc_ros/{path.parent.name}/" for path in package.glob("*/__init__.py")}
    modules = {f"vloc_ros/{path.name}" for path in package.glob("*.py") if path.name != "__init__.py"}
    missing = (folders | packages | modules) - paths_named("Where is...")
    assert not missing, f"README, Where is...: no row for {sorted(missing)}"


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs/README.md"
    listed = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    assert not [
        str(page)
        for page in PAGES
        if page.parent not in (ROOT, ROOT / "benchmark") and page != index and page not in listed
    ]


def commands(page: Path) -> list[list[str]]:
    """The `vloc` command lines in the blocks of code of a page, without comments and placeholders."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip().removeprefix("$ ") for line in text.splitlines() if line.startswith("    ")]
    words = [shlex.split(line, comments=True) for line in lines if re.match(r"(\.venv/bin/|OMP_\S+ )?vloc [a-z]", line)]
    words = [line[1:] if line[0].startswith("OMP_") else line for line in words]
    return [line[1:] for line in words if "..." not in line]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_line_is_one(page: Path) -> None:
    for line in commands(page):
        build_parser(line[0]).parse_args(line)


def test_command_lines_are_found() -> None:
    assert ["inspect", "maps/office"] in commands(ROOT / "README.md")
    assert any("--novel-views" in line for line in commands(ROOT / "docs/benchmarks/accuracy.md"))


def test_diagrams_are_what_their_script_draws(tmp_path: Path) -> None:
    pictures = ROOT / "docs/pictures"
    drawn = runpy.run_path(str(pictures / "diagrams.py"))
    for function in ("architecture", "way_of_an_image", "tf_tree"):
        drawn[function].__globals__["HERE"] = tmp_path
        drawn[function]()
    names = sorted(path.name for path in pictures.glob("*.svg"))
    assert names == sorted(path.name for path in tmp_path.iterdir())
    assert all((pictures / name).read_bytes() == (tmp_path / name).read_bytes() for name in names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_source_files_that_a_page_names_exist(page: Path) -> None:
    """Paths from the root, or from the package; `pram` is the method that CONTRIBUTING.md adds."""
    named = re.findall(r"`((?:[\w.]+/)+[\w.]+\.(?:py|sh|launch\.py))`", page.read_text(encoding="utf-8"))
    roots = (ROOT, ROOT / "vloc_ros")
    missing = [path for path in named if "/pram/" not in path and not any((root / path).exists() for root in roots)]
    assert not missing


@pytest.mark.needs("pycolmap", "rosbags", "scipy", "trimesh")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_programs_on_a_page_import_exists(page: Path) -> None:
    for program in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(program)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("vloc_ros"):
                assert all(resolve_name(f"{node.module}:{alias.name}") for alias in node.names)
