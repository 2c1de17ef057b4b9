"""The layers of the design: who may import what. An import that is not allowed here is a mistake or a decision."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import ROOT

PACKAGE = ROOT / "vloc_ros"

BASICS = {"blas", "errors", "files", "optional_packages", "text_files", "compiled", "progress", "tasks", "cores"}
ROBOT_PATH = {"geometry", "core", "features", "methods", "inference", "maps"}
READERS = {"geometry", "core", "images", "bags", "synthetic", "datasets"}
LIBRARY = ROBOT_PATH | READERS | {"tracking", "map_localizer", "localizer", "building", "drawing", "evaluation"}

EVERYWHERE = (*sorted(BASICS), "__version__")
# Layer -> the layers below that it may import, besides itself and what is EVERYWHERE.
INTERNAL: dict[str, set[str]] = {
    "__init__": set(),
    **{basic: set() for basic in BASICS},
    "shipped": set(),
    "geometry": set(),
    "core": {"geometry"},
    "images": set(),
    "tracking": {"geometry", "core"},
    "features": {"geometry", "core", "images"},
    "methods": {"geometry", "core", "features"},
    "inference": {"geometry", "core"},
    "maps": {"geometry", "core"},
    "map_localizer": ROBOT_PATH,
    "open_places": ROBOT_PATH | {"map_localizer"},
    "building": ROBOT_PATH | {"map_localizer", "open_places"},
    "localizer": ROBOT_PATH | {"map_localizer", "building"},
    "map_check": {"inference", "maps"},
    "bags": {"geometry", "core", "images"},
    "synthetic": {"geometry"},
    "datasets": READERS,
    "drawing": ROBOT_PATH | {"localizer"},
    "mapping": {"geometry", "core", "features", "datasets"},
    "evaluation": LIBRARY,
    "training": LIBRARY | {"mapping"},
    "ros": ROBOT_PATH | {"images", "tracking", "localizer", "drawing", "evaluation", "map_check", "shipped"},
    "demo": LIBRARY | {"ros", "shipped"},
    "cli": LIBRARY | {"mapping", "shipped"},
}
# Layer -> the packages from outside that it may import, besides the standard library.
EXTERNAL: dict[str, set[str]] = {
    "__init__": set(),
    "blas": set(),
    "errors": set(),
    "files": set(),
    "optional_packages": set(),
    "shipped": set(),
    "compiled": {"numba"},
    "progress": set(),
    "tasks": {"dask", "distributed"},
    "cores": set(),
    "text_files": set(),
    "geometry": {"numpy", "cv2", "poselib", "scipy"},
    "core": {"numpy", "cv2"},
    "tracking": {"numpy"},
    "synthetic": {"numpy", "cv2"},
    "drawing": {"numpy", "cv2"},
    "images": {"numpy", "cv2", "simplejpeg"},
    "features": {"numpy", "cv2"},
    "methods": {"numpy", "cv2"},
    "inference": {"filelock", "numpy", "onnxruntime", "platformdirs"},  # TensorRT and CUDA: by name, when asked for
    "maps": {"numpy", "cv2", "yaml", "cryptography"},
    "map_localizer": {"numpy"},
    "localizer": set(),
    "open_places": set(),
    "building": {"numpy"},
    "map_check": set(),
    "datasets": {"numpy", "cv2", "yaml"},
    "mapping": {"numpy", "cv2", "pycolmap", "scipy", "sklearn", "trimesh"},
    "evaluation": {"numpy", "cv2", "matplotlib", "rerun", "scipy", "tqdm"},
    "bags": {"numpy", "cv2", "mcap", "rosbags", "yaml"},
    "training": {"numpy", "cv2", "filelock", "scipy", "tensorboard", "torch", "onnx"},
    "cli": {"numpy", "cv2", "tqdm"},
}
# Imports that a function may make when it is called, on top of what its layer may import.
LAZY = {"cli": {"training", "ros", "demo"}}

MODULES = sorted(PACKAGE.rglob("*.py"))


def layer_of(path: Path) -> str:
    """`core` for vloc_ros/core/types.py, `errors` for vloc_ros/errors.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Every imported dotted name, and whether it is imported when the module is."""
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) not in inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import; this project writes imports out"
            yield from ((f"{node.module}.{alias.name}", id(node) not in inside) for alias in node.names)


def faults(layer: str, source: str) -> Iterator[str]:
    """What a module of that layer imports against the rules."""
    for name, at_import in imports(ast.parse(source)):
        top, _, rest = name.partition(".")
        if top != PACKAGE.name:
            free = layer in ("ros", "demo") and top != "torch"
            if not free and top not in sys.stdlib_module_names and top not in EXTERNAL[layer]:
                yield f"{layer} may not import {top}"
            continue
        target = rest.split(".")[0]
        allowed = INTERNAL[layer] | {layer, *EVERYWHERE} | (set() if at_import else LAZY.get(layer, set()))
        if target not in allowed:
            yield f"{layer} may not import {target}{' when it is imported itself' if at_import else ''}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_module_imports_only_what_its_layer_may(path: Path) -> None:
    assert not list(faults(layer_of(path), path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("layer", "source", "wrong"),
    [
        ("core", "import torch", True),
        ("core", "from vloc_ros.maps import read_map", True),
        ("core", "from vloc_ros import methods", True),
        ("core", "def f():\n    import scipy", True),
        ("methods", "from vloc_ros.core.types import Camera", False),
        ("cli", "from vloc_ros.training import stages", True),
        ("cli", "def f():\n    from vloc_ros.training import stages", False),
        ("evaluation", "import rclpy", True),
        ("training", "import torch.nn.functional", False),
    ],
)
def test_the_rules_themselves(layer: str, source: str, wrong: bool) -> None:
    assert bool(list(faults(layer, source))) == wrong


def loaded_by(module: str) -> set[str]:
    """All modules that are loaded with one."""
    command = [sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"]
    return set(subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "vloc_ros.localizer",
        "vloc_ros.evaluation",
        pytest.param("vloc_ros.evaluation.bag_runs", marks=pytest.mark.needs("rosbags", "scipy")),
        "vloc_ros.cli",
        "vloc_ros.training.building",
    ],
)
def test_who_makes_no_map_never_loads_what_only_that_needs(module: str) -> None:
    """A robot, workers that evaluate, and the process that shares the places of a building among workers."""
    # not scipy: numba loads it where it is there
    assert not {"torch", "onnx", "sklearn", "trimesh", "pycolmap", "matplotlib", "rclpy"} & loaded_by(module)


@pytest.mark.needs("scipy")
@pytest.mark.parametrize("module", ["build_map", "sparse_map"])
def test_who_maps_depth_never_loads_what_other_maps_need(module: str) -> None:
    """Every worker holds for itself what it has loaded."""
    unwanted = {"torch", "onnx", "tensorboard", "sklearn", "trimesh", "pycolmap", "matplotlib", "rclpy"}
    assert not unwanted & loaded_by(f"vloc_ros.training.stages.{module}")
