"""map.yaml of older formats: what makes the next format of each, up to the present one."""

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from vloc_ros.core.manifest import NO_PLACE_NAME, PLACE_NAME, only_place, places_apart
from vloc_ros.core.model_spec import NETWORK, PRECISIONS, GridSpec
from vloc_ros.errors import ConfigError, MapError
from vloc_ros.maps.names import network_file
from vloc_ros.maps.nodes import build, plain, typed

Document: TypeAlias = Mapping[str, Any]

FORMAT_1_OUTPUTS = MappingProxyType(
    {
        "labels": "int32",
        "confidences": "float32",
        "votes": "float32[2]",
        "distances": "float32",
        "scales": "float32",
        "coordinates": "float32[3]",
        "regions": "int32",
    }
)
NEW_IN_4 = ("places", "image", "models")


def _from_format_1(document: Document, files: Collection[str]) -> dict[str, Any]:
    """Format 1 named the network's outputs without saying what they hold, and scenes only where there are several."""
    network = typed(document.get("network"), Mapping[str, Any], "network")
    names = typed(network.get("output_names"), tuple[str, ...], "network.output_names")
    if unknown := [name for name in names if name not in FORMAT_1_OUTPUTS]:
        raise MapError(f"network.output_names: format 1 has no output {unknown[0]!r}")
    kept = {key: value for key, value in network.items() if key != "output_names"}
    outputs = {name: FORMAT_1_OUTPUTS[name] for name in names}
    return {"scenes": [], **document, "network": {**kept, "outputs": outputs}}


def _from_format_2(document: Document, files: Collection[str]) -> dict[str, Any]:
    """Format 2 did not know how covariances grow away from the mapping views."""
    calibration = typed(document.get("calibration"), Mapping[str, Any], "calibration")
    return {**document, "calibration": {"away_scale": 0.0, **calibration}}


def _from_format_3(document: Document, files: Collection[str]) -> dict[str, Any]:
    """Format 3 had one network, which fills a grid of cells; its places were called scenes, and one had no name."""
    for key in ("network", "scenes", "frame_id"):
        if key not in document:
            raise MapError(f"{key} is missing")
    if newer := [key for key in NEW_IN_4 if key in document]:
        raise MapError(f"{newer[0]} is no key of this format, it came with format 4")
    grid = build(GridSpec, document["network"], "network")
    frame_id = typed(document["frame_id"], str, "frame_id")
    names = typed(document["scenes"], tuple[str, ...], "scenes")
    if odd := [name for name in names if not PLACE_NAME.fullmatch(name)]:
        raise MapError(f"scenes: {odd[0]!r} {NO_PLACE_NAME}")
    if len(set(names)) != len(names):
        raise MapError(f"scenes: {list(names)} must be named once each")
    try:
        places = places_apart(names, frame_id) or (only_place(frame_id),)
    except ConfigError as error:
        raise MapError(str(error)) from error
    others = {p: network_file(NETWORK, p) for p in PRECISIONS if network_file(NETWORK, p) in files}
    model = {
        "files": others,
        "inputs": {name: str(tensor) for name, tensor in grid.model.inputs.items()},
        "outputs": {name: str(tensor) for name, tensor in grid.model.outputs.items()},
    }
    return {
        **{key: value for key, value in document.items() if key not in ("network", "scenes")},
        "places": plain(places, "places"),
        "image": {"width": grid.width, "height": grid.height},
        "models": {NETWORK: model},
    }


UPGRADES: Mapping[int, Callable[[Document, Collection[str]], dict[str, Any]]] = MappingProxyType(
    {1: _from_format_1, 2: _from_format_2, 3: _from_format_3}
)
