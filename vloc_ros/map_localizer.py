"""A map, its method and its networks, ready to localize; see `localizer.py` for how to get one."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.manifest import GateThresholds
from vloc_ros.core.method import Method, Observation
from vloc_ros.core.pipeline import localize, localize_all, observe_all, prepare_all
from vloc_ros.core.pnp import solve_pnp
from vloc_ros.core.query import Query, as_query
from vloc_ros.core.session import Sessions, max_batch_of
from vloc_ros.core.types import CameraImage, LandmarkMap, PoseEstimate, Rejection
from vloc_ros.core.visibility import visible_points
from vloc_ros.errors import ConfigError, MapError, ModelError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.rig import RigCamera
from vloc_ros.inference import DEFAULTS, SessionOptions, open_sessions
from vloc_ros.inference.backend import silent
from vloc_ros.maps import StoredMap
from vloc_ros.methods import METHODS, get_method


@dataclass(frozen=True, eq=False)
class Localizer:
    """Everything that `localize` needs but the query. `map_id` is empty for a map that was never on a disk;
    `thresholds`: the gate's, instead of the map's own; they are checked when they are made, not for every image."""

    landmark_map: LandmarkMap
    method: Method
    sessions: Sessions
    map_id: str = ""
    thresholds: GateThresholds | None = None

    @property
    def gate(self) -> GateThresholds:
        """What a pose has to pass."""
        return self.thresholds or self.landmark_map.manifest.gate

    def gated(self, *, min_agreement: float = 0.0, **thresholds: Any) -> "Localizer":
        """The same with some of the map's thresholds replaced. `min_agreement`: of a building, whose places have
        surfaces to agree with. Raises ConfigError for those that make no sense."""
        if not 0 <= min_agreement <= 1:
            raise ConfigError(f"gate: min_agreement is {min_agreement}, must be 0 to 1")
        own = self.landmark_map.manifest.gate
        return replace(self, thresholds=_replaced(own, tuple(thresholds.items()))) if thresholds else self

    def localize(self, asked: Query | CameraImage) -> PoseEstimate | Rejection:
        """Where the image or the rig was, in the frame of the map, or why that cannot be said; errors as `localize`."""
        return localize(as_query(asked), self.landmark_map, self.method, self.sessions, self.gate)

    def localize_all(self, asked: Iterable[Query | CameraImage]) -> Iterator[PoseEstimate | Rejection]:
        """The same of each in order, as many at once as the sessions take: for throughput, not for latency."""
        return localize_all(map(as_query, asked), self.landmark_map, self.method, self.sessions, self.gate)

    def observe(self, asked: Query | CameraImage) -> Observation:
        """What the method sees in the views, as `localize` does."""
        query, inputs = prepare_all(as_query(asked), self.method, self.landmark_map.manifest)
        return Observation(query, tuple(observe_all(inputs, self.method, self.sessions)))

    def of_place(self, place: str | None) -> "Localizer":
        """Who knows the points of a result's place: itself."""
        return self

    def keep_open(self, most: int | None) -> None:
        """Of a building: the maps of how many places stay in memory. This is one map."""

    @property
    def max_batch(self) -> int:
        """How many images the sessions take at once."""
        return max_batch_of(self.sessions)

    @property
    def backend(self) -> str:
        """What runs the networks, for people to read."""
        return ", ".join(dict.fromkeys(session.backend for session in self.sessions.values()))

    def warm_up(self) -> None:
        """Go through every stage once, so that the first image is as fast as the others."""
        preload(self.method)
        width, height = self.landmark_map.manifest.image_size
        camera = Camera(width, height, width, width, width / 2, height / 2)
        if (points := self.landmark_map.points) is not None:
            visible_points(points, 0, RigCamera(camera), np.eye(4))  # which a pose is needed for otherwise
        self.localize(CameraImage(np.zeros((height, width, 3), dtype=np.uint8), camera))


@lru_cache(maxsize=16)  # asked for with every image, and checked once
def _replaced(thresholds: GateThresholds, changes: tuple[tuple[str, Any], ...]) -> GateThresholds:
    return replace(thresholds, **dict(changes))


def preload(method: Method | None = None) -> None:
    """Load, or compile where that has never been done, what a method needs, by default every method; and PnP.

    Takes a second or two the first time: worth beginning in a thread of its own while a map is still awaited.
    """
    for each in (get_method(name) for name in METHODS) if method is None else (method,):
        each.preload()
    camera = Camera(640, 480, 525.0, 525.0, 320.0, 240.0)
    points = np.random.default_rng(0).uniform((-1, -1, 2), (1, 1, 4), (32, 3))
    pixels, _ = camera.project(points)
    found = Correspondences(pixels, points, np.ones(len(points)), np.arange(len(points), dtype=np.int32))
    solve_pnp(found, (RigCamera(camera),))


def open_map(
    stored: StoredMap, where: str, options: SessionOptions = DEFAULTS, say: Callable[[str], None] = silent
) -> Localizer:
    """Open the network of a map; `where` the map came from stands in front of messages.

    `options` and `say` as in `open_session`. Raises MapError for a map that cannot be used, ModelError for a network
    that does not do what the map says, ConfigError for options that cannot be had here.
    """
    manifest = stored.landmark_map.manifest
    try:
        method = get_method(manifest.method)
    except ConfigError as error:
        raise MapError(f"{where}: {error}") from error
    try:
        method.check(stored.landmark_map)
    except ConfigError as error:
        raise MapError(f"{where}: method {manifest.method!r} {error}") from error
    try:
        sessions = open_sessions(stored.networks, manifest.models, options, say)
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from error
    return Localizer(stored.landmark_map, method, sessions, stored.map_id)
