#!/usr/bin/env bash
# onnxruntime 1.31.1 (PyPI; 28 November 2026, run with Python 3.11 on Linux, one thread): on a CPU, Softmax along the axis of
# channels of an image takes more than ten times as long as the same written out: Exp, a MatMul with ones, Div. XFeat's key
# points need it of 65 channels of 60x80 cells, where it took a fifth to a third of the network's time
# (vloc_ros/training/features/xfeat.py, _heat).
#
# Seen (on a busy machine):
#     Softmax along axis 1: 7.0 ms; Exp, MatMul, Div: 0.5 ms; largest difference 6e-08
# Exits with 0 as long as it takes three times as long or more, with 1 where that has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys
import time

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

CHANNELS, CELLS = 65, (60, 80)
SHAPE = (1, CHANNELS, *CELLS)


def session(nodes, initializers=()):
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE)
    graph = helper.make_graph(nodes, "graph", [value("x")], [value("y")], list(initializers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options)


def milliseconds(opened, x):
    times = []
    for _ in range(50):
        begin = time.process_time()
        found = opened.run(None, {"x": x})[0]
        times.append(1e3 * (time.process_time() - begin))
    return min(times), found


softmax = session([helper.make_node("Softmax", ["x"], ["y"], axis=1)])
arrays = {
    "ones": np.ones((1, CHANNELS), np.float32),
    "flat": np.array([0, CHANNELS, -1]),
    "shape": np.array(SHAPE),
}
written_out = session(
    [
        helper.make_node("Exp", ["x"], ["e"]),
        helper.make_node("Reshape", ["e", "flat"], ["rows"]),
        helper.make_node("MatMul", ["ones", "rows"], ["sums"]),
        helper.make_node("Div", ["rows", "sums"], ["parts"]),
        helper.make_node("Reshape", ["parts", "shape"], ["y"]),
    ],
    [numpy_helper.from_array(array, name) for name, array in arrays.items()],
)
x = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
(slow, expected), (fast, found) = milliseconds(softmax, x), milliseconds(written_out, x)
difference = np.abs(expected - found).max()
print(f"Softmax along axis 1: {slow:.1f} ms; Exp, MatMul, Div: {fast:.1f} ms; largest difference {difference:.0e}")
sys.exit(0 if slow > 3 * fast and difference < 1e-6 else 1)
PYTHON
