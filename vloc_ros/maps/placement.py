"""Stores where a place of a map lies in the map's own frame."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vloc_ros.core.manifest import Manifest
from vloc_ros.errors import MapError
from vloc_ros.geometry.transforms import Matrix, pose_vector
from vloc_ros.maps.manifest_yaml import FORMAT_VERSION
from vloc_ros.maps.names import MANIFEST_FILE
from vloc_ros.maps.reader import StoredMap, read_map
from vloc_ros.maps.writer import sealed, write_files

ALIGNMENT = "alignment"  # key in Manifest.accuracy: summaries by the place's name
OWN_FRAME = "{}_visual"


def place_map(
    directory: Path, place: str | None, frame_id: str, map_from_place: Matrix, summary: Mapping[str, Any]
) -> StoredMap:
    """Write the map in its place, all at once, with `map_from_place` (4, 4) in the frame `frame_id`, which becomes the
    map's own, and with a summary of the fit. Gives the map as it then is; its id is another.

    A place whose own frame was called `frame_id` is called FRAME_visual from then on: it is another frame now. Raises
    MapError for a map of an older format, or where another place is known in another frame.
    """
    before = read_map(directory)
    if before.format_version != FORMAT_VERSION:
        raise MapError(f"{directory}: is of format {before.format_version}: `vloc upgrade` makes it {FORMAT_VERSION}")
    manifest = placed(before.landmark_map.manifest, place, frame_id, map_from_place, summary)
    contents = {name: content for name, content in before.files.items() if name != MANIFEST_FILE}
    write_files(Path(os.path.realpath(directory)), sealed(manifest, contents))
    return read_map(directory)


def placed(
    manifest: Manifest, place: str | None, frame_id: str, map_from_place: Matrix, summary: Mapping[str, Any]
) -> Manifest:
    """The manifest that says so. Raises MapError, and ConfigError for a frame or a place that cannot be."""
    index = manifest.require_index(place)
    others = [p for i, p in enumerate(manifest.places) if i != index and p.map_from_place is not None]
    if others and frame_id != manifest.frame_id:
        raise MapError(
            f"place {others[0].name!r} lies in the frame {manifest.frame_id!r} already: align to poses in that frame, "
            f"not in {frame_id!r}"
        )
    old = manifest.places[index]
    own = OWN_FRAME.format(frame_id) if old.frame_id == frame_id else old.frame_id
    new = replace(old, frame_id=own, map_from_place=tuple(pose_vector(map_from_place).tolist()))
    summaries = {**manifest.accuracy.get(ALIGNMENT, {}), old.name: dict(summary)}
    return replace(
        manifest,
        frame_id=frame_id,
        places=tuple(new if i == index else each for i, each in enumerate(manifest.places)),
        accuracy={**manifest.accuracy, ALIGNMENT: summaries},
    )
