"""A map, its method and its network, ready to localize: what the nodes, the command line and the tests call."""

from dataclasses import dataclass
from pathlib import Path

from vloc_ros.core.pipeline import Method, Session, localize
from vloc_ros.core.types import CameraImage, LandmarkMap, PoseEstimate, Rejection
from vloc_ros.errors import ConfigError, MapError, ModelError
from vloc_ros.inference import open_session
from vloc_ros.maps import read_map
from vloc_ros.methods import get_method


@dataclass(frozen=True, eq=False)
class Localizer:
    """Everything that `localize` needs but the image. `map_id` is empty for a map that was never on a disk."""

    landmark_map: LandmarkMap
    method: Method
    session: Session
    map_id: str = ""

    def localize(self, image: CameraImage) -> PoseEstimate | Rejection:
        """Where the image was taken, in the frame of the map, or why that cannot be said; errors as `localize`."""
        return localize(image, self.landmark_map, self.method, self.session)


def load_localizer(map_dir: Path | str, backend: str = "auto", threads: int = 0) -> Localizer:
    """Read a map directory and open its network.

    `backend` and `threads` as in `open_session`. Raises MapError for a map that cannot be used, ModelError for a
    network that does not do what the map says, ConfigError for a backend that does not exist or is not installed.
    """
    stored = read_map(map_dir)
    manifest = stored.landmark_map.manifest
    try:
        method = get_method(manifest.method)
    except ConfigError as error:
        raise MapError(f"{map_dir}: {error}") from error
    try:
        session = open_session(stored.network, manifest.network, backend, threads)
    except ModelError as error:
        raise ModelError(f"{map_dir}: {error}") from error
    return Localizer(stored.landmark_map, method, session, stored.map_id)
