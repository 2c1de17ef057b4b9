"""Fixtures that several test files share."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import ROOT
from support.map_files import NETWORK, PREVIEW, make_map

from vloc_ros.maps import write_map

if TYPE_CHECKING:
    from support.fake_tensorrt import FakeTensorRt


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
    pytest.importorskip("onnx")
    from support.fake_tensorrt import installed

    with installed(request.param) as fake:
        yield fake


@pytest.fixture
def office(tmp_path: Path) -> Path:
    """A small map directory."""
    write_map(tmp_path / "office", make_map(), {"network": {"float32": NETWORK}}, PREVIEW)
    return tmp_path / "office"
