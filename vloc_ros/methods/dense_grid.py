"""Methods whose one network says something of each cell of an image: what goes into it and what comes out."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.feature_spec import DESCRIPTORS, EXTRACTOR, IMAGE, KEY_POINTS, SCORES
from vloc_ros.core.guided_matching import GuidedSettings
from vloc_ros.core.manifest import Manifest
from vloc_ros.core.method import Observation
from vloc_ros.core.model_spec import NETWORK, GridSpec
from vloc_ros.core.session import Sessions, Tensors
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.types import CameraImage, LandmarkMap, PoseEstimate
from vloc_ros.errors import ConfigError, ModelError
from vloc_ros.features.extractor import extracted, extractor_inputs
from vloc_ros.methods.guided_refinement import guided_correspondences
from vloc_ros.methods.network_input import network_input

FOR_EXTRACTOR = (IMAGE, KEY_POINTS, SCORES, DESCRIPTORS)


class DenseGridMethod(ABC):
    """The parts of a `Method` that all dense ones share. `outputs`: what each cell of the network has, as
    `GridSpec.outputs`; `stage`: what its own stage is called."""

    outputs: ClassVar[Mapping[str, str]]
    stage: ClassVar[str]
    guided: ClassVar[GuidedSettings] = GuidedSettings()
    scales: ClassVar[Sequence[float]] = (1.0,)  # the network knows things in the size in which it has learned them

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

    def prepare(self, image: CameraImage, manifest: Manifest, scale: float) -> Tensors:
        """`network_input`, whose scale is 1, and what the extractor of the map's points is given, if it has any."""
        rgb = network_input(image, manifest.image_size)
        for_extractor = extractor_inputs(rgb, manifest.features) if manifest.features else {}
        return {grid_of(manifest).input_name: rgb, **for_extractor}

    def observe(self, inputs: Tensors, sessions: Sessions) -> Tensors:
        """What the network says, and the key points for guided matching, if the map has points."""
        network = sessions[NETWORK]
        found = network.run({name: inputs[name] for name in network.spec.inputs})
        if EXTRACTOR not in sessions and KEY_POINTS not in inputs:
            return found
        for_extractor = {name: value for name, value in inputs.items() if name in FOR_EXTRACTOR}
        return {**found, **extracted(for_extractor, sessions)}

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
        """`guided_correspondences`."""
        if landmark_map.points is None:
            return None
        with stopwatch.stage("guided_matching"):
            return guided_correspondences(estimate, observation, landmark_map, self.guided)


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
