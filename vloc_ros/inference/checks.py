"""What every session makes sure of: inputs and outputs are as the map says."""

import numpy as np

from vloc_ros.core.model_spec import ModelSpec
from vloc_ros.core.session import Tensors
from vloc_ros.errors import ModelError


def check_inputs(inputs: Tensors, spec: ModelSpec, max_batch: int) -> int:
    """How many images the inputs are of. Raises ModelError unless they are those of the map, of 1 to max_batch
    images."""
    if inputs.keys() != spec.inputs.keys():
        raise ModelError(f"network: given {list(inputs)}, its inputs are {list(spec.inputs)}")
    for name, tensor in spec.inputs.items():
        given, shape = inputs[name], ("batch", *tensor.shape)
        if given.ndim != len(shape) or given.shape[1:] != tensor.shape or given.dtype != tensor.element:
            raise ModelError(
                f"network: given {given.dtype} {given.shape} as {name!r}, its input is {tensor.element} {shape}"
            )
    counts = {len(given) for given in inputs.values()}
    if len(counts) > 1 or not 1 <= min(counts) <= max_batch:
        count = " and ".join(map(str, sorted(counts)))
        raise ModelError(f"network: given {count} images at once, it takes 1 to {max_batch}")
    return counts.pop()


def check_output_names(names: list[str], spec: ModelSpec) -> None:
    """Raises ModelError unless the network has exactly the outputs that the map says."""
    if sorted(names) != sorted(spec.outputs):
        raise ModelError(f"network: outputs are {names}, the map says {list(spec.outputs)}")


def check_outputs(outputs: Tensors, spec: ModelSpec, batch: int) -> None:
    """Raises ModelError unless each output has the type and shape that the map says."""
    for name, tensor in spec.outputs.items():
        output, shape = outputs[name], (batch, *tensor.shape)
        if output.dtype != tensor.element or output.shape != shape:
            raise ModelError(
                f"network: output {name!r} is {output.dtype} {output.shape}, the map says {tensor.element} {shape}"
            )


def empty_inputs(spec: ModelSpec, batch: int) -> Tensors:
    """Zeros, to warm up with."""
    return {name: np.zeros((batch, *tensor.shape), tensor.element) for name, tensor in spec.inputs.items()}
