"""Several cameras in a bag: views of one moment, each where its camera was; what one of them lacks stops nothing."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.bag_scenes import CAMERA, START_NS, knowing, picture, place, stamp

from vloc_ros.bags import messages
from vloc_ros.bags.options import BagOptions, GroundTruthOptions
from vloc_ros.bags.reader import CAMERA_INFO, COMPRESSED_IMAGE, POSE, RAW_IMAGE, TF, open_bag
from vloc_ros.bags.writer import BagWriter, open_writer
from vloc_ros.cli import main
from vloc_ros.datasets.bag_frames import BagFrames, bag_frames
from vloc_ros.datasets.types import Frame
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.evaluation.alignment import Correction
from vloc_ros.evaluation.camera_summary import camera_rows
from vloc_ros.evaluation.evaluate_bag import evaluate_bag
from vloc_ros.evaluation.records import FrameRecord
from vloc_ros.geometry.transforms import Matrix, from_quaternion, invert

STEPS, APART_NS = 8, 12_000_000
BASE_FROM = {
    "front": from_quaternion((0.5, -0.5, 0.5, -0.5), (0.2, 0.0, 0.5)),
    "left": from_quaternion((0.7, 0.0, 0.0, -0.7), (0.0, 0.1, 0.5)),
}
RIG = BagOptions(cameras=("/front", "/left"))


def map_from(camera: str, stamp_ns: int) -> Matrix:
    return place(stamp_ns) @ BASE_FROM[camera]


def write_rig(
    path: Path, apart_ns: int = 0, lost: dict[str, Collection[int]] | None = None, odometry: bool = True
) -> Path:
    """STEPS images of each camera, the left ones `apart_ns` later, but for those that were lost; truth of the front."""
    with open_writer(path) as bag:
        static = [messages.transform(START_NS, "base", f"{name}_optical", pose) for name, pose in BASE_FROM.items()]
        bag.write("/tf_static", TF, START_NS, messages.transforms(*static))
        for step in range(-1, STEPS + 1):
            write_step(bag, step, apart_ns, lost or {}, odometry)
    return path


def write_step(bag: BagWriter, step: int, apart_ns: int, lost: dict[str, Collection[int]], odometry: bool) -> None:
    for stamp_ns in (stamp(step), stamp(step) + APART_NS):
        if odometry:
            moved = messages.transform(stamp_ns, "odom", "base", place(stamp_ns))
            bag.write("/tf", TF, stamp_ns, messages.transforms(moved))
        pose = messages.pose(stamp_ns, "map", map_from("front", stamp_ns))
        bag.write("/truth", POSE, stamp_ns, pose)
    for name in BASE_FROM if 0 <= step < STEPS else ():
        stamp_ns = stamp(step) + (apart_ns if name == "left" else 0)
        info = messages.camera_info(stamp_ns, f"{name}_optical", CAMERA)
        bag.write(f"/{name}/camera_info", CAMERA_INFO, stamp_ns, info)
        if step not in lost.get(name, ()):
            image = messages.image(stamp_ns, f"{name}_optical", picture(step + 100 * (name == "left")))
            bag.write(f"/{name}/image_raw", RAW_IMAGE, stamp_ns, image)


def read(path: Path, options: BagOptions = RIG) -> tuple[list[Frame], dict[str, Any]]:
    with open_bag(path) as bag:
        frames: BagFrames = bag_frames(bag, options, "map")
        return list(frames), frames.to_json()


@pytest.mark.parametrize("apart_ns", [0, APART_NS])
def test_views_are_where_their_cameras_were(tmp_path: Path, apart_ns: int) -> None:
    frames, source = read(write_rig(tmp_path / "bag", apart_ns))
    assert len(frames) == STEPS
    for step, frame in enumerate(frames):
        assert frame.image.stamp_ns == stamp(step)
        np.testing.assert_allclose(frame.map_from_camera, map_from("front", stamp(step)), atol=1e-6)
        (left,) = frame.others
        assert left.image.rgb[0, 0, 0] == step + 100
        map_from_left = frame.map_from_camera @ left.rig_from_camera
        np.testing.assert_allclose(map_from_left, map_from("left", stamp(step) + apart_ns), atol=1e-6)
    assert [camera["late"] for camera in source["cameras_of_rig"]] == [0, 0]
    assert source["odometry_between_cameras"] == "odom"


def test_stamps_farther_apart_than_the_tolerance_are_moments_of_one_camera(tmp_path: Path) -> None:
    options = BagOptions(cameras=RIG.cameras, tolerance_s=0.01)
    frames, _ = read(write_rig(tmp_path / "bag", APART_NS), options)
    assert [len(frame.query.views) for frame in frames] == [1] * (2 * STEPS)


def test_without_odometry_the_robot_is_taken_to_stand(tmp_path: Path) -> None:
    frames, source = read(write_rig(tmp_path / "bag", APART_NS, odometry=False))
    expected = invert(BASE_FROM["front"]) @ BASE_FROM["left"]
    for frame in frames:
        np.testing.assert_allclose(frame.others[0].rig_from_camera, expected, atol=1e-6)
    assert source["odometry_between_cameras"] == ""


@pytest.mark.parametrize(("silent", "other"), [("left", "front"), ("front", "left")])
def test_images_that_were_lost_leave_it_to_the_other_camera(tmp_path: Path, silent: str, other: str) -> None:
    lost = {2, 3, 6}
    frames, _ = read(write_rig(tmp_path / "bag", lost={silent: lost}))
    assert [len(frame.query.views) for frame in frames] == [1 if step in lost else 2 for step in range(STEPS)]
    for step in lost:
        np.testing.assert_allclose(frames[step].map_from_camera, map_from(other, stamp(step)), atol=1e-6)


def test_an_evaluation_is_of_the_first_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_rig(tmp_path / "bag", APART_NS)
    localizer = knowing(monkeypatch, lambda stamp_ns: map_from("front", stamp_ns))
    evaluation = evaluate_bag(localizer, path, RIG, Correction())
    told = {"frames": STEPS, "poses": STEPS, "without": 0}
    of_front, of_left = {**told, "inliers": 4.0}, {**told, "inliers": 0.0, "without": STEPS}  # as `knowing` has it
    assert evaluation.summary()["cameras"] == {"/front": of_front, "/left": of_left}
    again = json.loads(evaluation.to_text())["per_frame"][0]
    assert FrameRecord.from_json(again).cameras == {"/front": 4, "/left": 0}
    rows = camera_rows(evaluation.summary()["cameras"], STEPS)
    assert rows[1] == ("camera /left", "an image in 8 of 8 frames, 0 inliers of a pose (median), none in 8 of 8 poses")
    assert max(record.error.translation_m for record in evaluation.records if record.error) < 1e-6
    assert [camera["image_topic"] for camera in evaluation.source["cameras_of_rig"]] == [
        "/front/image_raw", "/left/image_raw"
    ]  # fmt: skip


def test_cameras_are_named_by_topic_or_namespace(tmp_path: Path) -> None:
    path = write_rig(tmp_path / "bag")
    frames, _ = read(path, BagOptions(cameras=("left", "/front/image_raw")))
    assert len(frames[0].others) == 1
    assert frames[0].image.rgb[0, 0, 0] == 100, "of the left camera"
    with pytest.raises(DatasetError, match=r"/rear: no images of a camera; there are /front/image_raw .*/left"):
        read(path, BagOptions(cameras=("/front", "/rear")))


def test_cameras_that_tf_does_not_connect_are_refused(tmp_path: Path) -> None:
    options = BagOptions(cameras=RIG.cameras, camera_frames=("front_optical", "nowhere"))
    with pytest.raises(DatasetError, match=r"TF of .* does not connect 'nowhere' with 'front_optical'"):
        read(write_rig(tmp_path / "bag"), options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cameras": ("a", "a")}, "--cameras: a is named twice"),
        ({"cameras": ("a", "b"), "image_topic": "/x"}, "--image-topic is of one camera, --cameras names several"),
        ({"cameras": ("a", "b"), "camera_frames": ("c",)}, "--camera-frames names 1, must be as many as --cameras: 2"),
        ({"tolerance_s": 2.0}, "--camera-tolerance 2: must be 0 to 1 second"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        BagOptions(truth=GroundTruthOptions(), **options)


def test_a_data_set_of_several_cameras_becomes_a_bag(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("drive/000000\ndrive/000010\n")
    bag = tmp_path / "bag"
    said = ["--cameras", "front", "rear"]
    written = ["bag", "--dataset", "synthetic_room", "--split", str(names), "--out", str(bag), "--jpeg", "90", *said]
    assert main(written) == 0
    with open_bag(bag) as read_bag:
        assert [topic.name for topic in read_bag.of_type(COMPRESSED_IMAGE)] == [
            "/front/image/compressed", "/rear/image/compressed"
        ]  # fmt: skip
    frames, _ = read(bag, BagOptions(cameras=("front", "rear")))
    assert len(frames) == 2
    for frame in frames:
        (rear,) = frame.others
        np.testing.assert_allclose(rear.rig_from_camera[:3, :3], np.diag([-1.0, 1.0, -1.0]), atol=1e-6)
