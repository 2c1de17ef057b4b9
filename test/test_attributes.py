"""No attribute is born outside a constructor, where what is alive for how long cannot be seen."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import ROOT

PACKAGE = ROOT / "vloc_ros"
MODULES = sorted(path for layer in ("ros", "tracking", "demo") for path in (PACKAGE / layer).rglob("*.py"))


def assigned(function: ast.AST) -> Iterator[str]:
    """The attributes of `self` that a function assigns."""
    for node in ast.walk(function):
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=attr, ctx=ast.Store()):
                yield attr


def born_late(source: str) -> list[str]:
    """`Class.attribute` of each that a method assigns, and neither the class nor its constructor."""
    late = []
    for kind in ast.walk(ast.parse(source)):
        if isinstance(kind, ast.ClassDef):
            methods = [part for part in kind.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)]
            born = {name for method in methods if method.name == "__init__" for name in assigned(method)}
            for part in kind.body:
                targets = [part.target] if isinstance(part, ast.AnnAssign) else getattr(part, "targets", [])
                born.update(target.id for target in targets if isinstance(target, ast.Name))
            late += [f"{kind.name}.{name}" for method in methods for name in assigned(method) if name not in born]
    return sorted(set(late))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_attributes_are_born_in_constructors(path: Path) -> None:
    assert not born_late(path.read_text(encoding="utf-8"))


def test_the_rule_itself() -> None:
    source = """
class Node:
    shown = ""
    def __init__(self):
        self.a, (self._b, *self._c) = 1, (2, 3)
    def configure(self):
        self.a = self._b = self.shown = 2
        self._late: int = 3
        (self._later, other.fine), self.d[0] = (1, 2), 3
        with open("x") as self._file:
            pass
        def inner(): self._latest = 4
"""
    assert born_late(source) == ["Node._file", "Node._late", "Node._later", "Node._latest"]
