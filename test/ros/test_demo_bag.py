"""What the demo publishes of a bag."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
from rclpy.qos import DurabilityPolicy

from vloc_ros.bags import messages
from vloc_ros.bags.camera_topics import choose_camera
from vloc_ros.bags.reader import CAMERA_INFO, RAW_IMAGE, TF, open_bag
from vloc_ros.bags.writer import open_writer
from vloc_ros.demo.bag import BagPlayer
from vloc_ros.geometry.camera import Camera


class FakeNode:
    """Remembers which topics it publishes."""

    def __init__(self) -> None:
        self.topics: dict[str, DurabilityPolicy] = {}

    def create_publisher(self, _: object, topic: str, qos: object) -> SimpleNamespace:
        self.topics[topic] = getattr(qos, "durability", DurabilityPolicy.VOLATILE)
        return SimpleNamespace(publish=lambda _: None)

    def set_parameters(self, _: object) -> None:
        """The clock is of no matter here."""


def test_the_cameras_tf_is_played_where_nodes_listen_for_it(tmp_path: Path) -> None:
    camera = Camera(16, 12, 20.0, 20.0, 7.5, 5.5)
    link = messages.transforms(messages.transform(0, "base_link", "c", np.eye(4)))
    with open_writer(tmp_path / "bag") as bag:
        for robot in ("/robot1", "/robot2"):
            bag.write(f"{robot}/tf_static", TF, 1, link)
            bag.write(f"{robot}/tf", TF, 2, link)
        bag.write("/robot1/camera_info", CAMERA_INFO, 3, messages.camera_info(3, "c", camera))
        bag.write("/robot1/image", RAW_IMAGE, 4, messages.image(3, "c", np.zeros((12, 16, 3), np.uint8)))
    with open_bag(tmp_path / "bag") as bag_read:
        node, chosen = FakeNode(), choose_camera(bag_read)
        player = BagPlayer(node, bag_read, chosen)
        assert set(node.topics) == {"/clock", "/robot1/image", "/robot1/camera_info", "/tf", "/tf_static"}
        assert node.topics["/tf_static"] is DurabilityPolicy.TRANSIENT_LOCAL
        assert node.topics["/tf"] is DurabilityPolicy.VOLATILE
        assert player.base_frame == "base_link"
        assert [image.stamp_ns for image in player.play()] == [3]
