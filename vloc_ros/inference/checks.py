"""What every session makes sure of: images and outputs are as the map says."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.manifest import NetworkSpec
from vloc_ros.errors import ModelError


def check_images(images: NDArray[np.uint8], spec: NetworkSpec, max_batch: int) -> None:
    """Raises ModelError unless the images are uint8 (1 .. max_batch, spec.height, spec.width, 3)."""
    size = (spec.height, spec.width, 3)
    if images.ndim != 4 or images.shape[1:] != size or images.dtype != np.uint8:
        raise ModelError(f"network: given {images.dtype} {images.shape}, its input is uint8 {('batch', *size)}")
    if not 1 <= len(images) <= max_batch:
        raise ModelError(f"network: given {len(images)} images at once, it takes 1 to {max_batch}")


def check_output_names(names: list[str], spec: NetworkSpec) -> None:
    """Raises ModelError unless the network has exactly the outputs that the map says."""
    if sorted(names) != sorted(spec.outputs):
        raise ModelError(f"network: outputs are {names}, the map says {list(spec.outputs)}")


def check_outputs(outputs: Mapping[str, NDArray[Any]], spec: NetworkSpec, batch: int) -> None:
    """Raises ModelError unless each output has the type and shape that the map says."""
    for name in spec.outputs:
        output, kind, shape = outputs[name], spec.output_type(name), (batch, *spec.output_shape(name))
        if output.dtype != kind or output.shape != shape:
            raise ModelError(f"network: output {name!r} is {output.dtype} {output.shape}, the map says {kind} {shape}")
