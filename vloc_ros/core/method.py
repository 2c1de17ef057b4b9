"""The contract of a localization method: from the views of a query to correspondences with the map.

`core.pipeline` calls the parts in this order: prepare, observe, propose, and refine where a pose was found; the same
again in the next of the method's scales where no pose is believed. Methods never see how a pose is solved, nor whether
it is believed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.manifest import Manifest
from vloc_ros.core.query import Query
from vloc_ros.core.session import Sessions, Tensors
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.types import CameraImage, LandmarkMap, PoseEstimate
from vloc_ros.core.visualization import Visualization
from vloc_ros.geometry.pnp import PnpSettings


@dataclass(frozen=True, eq=False)
class Observation:
    """What a method saw: `tensors` by name, without batch axis, of each of the query's views in order. `derived`: what
    the method has made of them, by name, for its later stages."""

    query: Query
    tensors: tuple[Tensors, ...]
    derived: dict[str, Any] = field(default_factory=dict)


class Method(Protocol):
    """What a localization method has to offer."""

    @property
    def pnp(self) -> PnpSettings:
        """How a pose is found in its correspondences."""
        ...

    @property
    def scales(self) -> Sequence[float]:
        """Those of `View.scale` in which an image is looked at: the first one is 1, the next one is for images of which
        the one before gave no pose that is believed."""
        ...

    def preload(self) -> None:
        """Load what it will need, whatever the map: compiled code, which takes a while."""
        ...

    def check(self, landmark_map: LandmarkMap) -> None:
        """Raise ConfigError, without the method's name, unless the map has the models that it needs, and what else."""
        ...

    def prepare(self, image: CameraImage, manifest: Manifest, scale: float) -> Tensors:
        """What the map's models are given of one image in one of the scales, without batch axis. Raises ConfigError for
        an image that does not suit. Called in any thread, for many images at once."""
        ...

    def observe(self, inputs: Tensors, sessions: Sessions) -> Tensors:
        """What the models say of what `prepare` made, all with a leading batch axis: views of one query or of several,
        as many as the sessions take."""
        ...

    def propose(
        self, observation: Observation, landmark_map: LandmarkMap, stopwatch: Stopwatch
    ) -> Iterable[Correspondences]:
        """Correspondences that may be those of the query's pose, the likeliest first; the first that gives a pose which
        passes the gate is taken, and no others are asked for. A dense method has one proposal. It may narrow its search
        by `observation.query.prior`. Times its stages on `stopwatch`. Raises ModelError for tensors that are not what
        the map promises."""
        ...

    def refine(
        self, estimate: PoseEstimate, observation: Observation, landmark_map: LandmarkMap, stopwatch: Stopwatch
    ) -> Correspondences | None:
        """All correspondences that the map's points have near this pose, by guided matching: the pose is refined over
        them, but it is believed only for those of the proposal. Asked again with the refined pose. None, of a map
        without points, leaves the pose as it is."""
        ...

    def visualize(self, tensors: Tensors, image: CameraImage, landmark_map: LandmarkMap) -> Visualization:
        """What can be drawn of a view's tensors."""
        ...
