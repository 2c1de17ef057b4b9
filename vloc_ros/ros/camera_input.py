"""The camera's topics, and what there is to say of one on which nothing comes."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.qos import QoSCompatibility, QoSProfile, ReliabilityPolicy, qos_check_compatible, qos_profile_sensor_data
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from vloc_ros.errors import printable
from vloc_ros.ros.node import VlocNode
from vloc_ros.ros.parameters import COMPRESSED, RelocalizerParameters

NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
PATIENCE_S, AFTER_MESSAGES_S, AGAIN_AFTER_S = 5.0, 30.0, 60.0  # of silence, before it is told
TYPES = {kind: f"sensor_msgs/msg/{kind.__name__}" for kind in (Image, CompressedImage, CameraInfo)}
OTHERS_NAMED = 3
ONLY_CAMERA = ("",)


class CameraInput:
    """Subscriptions to `image` and `camera_info`, or those of each of `cameras`, for the time of `scope`. A topic
    without messages is told in the log: the robot does not move for want of something, and whoever looks should read
    there what that is."""

    def __init__(
        self,
        node: VlocNode[RelocalizerParameters],
        scope: ExitStack,
        take_image: Callable[[str, Image | CompressedImage], None],
        take_info: Callable[[str, CameraInfo], None],
    ) -> None:
        """What is taken comes with the name of its camera, "" of the only one."""
        self._node = node
        self._tell_s: dict[str, float] = {}  # when to tell of the silence of each topic
        self._subscriptions = [
            subscription
            for camera in node.parameters.cameras or ONLY_CAMERA
            for subscription in self._subscribe_to(
                camera, scope, partial(take_image, camera), partial(take_info, camera)
            )
        ]
        watch = node.create_timer(1.0, self._watch, clock=Clock(clock_type=ClockType.STEADY_TIME))
        scope.callback(node.destroy_timer, watch)

    def _subscribe_to(
        self,
        camera: str,
        scope: ExitStack,
        take_image: Callable[[Image | CompressedImage], None],
        take_info: Callable[[CameraInfo], None],
    ) -> tuple[Subscription, Subscription]:
        transport = self._node.parameters.image_transport
        image_type = CompressedImage if transport == COMPRESSED else Image
        image = image_topic(self._node.resolve_topic_name(topic_of(camera, "image")), transport)
        return (  # of what came together, an executor takes this first: an image needs its own calibration
            self._subscribe(scope, CameraInfo, topic_of(camera, "camera_info"), qos_profile_sensor_data, take_info),
            self._subscribe(scope, image_type, image, NEWEST, take_image),
        )

    def _subscribe(
        self, scope: ExitStack, kind: type[Any], topic: str, qos: QoSProfile, take: Callable[[Any], None]
    ) -> Subscription:
        subscription = self._node.create_subscription(kind, topic, partial(self._received, topic, take), qos)
        scope.callback(self._node.destroy_subscription, subscription)
        self._tell_s[topic] = time.monotonic() + PATIENCE_S
        return subscription

    def _received(self, topic: str, take: Callable[[Any], None], message: Any) -> None:
        self._tell_s[topic] = time.monotonic() + AFTER_MESSAGES_S
        take(message)

    def _watch(self) -> None:
        now_s = time.monotonic()
        for topic, subscription in zip(self._tell_s, self._subscriptions, strict=True):
            if now_s >= self._tell_s[topic]:
                self._tell_s[topic] = now_s + AGAIN_AFTER_S
                self._node.get_logger().warning(printable(self._silence(subscription)))

    def _silence(self, subscription: Subscription) -> str:
        name, kind = subscription.topic_name, TYPES[subscription.msg_type]
        own = f"{self._node.get_fully_qualified_name()}/"  # the debug image
        there = self._node.get_topic_names_and_types()
        others = [topic for topic, kinds in there if kind in kinds and topic != name and not topic.startswith(own)]
        publishers = self._node.get_publishers_info_by_topic(name)
        return silence(name, kind, subscription.qos_profile, publishers, others)


def topic_of(camera: str, name: str) -> str:
    """What a topic of one of several cameras is called; those of the only one, "", have no namespace."""
    return f"{camera}/{name}" if camera else name


def image_topic(topic: str, image_transport: str) -> str:
    """Where images of a transport are, as image_transport has it: a camera that publishes on `image_raw` publishes
    compressed ones on `image_raw/compressed`. A name that ends so already stays."""
    suffix = f"/{COMPRESSED}"
    return topic + suffix if image_transport == COMPRESSED and not topic.endswith(suffix) else topic


def silence(
    topic: str, kind: str, qos: QoSProfile, publishers: Sequence[TopicEndpointInfo], others: Sequence[str]
) -> str:
    """One line on why nothing comes on a topic. `others`: the topics that do have messages of this type."""
    what = f"nothing comes on {topic} ({kind})"
    if not publishers:
        named = ", ".join(sorted(others)[:OTHERS_NAMED])
        return f"{what}: nobody publishes it" + (f"; of this type there is {named}" if named else "")
    if wrong := [p for p in publishers if p.topic_type != kind]:
        advice = f"; is image_transport right, and {topic}?"
        return f"{what}: {_name(wrong[0])} publishes {wrong[0].topic_type} there{advice}"
    for publisher in publishers:
        compatible, reason = qos_check_compatible(publisher.qos_profile, qos)
        if compatible == QoSCompatibility.ERROR:
            return f"{what}: the QoS of {_name(publisher)} does not go with it: {reason}"
    return (
        f"{what}: {_name(publishers[0])} publishes it, but no message arrives; "
        'see "Images get lost" in docs/ros.md if that one does send'
    )


def _name(publisher: TopicEndpointInfo) -> str:
    return f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name}"
