"""A map of several places on a robot: every place has a frame of its own."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2
from sensor_msgs_py import point_cloud2
from std_msgs.msg import String
from support.graph import LATCHED, Graph
from support.robot import ODOM_FRAME, Robot, matrix_of

from vloc_ros.core.manifest import places_apart
from vloc_ros.datasets import Frame
from vloc_ros.maps import read_map, write_map

PLACES = ("room", "attic")
OF_ATTIC = 3  # landmarks, those of the room that fewest images see


@pytest.fixture(scope="module")
def joined_map(shipped_map: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped map as one of two places, of which the second has hardly anything."""
    stored = read_map(shipped_map)
    room = stored.landmark_map
    places = np.zeros(len(room), np.int32)
    places[np.argsort(room.observations)[:OF_ATTIC]] = 1
    joined = replace(room, manifest=replace(room.manifest, places=places_apart(PLACES, "map")), places=places)
    directory = tmp_path_factory.mktemp("maps") / "joined"
    write_map(directory, joined, stored.networks, np.zeros((2, 2, 3), np.uint8))
    return directory


@pytest.mark.parametrize("at_start", [True, False])
def test_a_place_that_cannot_be_a_topic_is_one_line(
    graph: Graph, joined_map: Path, shipped_map: Path, tmp_path: Path, at_start: bool
) -> None:
    """A place may have 64 letters, a topic 247: in a namespace with a long name, that is too much together."""
    namespace = "/" + "n" * 180
    stored = read_map(joined_map)
    manifest = replace(stored.landmark_map.manifest, places=places_apart(("room", "a" * 64), "map"))
    landmarks = replace(stored.landmark_map, manifest=manifest)
    write_map(tmp_path / "map", landmarks, stored.networks, np.zeros((2, 2, 3), np.uint8))
    shown = tmp_path / "map" if at_start else shipped_map
    program = graph.start("map_server", "-r", f"__ns:={namespace}", map=shown)
    if at_start:
        graph.wait_for(lambda: program.lines("ERROR", "aaa", "topic"))
        assert graph.state(f"{namespace}/vloc_map_server") == "unconfigured"
        assert len(program.log.splitlines()) == 1
    else:
        refused = graph.set_parameter(f"{namespace}/vloc_map_server", "map", str(tmp_path / "map"))
        assert not refused.successful
        assert "topic" in refused.reason
        assert graph.parameter(f"{namespace}/vloc_map_server", "map") == str(shipped_map)
    program.stop()


def test_poses_are_in_the_frame_of_their_place(module_graph: Graph, joined_map: Path, frames: list[Frame]) -> None:
    module_graph.start("relocalizer", map=joined_map, threads=1, tf_timeout=5.0, lost_after=1000.0)
    robot = Robot(module_graph, frames)
    robot.mount_camera()
    robot.wait_for_relocalizer()
    with module_graph.listening_to_tf("map_room") as transforms:
        answer = robot.localize()
        module_graph.wait_for(lambda: transforms)
    late = module_graph.listen(String, "/relocalizer/place", LATCHED)
    module_graph.wait_for(lambda: late, "the place, which late subscribers get too")
    assert [message.data for message in late] == ["room"]
    assert answer["scene"] == answer["place"] == "room"
    assert answer["map_frame"] == "map_room"
    assert {t.child_frame_id for t in transforms} == {ODOM_FRAME}
    camera = robot.camera_pose_of(answer)
    assert camera.header.frame_id == robot.pose_of(answer).header.frame_id == "map_room"
    np.testing.assert_allclose(matrix_of(camera.pose)[:3, 3], frames[0].map_from_camera[:3, 3], atol=0.1)


def test_landmarks_are_published_by_place(module_graph: Graph, joined_map: Path, shipped_map: Path) -> None:
    module_graph.start("map_server", map=joined_map)
    clouds = {place: module_graph.listen(PointCloud2, f"/map/landmarks/{place}", LATCHED) for place in PLACES}
    module_graph.wait_for(lambda: all(clouds.values()))
    landmark_map = read_map(joined_map).landmark_map
    for place in PLACES:
        assert clouds[place][0].header.frame_id == f"map_{place}"
        np.testing.assert_array_equal(
            point_cloud2.read_points(clouds[place][0])["id"], landmark_map.of_place(place).ids
        )
    together = module_graph.listen(PointCloud2, "/map/landmarks", LATCHED)
    module_graph.wait_for(lambda: together)
    assert together[-1].width * together[-1].height == 0
    assert module_graph.set_parameter("/vloc_map_server", "map", str(shipped_map)).successful
    module_graph.wait_for(lambda: together[-1].width > 0)
    assert together[-1].header.frame_id == "map"
