"""The services of a map server, like those of Nav2's: load a map by its URI, list maps, say which one is served."""

from collections.abc import Callable
from contextlib import ExitStack
from pkgutil import resolve_name
from typing import Any

from nav_msgs.srv import LoadMap
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from vloc_ros.errors import ConfigError, ManifestError, MapError, NoMapError, VlocError
from vloc_ros.maps import Stored, StoredMap, read_stored
from vloc_ros.ros.node import VlocNode, resolve_map
from vloc_ros.ros.parameters import MapServerParameters


def load_map_type() -> Any:
    """Nav2's where it is installed, so that its tools can call us; else that of nav_msgs, with the same fields and
    codes."""
    try:
        return resolve_name("nav2_msgs.srv:LoadMap")
    except (ImportError, AttributeError):
        return LoadMap


CODES = (  # the first that an error is one of
    (NoMapError, LoadMap.Response.RESULT_MAP_DOES_NOT_EXIST),
    (ManifestError, LoadMap.Response.RESULT_INVALID_MAP_METADATA),
    (MapError, LoadMap.Response.RESULT_INVALID_MAP_DATA),
    (ConfigError, LoadMap.Response.RESULT_MAP_DOES_NOT_EXIST),  # no such package
)


def code_of(error: VlocError) -> int:
    """The result of LoadMap for a map that cannot be served."""
    return int(
        next((code for kind, code in CODES if isinstance(error, kind)), LoadMap.Response.RESULT_UNDEFINED_FAILURE)
    )


class MapServices:
    """`~/load_map`, `~/list_maps`, `~/current_map` and `~/reload`, for the time of `scope`."""

    def __init__(
        self,
        node: VlocNode[MapServerParameters],
        scope: ExitStack,
        load: Callable[[str], StoredMap],
        serve: Callable[[StoredMap], None],
        served: Callable[[], StoredMap],
    ) -> None:
        """`load` reads the map of a URI or raises VlocError; `serve` publishes one; `served` is the one that is."""
        self._node, self._load, self._serve, self._served = node, load, serve, served
        services: tuple[tuple[type[Any], str, Callable[[Any, Any], Any]], ...] = (
            (load_map_type(), "~/load_map", self._on_load_map),
            (Trigger, "~/list_maps", self._on_list_maps),
            (Trigger, "~/current_map", self._on_current_map),
            (Trigger, "~/reload", self._on_reload),
        )
        for kind, name, answer in services:
            scope.callback(node.destroy_service, node.create_service(kind, name, answer))

    def _on_load_map(self, request: LoadMap.Request, response: LoadMap.Response) -> LoadMap.Response:
        """As if the parameter `map` was set, which it is; the response has no grid."""
        response.result = LoadMap.Response.RESULT_UNDEFINED_FAILURE  # whatever happens below
        try:
            self._load(request.map_url)
        except VlocError as error:
            self._node.get_logger().error(f"load_map: {error}")
            response.result = code_of(error)
            return response
        (result,) = self._node.set_parameters([Parameter("map", value=request.map_url)])
        if result.successful:
            response.result = LoadMap.Response.RESULT_SUCCESS
        return response

    def _on_list_maps(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """A line a map."""
        parameters = self._node.parameters
        uris = dict.fromkeys(filter(None, (*parameters.maps, parameters.map)))
        response.success, response.message = True, "\n".join(map(self._described, uris))
        return response

    def _on_current_map(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = True, describe(self._node.parameters.first_map, self._served())
        return response

    def _on_reload(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        uri = self._node.parameters.first_map
        try:
            stored = self._load(uri)
            self._serve(stored)
            response.success, response.message = True, f"{uri}: map {stored.map_id}"
        except VlocError as error:
            response.success, response.message = False, str(error)
        return response

    def _described(self, uri: str) -> str:
        try:
            return describe(uri, read_stored(resolve_map(uri)))
        except VlocError as error:
            return f"{uri}: cannot be read: {error}"


def describe(uri: str, stored: Stored) -> str:
    """A map or a building in one line: its URI, its id, and its places with their frames."""
    manifest = stored.landmark_map.manifest
    places = ", ".join(f"{name} in {manifest.frame_to_publish(name)!r}" for name in manifest.place_names)
    return f"{uri}: map {stored.map_id}, {places}"
