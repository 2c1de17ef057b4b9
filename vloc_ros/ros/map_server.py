"""The node that serves a map to everybody on the network."""

from collections.abc import Callable
from contextlib import ExitStack

from rclpy.expand_topic_name import expand_topic_name
from rclpy.validate_full_topic_name import validate_full_topic_name
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String, UInt8MultiArray

from vloc_ros.core.manifest import Manifest
from vloc_ros.core.places import map_from_place
from vloc_ros.core.types import LandmarkMap
from vloc_ros.errors import ConfigError, MapError, reason_of
from vloc_ros.geometry.transforms import apply
from vloc_ros.maps import StoredBuilding, StoredMap, pack_map
from vloc_ros.maps.names import MANIFEST_FILE, PLACES
from vloc_ros.ros.conversions import header, to_bytes_message, to_cloud
from vloc_ros.ros.map_services import MapServices
from vloc_ros.ros.node import LATCHED, VlocNode, read_signed
from vloc_ros.ros.parameters import MapServerParameters

LANDMARKS_OF = "map/landmarks/{}"


def _apart(manifest: Manifest) -> tuple[str, ...]:
    """The places whose landmarks have topics of their own: all, or none where there is one."""
    return manifest.place_names if len(manifest.places) > 1 else ()


class MapTopics:
    """The publishers of a map, for the time of `scope`."""

    def __init__(self, node: VlocNode[MapServerParameters], scope: ExitStack) -> None:
        self._node = node
        self._manifest = node.publisher(scope, String, "map/manifest", LATCHED)
        self._landmarks = node.publisher(scope, PointCloud2, "map/landmarks", LATCHED)
        self._of_places = scope.enter_context(ExitStack())  # the publishers that only the present map needs
        self._data = node.publisher(scope, UInt8MultiArray, "map/data", LATCHED)

    def publish(self, stored: StoredMap) -> None:
        """All of it."""
        self._manifest.publish(String(data=stored.files[MANIFEST_FILE].decode()))
        self._publish_landmarks(stored.landmark_map)
        self._data.publish(to_bytes_message(pack_map(stored)))

    def _publish_landmarks(self, landmark_map: LandmarkMap) -> None:
        now_ns, manifest = self._node.now_ns(), landmark_map.manifest
        self._of_places.close()
        for place in _apart(manifest):
            publisher = self._node.create_publisher(PointCloud2, LANDMARKS_OF.format(place), LATCHED)
            self._of_places.callback(self._node.destroy_publisher, publisher)
            publisher.publish(_landmarks_of(landmark_map, place, now_ns))
        none = to_cloud(header(now_ns, manifest.frame_id), landmark_map.positions[:0], landmark_map.ids[:0])
        self._landmarks.publish(none if _apart(manifest) else _landmarks_of(landmark_map, None, now_ns))


def _landmarks_of(landmark_map: LandmarkMap, place: str | None, now_ns: int) -> PointCloud2:
    """The landmarks of a place, in the frame that poses of it are published in."""
    part, moved = landmark_map.of_place(place), map_from_place(landmark_map.manifest, place)
    positions = part.positions if moved is None else apply(moved, part.positions)
    return to_cloud(header(now_ns, landmark_map.manifest.frame_to_publish(place)), positions, part.ids)


class MapServer(VlocNode[MapServerParameters]):
    """Publishes `map/manifest`, `map/landmarks` and `map/data`, each reliable and transient local; the landmarks of a
    map of several places on `map/landmarks/PLACE`, each in its place's frame, and none on `map/landmarks`.

    Setting the parameter `map` loads that map, or is refused with the reason and the old map stays.
    """

    def __init__(self) -> None:
        super().__init__("vloc_map_server", MapServerParameters)  # Nav2 has a map_server
        self._read: tuple[str, StoredMap] | None = None  # the last one that was read, and its URI, until it is served
        self._served: tuple[StoredMap, MapTopics] | None = None  # while the node is configured
        self._take: Callable[[tuple[StoredMap, str]], None] | None = None

    @property
    def handed(self) -> tuple[StoredMap, str] | None:
        """The map that is served and its URI, for a relocalizer in the same process; None while there is none."""
        return (self._served[0], self.parameters.first_map) if self._served and self.is_active else None

    def hand_to(self, take: Callable[[tuple[StoredMap, str]], None]) -> None:
        """Give each map that is served from now on to somebody in the same process, too."""
        self._take = take

    def configure(self, scope: ExitStack) -> None:
        self._served = self._load(self.parameters.first_map), MapTopics(self, scope)
        scope.callback(setattr, self, "_served", None)
        MapServices(self, scope, self._load, self._publish, self._current)

    def activate(self, scope: ExitStack) -> None:
        self._publish(self._current())

    def check_parameters(self, wanted: MapServerParameters) -> None:
        if wanted.first_map != self.parameters.first_map and (self._read is None or self._read[0] != wanted.first_map):
            self._load(wanted.first_map, wanted.accept_unknown_scale)

    def apply_parameters(self, old: MapServerParameters) -> None:
        if self._read is not None and self._read[0] == self.parameters.first_map:
            self._publish(self._read[1])
        self._read = None

    def _current(self) -> StoredMap:
        assert self._served is not None
        return self._served[0]

    def _load(self, uri: str, accept_unknown_scale: bool | None = None) -> StoredMap:
        """The map of a URI, and whether one in no unit is accepted: as the parameter says, if that is not given."""
        if not uri:
            raise ConfigError("parameter map is empty: give it a map directory, as `vloc map` writes it")
        stored = read_signed(uri, self.parameters.require_signature)
        if isinstance(stored, StoredBuilding):
            raise MapError(
                f"{uri}: is a building, and a map server sends one map: give this directory to the relocalizer, as its "
                f"parameter map, or serve one of {uri}/{PLACES}"
            )
        accept = self.parameters.accept_unknown_scale if accept_unknown_scale is None else accept_unknown_scale
        stored.landmark_map.manifest.require_scale(uri, accept)
        for place in _apart(stored.landmark_map.manifest):
            try:
                topic = expand_topic_name(LANDMARKS_OF.format(place), self.get_name(), self.get_namespace())
                validate_full_topic_name(topic)
            except Exception as error:  # of several kinds
                raise MapError(
                    f"{uri}: place {place!r} cannot be part of a topic's name: {reason_of(error)}"
                ) from error
        self._read = uri, stored
        return stored

    def _publish(self, stored: StoredMap) -> None:
        assert self._served is not None
        landmarks, topics = stored.landmark_map, self._served[1]
        self._served = stored, topics
        topics.publish(stored)
        if self._take is not None:
            self._take((stored, self.parameters.first_map))
        frames = ", ".join(repr(frame) for frame in landmarks.manifest.frames)
        self.get_logger().info(
            f"{self.parameters.first_map}: map {stored.map_id}, {len(landmarks)} landmarks in {frames}, "
            f"{stored.size_bytes / 1e6:.1f} MB"
        )
