"""What the demo publishes of a bag."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
from rclpy.qos import DurabilityPolicy

from vloc_ros.bags import messages
from vloc_ros.bags.camera_topics import choose_camera, choose_rig, name_of
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
        player = BagPlayer(node, bag_read, {"": chosen})
        assert set(node.topics) == {"/clock", "/robot1/image", "/robot1/camera_info", "/tf", "/tf_static"}
        assert node.topics["/tf_static"] is DurabilityPolicy.TRANSIENT_LOCAL
        assert node.topics["/tf"] is DurabilityPolicy.VOLATILE
        assert player.base_frame == "base_link"
        assert [image.stamp_ns for image in player.play()] == [3]


def test_several_cameras_of_a_bag_are_played_and_given_names(tmp_path: Path) -> None:
    camera = Camera(16, 12, 20.0, 20.0, 7.5, 5.5)
    with open_writer(tmp_path / "bag") as bag:
        mountings = [messages.transform(0, "base_link", f"c{k}", np.eye(4)) for k in range(2)]
        bag.write("/tf_static", TF, 1, messages.transforms(*mountings))
        for k, name in enumerate(("/robot/front", "/robot/left")):
            bag.write(f"{name}/camera_info", CAMERA_INFO, 3, messages.camera_info(3, f"c{k}", camera))
            image = messages.image(3, f"c{k}", np.zeros((12, 16, 3), np.uint8))
            bag.write(f"{name}/image_raw", RAW_IMAGE, 4, image)
    with open_bag(tmp_path / "bag") as bag_read:
        chosen = choose_rig(bag_read, ("/robot/front", "/robot/left"))
        cameras = {name_of(name): topics for name, topics in chosen.items()}
        player = BagPlayer(FakeNode(), bag_read, cameras)
        words = player.relocalizer_arguments
        assert "cameras:=[robot_front, robot_left]" in words
        assert "robot_front/image:=/robot/front/image_raw" in words
        assert "robot_left/camera_info:=/robot/left/camera_info" in words
        assert [image.stamp_ns for image in player.play()] == [3], "one of each moment is waited for"
