"""Sessions and the engines that are kept: used again, or built anew for another GPU, version or content."""

from pathlib import Path

import numpy as np
import pytest
from support.fake_tensorrt import FakeTensorRt
from support.tensorrt_scenes import Said, open_tensorrt
from support.tiny_networks import given, images, network

from vloc_ros.errors import ModelError
from vloc_ros.inference.engine_cache import EngineCache


def engine_file(engines: Path) -> Path:
    (path,) = engines.glob("*.engine")
    return path


def builds(trt: FakeTensorRt) -> int:
    return trt.calls.count("build_serialized_network")


def test_a_session_uses_the_engine_of_the_one_before(trt: FakeTensorRt, engines: Path) -> None:
    open_tensorrt().close()
    said = Said()
    np.testing.assert_array_equal(open_tensorrt(said=said).run(given(images(1)))["labels"], images(1)[:, ::4, ::4, 0])
    assert builds(trt) == 1
    assert not said


def test_another_gpu_or_version_builds_its_own(trt: FakeTensorRt, engines: Path) -> None:
    open_tensorrt().close()
    trt.cuda.name = b"Other GPU\0\0"
    open_tensorrt().close()
    trt.__version__ = "10.99.0"
    open_tensorrt().close()
    assert builds(trt) == 3


def test_an_engine_of_another_gpu_in_this_ones_place(trt: FakeTensorRt, engines: Path) -> None:
    open_tensorrt().close()
    first = engine_file(engines)
    content = first.read_bytes()
    trt.cuda.name = b"Other GPU\0\0"
    open_tensorrt().close()
    for path in engines.glob("*.engine"):
        path.write_bytes(content)
    said = Said()
    open_tensorrt(said=said).close()
    assert "made for something else" in said.text
    assert builds(trt) == 3


def test_an_engine_that_tensorrt_refuses_in_the_cache(trt: FakeTensorRt, engines: Path) -> None:
    open_tensorrt().close()
    trt.broken["deserialize_cuda_engine"] = "made by another TensorRT"
    said = Said()
    with pytest.raises(ModelError, match="made by another TensorRT"):
        open_tensorrt(said=said)
    assert builds(trt) == 2
    assert "not used: TensorRT" in said.text
    del trt.broken["deserialize_cuda_engine"]
    open_tensorrt().close()


def test_engines_with_programs_for_the_host_are_refused(trt: FakeTensorRt, engines: Path) -> None:
    trt.host_code = True
    with pytest.raises(ModelError, match="host code"):
        open_tensorrt()
    assert not list(engines.glob("*.engine"))


def test_timings_are_used_again(trt: FakeTensorRt, engines: Path) -> None:
    open_tensorrt().close()
    open_tensorrt(max_batch=2).close()
    assert [call for call in trt.calls if "timing" in call] == ["timing cache b''", "timing cache b' measured'"]
    (path,) = engines.glob("*.timing")
    path.write_bytes(path.read_bytes() + b"x")
    open_tensorrt(network(batch=1)).close()
    assert trt.calls.count("timing cache b''") == 2


def test_timings_that_tensorrt_does_not_take(trt: FakeTensorRt, engines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EngineCache, "read_timing", lambda self, key: b"bad")
    open_tensorrt().close()
    assert [call for call in trt.calls if "timing" in call] == ["timing cache b'bad'", "timing cache b''"]
