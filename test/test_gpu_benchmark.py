"""What `benchmark/gpu.py` runs networks with, as far as that can be said without a GPU."""

from pathlib import Path

import numpy as np
from gpu_runners import CPU, ORT_TENSORRT, OURS, Network, OrtSession, providers, runners
from support.tiny_networks import SPEC, given, images, network

from vloc_ros.core.model_spec import PRECISIONS
from vloc_ros.inference.backend import SessionSettings
from vloc_ros.inference.onnxruntime import OnnxSession

NETWORK = Network("office", Path("office"), "recognizer", SPEC.model, {"float32": network()})


def test_inputs_and_outputs_that_keep_their_places_give_the_same() -> None:
    plain, bound = OnnxSession(network(), SPEC.model, SessionSettings()), OrtSession(network(), SPEC.model, [CPU])
    kept = bound.run(given(images(1)))
    for count in (1, 2, 1):
        inputs = given(images(count)[-1:])
        found, expected = bound.run(inputs), plain.run(inputs)
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)
    for name, values in plain.run(given(images(1))).items():
        np.testing.assert_array_equal(kept[name], values, err_msg="an output belongs to whoever asked for it")


def test_no_two_networks_share_engines(tmp_path: Path) -> None:
    other = Network("hall", Path("hall"), "recognizer", SPEC.model, {"float32": network()})
    folders = {
        providers(each, precision, tmp_path, True)[0][1]["trt_engine_cache_path"]
        for each in (NETWORK, other)
        for precision in PRECISIONS
    }
    assert len(folders) == 2 * len(PRECISIONS)


def test_only_arithmetic_that_is_there_is_measured() -> None:
    by_precision = {precision: [name for name, _ in runners(NETWORK, precision, None)] for precision in PRECISIONS}
    assert by_precision["float32"] == [OURS, *ORT_TENSORRT.values(), "ONNX Runtime, CUDA"]
    assert by_precision["float16"] == by_precision["bfloat16"] == [*ORT_TENSORRT.values()]
