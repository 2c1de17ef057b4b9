"""Methods whose one network says something of each cell of an image: what goes into it and what comes out."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.manifest import Manifest
from vloc_ros.core.method import Observation
from vloc_ros.core.model_spec import NETWORK, GridSpec
from vloc_ros.core.session import Sessions, Tensors
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.types import CameraImage, Correspondences, LandmarkMap, PoseEstimate
from vloc_ros.errors import ConfigError, ModelError
from vloc_ros.methods.network_input import network_input


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

    def check(self, landmark_map: LandmarkMap) -> None:
        """As `Method.check`."""
        models = landmark_map.manifest.models
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


def checked_output(outputs: Tensors, name: str, spec: GridSpec) -> NDArray[Any]:
    """The output called `name`. Raises ModelError where it is missing, or not of the shape and type promised."""
    if name not in outputs:
        raise ModelError(f"network: no output {name!r}, it has {', '.join(sorted(outputs))}")
    output, tensor = outputs[name], spec.model.outputs[name]
    shape, dtype = tensor.shape, np.dtype(tensor.element)
    if output.shape != shape or output.dtype != dtype:
        raise ModelError(f"network: output {name!r} is {output.dtype} {output.shape} instead of {dtype} {shape}")
    return np.ascontiguousarray(output)
