"""A map or a building, ready to localize: what the nodes, the command line and the tests call."""

from collections.abc import Callable
from pathlib import Path

from vloc_ros.building import open_building
from vloc_ros.inference import DEFAULTS, SessionOptions
from vloc_ros.inference.backend import silent
from vloc_ros.map_localizer import Localizer as Localizer
from vloc_ros.map_localizer import open_map
from vloc_ros.map_localizer import preload as preload
from vloc_ros.maps import Stored, StoredMap, read_stored, require_signature


def load_localizer(
    map_dir: Path | str,
    options: SessionOptions = DEFAULTS,
    say: Callable[[str], None] = silent,
    public_key: Path | None = None,
) -> Localizer:
    """Read a map directory, or that of a building, and open its network; as `open_localizer`, and MapError for a map
    that cannot be read, or is not signed by the `public_key`, where one is given."""
    stored = read_stored(map_dir)
    if public_key is not None:
        require_signature(stored, str(map_dir), public_key)
    return open_localizer(stored, str(map_dir), options, say)


def open_localizer(
    stored: Stored, where: str, options: SessionOptions = DEFAULTS, say: Callable[[str], None] = silent
) -> Localizer:
    """Open the networks of a map, or of the first place of a building; `where` the map came from stands in front of
    messages.

    `options` and `say` as in `open_session`. Raises MapError for a map that cannot be used, ModelError for a network
    that does not do what the map says, ConfigError for options that cannot be had here.
    """
    if isinstance(stored, StoredMap):
        return open_map(stored, where, options, say)
    return open_building(stored, options, say)
