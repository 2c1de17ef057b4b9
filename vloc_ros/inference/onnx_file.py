"""What an ONNX file may hold: read before any library that runs it sees the file, whatever that would do with it.

The file is a protobuf message: fields of (number, wire type, value), some of which are messages again. Only those are
walked into that can hold operators or refer to other files (https://onnx.ai/onnx/repo-docs/IR.html); the weights are
stepped over.
"""

from collections.abc import Iterator

from vloc_ros.errors import ModelError

MAX_OPERATORS = 10_000
STANDARD = ("", "ai.onnx")  # domains of operators that every ONNX library brings along
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
MAX_VARINT_BITS = 70

# Field numbers of onnx.proto.
MODEL_GRAPH, MODEL_TRAINING, MODEL_FUNCTIONS = 7, 20, 25
GRAPH_NODE, GRAPH_TENSOR, GRAPH_SPARSE = 1, 5, 15
NODE_TYPE, NODE_ATTRIBUTE, NODE_DOMAIN = 4, 5, 7
ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS = 5, 6, 10, 11
ATTRIBUTE_SPARSE, ATTRIBUTE_SPARSES = 22, 23
SPARSE_VALUES, SPARSE_INDICES = 1, 2
TENSOR_EXTERNAL, TENSOR_LOCATION = 13, 14

Value = int | memoryview


def require_plain(network: bytes) -> None:
    """Raise ModelError for an ONNX file that maps do not hold.

    That is one that refers to other files, has loops, branches or functions, operators of others than the standard,
    more than MAX_OPERATORS of them, or is no protobuf message at all. What is left ends, for it does a fixed number of
    operators once.
    """
    operators = 0
    for number, value in _fields(memoryview(network)):
        if number in (MODEL_TRAINING, MODEL_FUNCTIONS):
            raise ModelError("network: its ONNX file has functions or training, which no map needs")
        if number == MODEL_GRAPH:
            operators += _check_graph(_message(value))
            if operators > MAX_OPERATORS:
                raise ModelError(f"network: has more than {MAX_OPERATORS} operators")


def _check_graph(graph: memoryview) -> int:
    """The number of a graph's operators."""
    operators = 0
    for number, value in _fields(graph):
        if number == GRAPH_NODE:
            _check_node(_message(value))
            operators += 1
        elif number == GRAPH_TENSOR:
            _check_tensor(_message(value))
        elif number == GRAPH_SPARSE:
            _check_sparse(_message(value))
    return operators


def _check_node(node: memoryview) -> None:
    for number, value in _fields(node):
        if number == NODE_DOMAIN and (domain := _text(value)) not in STANDARD:
            raise ModelError(f"network: has operators of {domain!r}, which is not the ONNX standard")
        if number == NODE_ATTRIBUTE:
            _check_attribute(_message(value))


def _check_attribute(attribute: memoryview) -> None:
    for number, value in _fields(attribute):
        if number in (ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS):
            raise ModelError("network: has a graph inside an operator, a loop or a branch, which may never end")
        if number in (ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS):
            _check_tensor(_message(value))
        elif number in (ATTRIBUTE_SPARSE, ATTRIBUTE_SPARSES):
            _check_sparse(_message(value))


def _check_sparse(sparse: memoryview) -> None:
    for number, value in _fields(sparse):
        if number in (SPARSE_VALUES, SPARSE_INDICES):
            _check_tensor(_message(value))


def _check_tensor(tensor: memoryview) -> None:
    for number, value in _fields(tensor):
        if number == TENSOR_EXTERNAL or (number == TENSOR_LOCATION and value != 0):
            raise ModelError("network: its weights are in another file, which is never read")


def _fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Number and value of each field: an integer, or the bytes of a text, a message or a number of fixed size."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == LENGTH:
            size, at = _varint(message, at)
        elif wire in (FIXED64, FIXED32):
            size = 8 if wire == FIXED64 else 4
        else:  # groups, which ONNX does not have
            raise _damaged()
        if at + size > end:
            raise _damaged()
        yield number, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """An integer of 7 bits in each byte, the lowest first, and where it ends."""
    value = 0
    for shift, byte in zip(range(0, MAX_VARINT_BITS, 7), message[at : at + MAX_VARINT_BITS // 7], strict=False):
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + shift // 7 + 1
    raise _damaged()


def _message(value: Value) -> memoryview:
    if isinstance(value, int):
        raise _damaged()
    return value


def _text(value: Value) -> str:
    return bytes(_message(value)[:100]).decode(errors="replace")


def _damaged() -> ModelError:
    return ModelError("network: cannot load it: its file is damaged, or is no ONNX file")
