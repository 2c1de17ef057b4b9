"""Methods whose one network says something of each cell of an image: what goes into it and what comes out."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.manifest import Manifest
from vloc_ros.core.method import Observation
from vloc_ros.core.model_spec import NETWORK, GridSpec, ModelSpec, Role
from vloc_ros.core.session import Sessions, Tensors
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.types import CameraImage, Correspondences, LandmarkMap, PoseEstimate
from vloc_ros.errors import ConfigError, ModelError

MAX_ROUNDING_PX = 8.0  # input heights are rounded to a multiple of 16, so 1280x720 becomes 320x176


class DenseGridMethod(ABC):
    """The parts of a `Method` that all dense ones share. `outputs`: what each cell of the network has, as
    `GridSpec.outputs`; `stage`: what its own stage is called."""

    outputs: ClassVar[Mapping[str, str]]
    stage: ClassVar[str]

    @abstractmethod
    def correspond(
        self, tensors: Tensors, image: CameraImage, landmark_map: LandmarkMap, view: int = 0
    ) -> Correspondences:
        """What one view's tensors say of the map. Raises ModelError for tensors that are not what the map promises."""

    def check(self, models: Mapping[Role, ModelSpec]) -> None:
        """As `Method.check`."""
        if NETWORK not in models:
            raise ConfigError(f"needs a {NETWORK}, the map has {', '.join(models) or 'none'}")
        found = models[NETWORK].grid.outputs
        for name, cell in self.outputs.items():
            if found.get(name) != cell:
                raise ConfigError(f"needs the network output {name!r} to be {cell}, it is {found.get(name)}")

    def prepare(self, image: CameraImage, manifest: Manifest) -> Tensors:
        """`network_input`."""
        return {grid_of(manifest).input_name: network_input(image, manifest.image_size)}

    def observe(self, inputs: Tensors, sessions: Sessions) -> Tensors:
        """What the network says."""
        return sessions[NETWORK].run(inputs)

    def propose(
        self, observation: Observation, landmark_map: LandmarkMap, stopwatch: Stopwatch
    ) -> Iterable[Correspondences]:
        """One proposal, of all views."""
        with stopwatch.stage(self.stage):
            views = zip(observation.query.views, observation.tensors, strict=True)
            found = [self.correspond(tensors, view.image, landmark_map, i) for i, (view, tensors) in enumerate(views)]
            return (Correspondences.joined(found),)

    def refine(
        self, estimate: PoseEstimate, observation: Observation, landmark_map: LandmarkMap, stopwatch: Stopwatch
    ) -> Correspondences | None:
        """None: there are no points with descriptors."""
        return None


def grid_of(manifest: Manifest) -> GridSpec:
    """The network of a dense method's map."""
    return manifest.models[NETWORK].grid


def network_input(image: CameraImage, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The image undistorted and scaled to width and height: (height, width, 3). Raises ConfigError for another aspect
    ratio."""
    width, height = image.camera.width, image.camera.height
    if abs(height * size[0] / width - size[1]) > MAX_ROUNDING_PX:
        raise ConfigError(
            f"image: {width}x{height} has another aspect ratio than the map's network input {size[0]}x{size[1]}"
        )
    undistorted = image.camera.undistort(image.rgb)
    if (width, height) == size:
        return undistorted
    return np.asarray(cv2.resize(undistorted, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def checked_output(outputs: Tensors, name: str, spec: GridSpec) -> NDArray[Any]:
    """The output called `name`. Raises ModelError where it is missing, or not of the shape and type promised."""
    if name not in outputs:
        raise ModelError(f"network: no output {name!r}, it has {', '.join(sorted(outputs))}")
    output, tensor = outputs[name], spec.model.outputs[name]
    shape, dtype = tensor.shape, np.dtype(tensor.element)
    if output.shape != shape or output.dtype != dtype:
        raise ModelError(f"network: output {name!r} is {output.dtype} {output.shape} instead of {dtype} {shape}")
    return np.ascontiguousarray(output)


def image_pixels(
    input_pixels: NDArray[np.floating], image: CameraImage, size: tuple[int, int]
) -> tuple[NDArray[np.float64], float]:
    """From pixels (N, 2) of the scaled image of this width and height to those of the undistorted image, x' + 0.5 =
    (x + 0.5) * scale, and how much larger a pixel's length is there."""
    scale = np.array([image.camera.width / size[0], image.camera.height / size[1]])
    return (input_pixels + 0.5) * scale - 0.5, float(np.sqrt(scale.prod()))
