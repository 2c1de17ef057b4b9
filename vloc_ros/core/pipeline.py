"""One image in, one pose or one reason why not out."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.calibration import calibrated
from vloc_ros.core.gate import gate
from vloc_ros.core.manifest import NetworkSpec
from vloc_ros.core.pnp import solve_pnp
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.types import CameraImage, Correspondences, LandmarkMap, PoseEstimate, Rejection


class Session(Protocol):
    """A network that is ready to run."""

    @property
    def spec(self) -> NetworkSpec: ...

    def run(self, image: NDArray[np.uint8]) -> Mapping[str, NDArray[Any]]:
        """Outputs by name, without batch axis, of an RGB image (spec.height, spec.width, 3)."""
        ...


class Method(Protocol):
    """What a localization method has to offer: from an image to correspondences with the map."""

    def correspond(
        self, image: CameraImage, landmark_map: LandmarkMap, session: Session, stopwatch: Stopwatch
    ) -> Correspondences:
        """Pixels are those of the undistorted image of `image.camera`. Times its stages on `stopwatch`."""
        ...


def localize(
    image: CameraImage, landmark_map: LandmarkMap, method: Method, session: Session
) -> PoseEstimate | Rejection:
    """Where the image was taken, in the frame of the map, or why that cannot be said.

    `timings_ms` of the result: the method's stages (vsnet: preprocess, network, voting), pnp, and total.
    Raises ConfigError for an image that does not suit the map, ModelError for a network that does not.
    """
    stopwatch = Stopwatch()
    with stopwatch.stage("total"):
        correspondences = method.correspond(image, landmark_map, session, stopwatch)
        with stopwatch.stage("pnp"):
            result = solve_pnp(correspondences, image.camera.undistorted())
            if isinstance(result, PoseEstimate):
                manifest = landmark_map.manifest
                result = gate(calibrated(result, manifest.calibration), manifest.gate)
    return replace(result, timings_ms=MappingProxyType(stopwatch.timings_ms))
