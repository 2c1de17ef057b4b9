"""A network of the user's own that finds key points: an ONNX file that keeps the contract of `extractor_spec`."""

from pathlib import Path

import onnx

from vloc_ros.core.feature_spec import DESCRIPTORS, IMAGE, extractor_spec, require_extractor
from vloc_ros.core.model_spec import ModelSpec, TensorSpec
from vloc_ros.errors import ConfigError, ModelError, reason_of
from vloc_ros.files import open_regular
from vloc_ros.inference.onnx_file import require_plain

MAX_BYTES = 1 << 29
TYPES = onnx.TensorProto
ELEMENTS = {int(TYPES.UINT8): "uint8", int(TYPES.FLOAT): "float32", int(TYPES.INT32): "int32"}


def read_extractor(path: Path) -> tuple[bytes, ModelSpec]:
    """The file and what it takes and gives. Raises ConfigError, one line with the file and the tensor, for one that
    cannot be read or does not keep the contract."""
    try:
        with open_regular(path) as file:
            if len(network := file.read(MAX_BYTES + 1)) > MAX_BYTES:
                raise ConfigError(f"{path}: more than {MAX_BYTES / 1e6:.0f} MB")
        require_plain(network)
        graph = onnx.load_from_string(network).graph
        constants = {tensor.name for tensor in graph.initializer}
        inputs = {node.name: _tensor(node) for node in graph.input if node.name not in constants}
        found = ModelSpec(inputs, {node.name: _tensor(node) for node in graph.output})
        require_extractor(found, _expected(found))
    except OSError as error:
        raise ConfigError(f"{path}: {reason_of(error)}") from error
    except (ModelError, ConfigError) as error:
        raise ConfigError(f"{path}: {error}") from error
    except Exception as error:  # protobuf's own classes derive from nothing narrower
        raise ConfigError(f"{path}: no ONNX file ({reason_of(error)})") from error
    return network, found


def _tensor(node: onnx.ValueInfoProto) -> TensorSpec:
    """What one image has of an input or output. Raises ConfigError for a type that none has, and for a shape that is
    not fixed behind the batch axis."""
    kind = node.type.tensor_type
    if kind.elem_type not in ELEMENTS:
        raise ConfigError(f"extractor: {node.name!r} is of another type than {', '.join(ELEMENTS.values())}")
    batch, *sizes = [dimension.dim_value for dimension in kind.shape.dim] or [0]
    if batch > 1 or 0 in sizes:
        shape = [dimension.dim_value or dimension.dim_param or "?" for dimension in kind.shape.dim]
        raise ConfigError(
            f"extractor: {node.name!r} has the shape {shape}; all but the first, 1 or free, must be fixed"
        )
    return TensorSpec(ELEMENTS[kind.elem_type], tuple(sizes))


def _expected(found: ModelSpec) -> ModelSpec:
    """The contract for images and descriptors of the sizes that it has, as far as it has them."""
    image, descriptors = found.inputs.get(IMAGE), found.outputs.get(DESCRIPTORS)
    height, width = image.shape[:2] if image is not None and image.is_image else (480, 640)
    k, d = descriptors.shape if descriptors is not None and len(descriptors.shape) == 2 else (1024, 64)
    return extractor_spec(width, height, k, d)


def image_size_of(spec: ModelSpec) -> tuple[int, int]:
    """Width and height of the images that an extractor takes."""
    height, width, _ = spec.inputs[IMAGE].shape
    return width, height
