"""TF of bags: whose it is where there are several robots, and that nothing beside the chain matters, as in tf2."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from support.bag_scenes import CAMERA_FRAME, IMAGES, evaluated, knowing, place, stamp, worst_m, write_tf, write_view

from vloc_ros.bags import messages
from vloc_ros.bags.options import BagOptions, GroundTruthOptions
from vloc_ros.bags.reader import TF, open_bag
from vloc_ros.bags.tf import read_transforms
from vloc_ros.bags.tf_topics import choose_tf
from vloc_ros.bags.writer import BagWriter, open_writer
from vloc_ros.cli import main
from vloc_ros.datasets.bag_frames import bag_frames
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.transforms import from_quaternion, invert

BASE_FROM_CAMERA = from_quaternion((0.5, -0.5, 0.5, -0.5), (0.2, 0.0, 0.4))
ASIDE = from_quaternion((0, 0, 0, 1), (3.0, 0.0, 0.0))
ROBOTS = {"/robot1": np.eye(4), "/robot2": ASIDE}  # where each is, as seen from the camera's


def write_robot(bag: BagWriter, prefix: str, moved: np.ndarray, late: float = 0.0) -> None:
    """A robot's TF: base on its camera's path, moved aside."""
    write_tf(bag, 0, "base", CAMERA_FRAME, BASE_FROM_CAMERA, f"{prefix}/tf_static")
    for index in range(IMAGES):
        base = moved @ place(stamp(index + late)) @ invert(BASE_FROM_CAMERA)
        write_tf(bag, index + late, "map", "base", base, f"{prefix}/tf")


def write_scene(path: Path, robots: Iterable[str], namespace: str, late: float = 0.0) -> Path:
    """Images in a namespace, and robots with TF topics of their own but the same frame names."""
    with open_writer(path) as bag:
        for index in range(IMAGES):
            write_view(bag, index, namespace=namespace)
        for robot in robots:
            write_robot(bag, robot, ROBOTS.get(robot, np.eye(4)), late if robot == "/robot2" else 0.0)
    return path


@pytest.mark.parametrize("late", [0.0, 0.07, 0.3])
@pytest.mark.parametrize("namespace", ["/robot1", "/robot1/front"])
def test_the_trees_of_two_robots_are_never_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, namespace: str, late: float
) -> None:
    path = write_scene(tmp_path / "bag", ROBOTS, namespace, late)
    evaluation = evaluated(knowing(monkeypatch), path, source="tf")
    assert len(evaluation.records) == IMAGES
    assert worst_m(evaluation) < 1e-9
    assert evaluation.source["truth"]["tf_topics"] == ["/robot1/tf", "/robot1/tf_static"]
    other = evaluated(
        knowing(monkeypatch, lambda s: ASIDE @ place(s)),
        path,
        source="tf",
        tf_topics=["/robot2/tf", "/robot2/tf_static"],
    )
    assert worst_m(other) < 0.03  # not 3 m: the other robot's transforms come between the images


def test_tf_of_the_whole_system_serves_cameras_in_namespaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_scene(tmp_path / "bag", ["", "/robot2"], "/robot1/front")
    assert worst_m(evaluated(knowing(monkeypatch), path, source="tf")) < 1e-9


@pytest.mark.parametrize("robots", [["/robot1", "/robot2"], ["/robot2"]])
def test_tf_of_other_namespaces_is_a_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, robots: list[str]) -> None:
    path = write_scene(tmp_path / "bag", robots, "/camera")
    words = r"no TF in the namespace of /camera/image_raw, choose with --tf-topic .*there are .*/robot2/tf \(TFMessage"
    with pytest.raises(DatasetError, match=words):
        evaluated(knowing(monkeypatch), path, source="tf")


def write_topics(path: Path, topics: Iterable[str]) -> Path:
    with open_writer(path) as bag:
        for topic in topics:
            write_tf(bag, 0, "a", "b", np.eye(4), topic)
    return path


@pytest.mark.parametrize(
    ("topics", "chosen"),
    [
        (["/tf", "/tf_static"], ["/tf", "/tf_static"]),
        (["/tf", "/tf_static", "/other/tf"], ["/tf", "/tf_static"]),
        (["/r/tf", "/r/tf_static", "/tf", "/tf_static"], ["/r/tf", "/r/tf_static"]),
        (["/r/tf", "/tf_static"], ["/r/tf", "/tf_static"]),  # nothing else could be meant
        (["/r/cam/tf_static", "/r/tf"], ["/r/tf", "/r/cam/tf_static"]),
        (["/tf"], ["/tf"]),
        (["/tf", "/tf_static", "/tf_drifting"], ["/tf", "/tf_static"]),  # only where it is asked for
        (["/r/tf", "/tf_static", "/tf"], None),
        (["/r/tf", "/tf_static", "/s/tf"], None),
        (["/re/tf", "/re/tf_static"], None),  # /re is not above /r
    ],
)
def test_which_topics_of_tf_are_a_cameras(tmp_path: Path, topics: list[str], chosen: list[str] | None) -> None:
    with open_bag(write_topics(tmp_path / "bag", topics)) as bag:
        if chosen is None:
            with pytest.raises(DatasetError, match="choose with --tf-topic"):
                choose_tf(bag, "/r/cam/image")
        else:
            assert [topic.name for topic in choose_tf(bag, "/r/cam/image")] == chosen
        assert [topic.name for topic in choose_tf(bag, "/r/cam/image", topics[:1])] == topics[:1]
        with pytest.raises(DatasetError, match="no topic /none of TFMessage"):
            choose_tf(bag, "/r/cam/image", ["/none"])


def test_truth_that_needs_no_tf_never_asks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bag"
    with open_writer(path) as bag:
        for index in range(IMAGES):
            write_view(bag, index)
            bag.write(
                "/truth",
                "geometry_msgs/msg/PoseStamped",
                stamp(index),
                messages.pose(stamp(index), "map", place(stamp(index))),
            )
        for robot, moved in ROBOTS.items():
            write_robot(bag, robot, moved)
    assert worst_m(evaluated(knowing(monkeypatch), path)) < 1e-9


def test_what_was_sent_once_on_tf_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_writer(tmp_path / "bag") as bag:
        write_tf(bag, 2, "base", CAMERA_FRAME, BASE_FROM_CAMERA)
        for index in range(IMAGES):
            write_view(bag, index)
            write_tf(bag, index, "map", "base", place(stamp(index)) @ invert(BASE_FROM_CAMERA))
    with pytest.raises(DatasetError, match=r"where 'camera' is in 'base' was sent only once, at .* on /tf_static$"):
        evaluated(knowing(monkeypatch), tmp_path / "bag", source="tf")


def test_images_of_no_frame_have_to_be_given_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_writer(tmp_path / "bag") as bag:
        for index in range(IMAGES):
            write_view(bag, index, header=messages.header(stamp(index), ""))
            write_tf(bag, index, "map", CAMERA_FRAME, place(stamp(index)))
    with pytest.raises(DatasetError, match=r"are of no frame \(frame_id ''\); --camera-frame names it"):
        evaluated(knowing(monkeypatch), tmp_path / "bag", source="tf")


def test_what_cannot_matter_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As tf2: self-transforms are ignored, and frames beside the chain may change their parents, or be in a loop."""
    path = tmp_path / "bag"
    with open_writer(path) as bag:
        write_tf(bag, 0, "base", CAMERA_FRAME, BASE_FROM_CAMERA, "/tf_static")
        for index in range(IMAGES):
            write_view(bag, index)
            write_tf(bag, index, "map", "base", place(stamp(index)) @ invert(BASE_FROM_CAMERA))
            write_tf(bag, index, "base", "base", ASIDE)
            write_tf(bag, index, "", "base", ASIDE)
            write_tf(bag, index, "table" if index < 9 else "gripper", "cup", ASIDE)  # beside it
            write_tf(bag, index, "earth" if index < 9 else "moon", "map", ASIDE)  # above it
            write_tf(bag, index, "earth", "moon", ASIDE)
            write_tf(bag, index, "moon", "earth", ASIDE)
            write_tf(bag, index, "cup", "spoon", ASIDE)  # below what changes
    evaluation = evaluated(knowing(monkeypatch), path, source="tf")
    assert len(evaluation.records) == IMAGES
    assert worst_m(evaluation) < 1e-9
    assert evaluation.source["truth"]["self_transforms"] == 2 * IMAGES
    with pytest.raises(DatasetError, match=r"TF gives frame 'map' 2 parents: earth, moon"):
        evaluated(knowing(monkeypatch), path, source="tf:sun")
    with pytest.raises(DatasetError, match=r"TF gives frame 'cup' 2 parents: gripper, table"):
        evaluated(knowing(monkeypatch), path, source="tf", frame="spoon")
    with pytest.raises(DatasetError, match=r"TF has a loop at frame '(earth|moon)'"), open_bag(path) as bag:
        read_transforms(bag, bag.of_type(TF)).chain("map", "moon")


def test_the_command_line_takes_the_topics_of_tf_and_says_which_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_scene(tmp_path / "bag", ROBOTS, "/camera")
    localizer = knowing(monkeypatch)
    monkeypatch.setattr("vloc_ros.cli.evaluate.opened_map", lambda *_: localizer)
    command = ["evaluate", "--map", "m", "--bag", str(path), "--truth", "tf"]
    assert main(command) == 1
    assert "--tf-topic" in capsys.readouterr().err
    assert main([*command, "--tf-topic", "/robot1/tf", "/robot1/tf_static"]) == 0
    assert f"tf of /robot1/tf, /robot1/tf_static, {IMAGES} poses" in capsys.readouterr().out


def test_frames_of_a_bag_use_the_topics_that_are_asked_for(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "bag", ROBOTS, "/robot1")
    options = BagOptions(truth=GroundTruthOptions("tf"), tf_topics=("/robot2/tf", "/robot1/tf_static"))
    with open_bag(path) as bag:
        frames = list(bag_frames(bag, options, "map"))
    for frame in frames:
        np.testing.assert_allclose(frame.map_from_camera, ASIDE @ place(frame.image.stamp_ns), atol=1e-9)
