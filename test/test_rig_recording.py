"""A bag of two cameras with depth becomes one folder of keyframes of both; what one of them lacks is said in a line."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from support.bag_scenes import IMAGES, place, stamp
from support.dataset_files import read_all

from vloc_ros.bags import messages
from vloc_ros.bags.camera_topics import choose_rig
from vloc_ros.bags.depth_topics import NO_DEPTH, DepthOptions, choose_depth
from vloc_ros.bags.options import BagOptions, GroundTruthOptions
from vloc_ros.bags.reader import CAMERA_INFO, POSE, RAW_IMAGE, STATIC_TF_TOPIC, TF, TF_TOPIC, open_bag
from vloc_ros.bags.writer import open_writer
from vloc_ros.cli import main
from vloc_ros.cli.localize import _camera_file
from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.bag_recording import RecordingOptions, describe_recording, unpack_recording
from vloc_ros.datasets.synthetic_room import open_synthetic_room
from vloc_ros.errors import ConfigError, DatasetError, VlocError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import Matrix, from_quaternion
from vloc_ros.images.depth import to_depth
from vloc_ros.progress import Silent

CAMERAS = {"front": Camera(64, 48, 55.0, 55.0, 31.5, 23.5), "left": Camera(48, 36, 40.0, 41.0, 24.0, 17.0)}
BASE_FROM = {
    "front": from_quaternion((0, 0, 0, 1), (0.2, 0.0, 0.1)),
    "left": from_quaternion((0, 0.2, 0, np.sqrt(1 - 0.04)), (0.0, 0.1, 0.0)),
}
WALL_Z = 4.0
RIG = BagOptions(truth=GroundTruthOptions("tf", option="--poses"), cameras=("/front", "/left"))


def map_from(camera: str, stamp_ns: int) -> Matrix:
    return place(stamp_ns) @ BASE_FROM[camera]


def depth_of_wall(camera: Camera, map_from_camera: Matrix) -> np.ndarray:
    slopes = camera.rays() @ map_from_camera[2, :3]
    depth = (WALL_Z - map_from_camera[2, 3]) / slopes
    return np.asarray(depth.reshape(camera.height, camera.width), dtype=np.float32)


def write_rig(
    path: Path,
    lost: dict[str, Collection[int]] | None = None,
    depths: dict[str, str] | None = None,
    mounted: Collection[str] = tuple(BASE_FROM),
    spaces: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Both cameras drive by a wall; `lost` images of each; `depths`: the topic of each one's depth; `spaces`: their
    namespaces, where these are not called as they are."""
    depths = {"front": "/front/depth/image_raw", "left": "/left/depth/image_raw"} if depths is None else depths
    with open_writer(path) as bag:
        static = [messages.transform(stamp(0), "base", f"{name}_optical", BASE_FROM[name]) for name in mounted]
        bag.write(STATIC_TF_TOPIC, TF, stamp(0), messages.transforms(*static))
        for index in range(IMAGES):
            at = stamp(index)
            bag.write(TF_TOPIC, TF, at, messages.transforms(messages.transform(at, "map", "base", place(at))))
            bag.write("/truth", POSE, at, messages.pose(at, "map", map_from("front", at)))
            for number, (name, camera) in enumerate(CAMERAS.items()):
                at, frame = stamp(index + 0.3 * number), f"{name}_optical"
                if index in (lost or {}).get(name, ()):
                    continue
                tiles = np.random.default_rng(2 * index + number).integers(0, 255, (12, 16, 3), dtype=np.uint8)
                rgb = np.resize(tiles, (camera.height, camera.width, 3))
                space = spaces.get(name, name)
                bag.write(f"/{space}/camera_info", CAMERA_INFO, at, messages.camera_info(at, frame, camera))
                bag.write(f"/{space}/image_raw", RAW_IMAGE, at, messages.image(at, frame, rgb))
                if topic := depths.get(name):
                    info = f"{topic.rpartition('/')[0]}/camera_info"
                    depth = depth_of_wall(camera, map_from(name, at))
                    bag.write(info, CAMERA_INFO, at, messages.camera_info(at, frame, camera))
                    bag.write(topic, RAW_IMAGE, at, messages.depth_image(at, frame, depth))
    return path


class Lines(Silent):
    """What is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.mark.parametrize("poses", ["tf", "/truth"])  # a topic says where the first camera is, and TF where the other
def test_each_frame_has_its_own_camera_pose_and_depth(tmp_path: Path, poses: str) -> None:
    bag = BagOptions(truth=GroundTruthOptions(poses, option="--poses"), cameras=RIG.cameras)
    record = unpack_recording(write_rig(tmp_path / "bag"), tmp_path / "out", RecordingOptions(bag), "map")
    dataset = open_dataset("folder", tmp_path / "out", "all")
    names = [name.split("/") for name in dataset.names]
    assert {camera for camera, _ in names} == set(CAMERAS)
    assert [at for _, at in names] == sorted(at for _, at in names), "in the order of recording"
    for frame in read_all(dataset, depth=True):
        camera, at = frame.name.split("/")
        stamp_ns = round(float(at) * 1e9)
        assert frame.image.camera == CAMERAS[camera]
        between = stamp_ns != stamp(round((stamp_ns - stamp(0)) / 1e8))  # two poses; then it is interpolated
        tolerance = 0.06 if between else 1e-6
        assert np.abs(frame.map_from_camera - map_from(camera, stamp_ns)).max() < tolerance
        assert frame.depth is not None
        expected = depth_of_wall(CAMERAS[camera], map_from(camera, stamp_ns))
        assert np.abs(frame.depth - expected).max() < 1e-3
    said = describe_recording(record)
    assert "front: " in said
    assert "; left: " in said
    assert "depth of /left/depth/image_raw" in said
    image = next((tmp_path / "out" / "images" / "left").iterdir())
    assert _camera_file(image) == tmp_path / "out" / "camera_left.txt"


def test_the_keyframes_are_shared(tmp_path: Path) -> None:
    record = unpack_recording(write_rig(tmp_path / "bag"), tmp_path / "out", RecordingOptions(RIG, keyframes=24), "map")
    assert all(10 <= part["keyframes"] <= 12 for part in record["cameras"].values())


def test_a_camera_that_drops_out_is_left_out_when_too_little_is_left(tmp_path: Path) -> None:
    said = Lines()
    path = write_rig(tmp_path / "bag", {"left": range(5, IMAGES)})
    unpack_recording(path, tmp_path / "out", RecordingOptions(RIG), "map", said)
    (line,) = [line for line in said.lines if line.startswith("warning: camera left is left out: ")]
    assert "5 keyframes are too few for a map" in line
    dataset = open_dataset("folder", tmp_path / "out", "all")
    assert {name.partition("/")[0] for name in dataset.names} == {"front"}
    assert [path.name for path in (tmp_path / "out" / "images").iterdir()] == ["front"]


def test_one_that_drops_out_for_a_while_stays(tmp_path: Path) -> None:
    said = Lines()
    path = write_rig(tmp_path / "bag", {"left": range(5, 15), "front": range(20, 25)})
    unpack_recording(path, tmp_path / "out", RecordingOptions(RIG), "map", said)
    names = open_dataset("folder", tmp_path / "out", "all").names
    assert {name.partition("/")[0] for name in names} == set(CAMERAS)
    assert not said.lines


def fault(path: Path, options: RecordingOptions) -> str:
    with pytest.raises(VlocError) as caught:
        unpack_recording(path, path.parent / "out", options, "map")
    assert "\n" not in str(caught.value)
    assert not (path.parent / "out").exists()
    return str(caught.value)


@pytest.mark.parametrize(
    ("depths", "words"),
    [
        ({"front": "/front/depth/image_raw"}, "/front/depth/image_raw would be the depth of both /front/image_raw and"),
        ({"front": "/depth/image_raw"}, "/depth/image_raw would be the depth of both"),
    ],
)
def test_depth_is_of_one_camera(tmp_path: Path, depths: dict[str, str], words: str) -> None:
    assert words in fault(write_rig(tmp_path / "bag", depths=depths), RecordingOptions(RIG))


def test_two_names_are_of_two_cameras_and_of_two_folders(tmp_path: Path) -> None:
    """Who sees everything twice would be twice as sure of it."""
    with open_bag(write_rig(tmp_path / "bag", depths={})) as bag:
        with pytest.raises(DatasetError, match="front and /front/image_raw: both are the camera of /front/image_raw"):
            choose_rig(bag, ("front", "left", "/front/image_raw"))
        assert list(choose_rig(bag, ("front", "left"))) == ["front", "left"]
    named = replace(RIG, cameras=("/top/left", "top_left"))
    path = write_rig(tmp_path / "two" / "bag", depths={}, spaces={"front": "top/left", "left": "top_left"})
    assert "both cameras would be called top_left" in fault(path, RecordingOptions(named))


def test_depth_topics_are_named_one_for_each(tmp_path: Path) -> None:
    path = write_rig(tmp_path / "bag", depths={"front": "/d1/depth", "left": "/d2/depth"})
    assert "--depth-topic" in fault(path, RecordingOptions(RIG))
    record = unpack_recording(
        path, tmp_path / "out", RecordingOptions(RIG, depth_topics=("/d1/depth", "/d2/depth")), "map"
    )
    assert [part["depth_topic"] for part in record["cameras"].values()] == ["/d1/depth", "/d2/depth"]
    assert "no topic of depth for /left/image_raw: of --cameras all have depth, or none" in fault(
        write_rig(tmp_path / "two" / "bag"), RecordingOptions(RIG, depth_topics=("/front/depth/image_raw", NO_DEPTH))
    )


def test_a_camera_that_tf_does_not_know_is_refused(tmp_path: Path) -> None:
    path = write_rig(tmp_path / "bag", mounted=("front",))
    assert "does not connect 'left_optical' with 'front_optical'" in fault(path, RecordingOptions(RIG))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"depth": DepthOptions(stereo_topic="/right")}, "--stereo-topics: depth of a stereo pair does not go with"),
        ({"depth": DepthOptions(info_topic="/info")}, "--depth-info-topic and --depth-to-color are of one camera"),
        ({"keyframes": 19}, "--keyframes 19: at least 20 are needed"),
        ({"depth_topics": ("/a",)}, "--depth-topic names 1, must be as many as --cameras: 2"),
    ],
)
def test_options_of_one_camera_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        RecordingOptions(RIG, **options)  # type: ignore[arg-type]


def test_frames_of_no_camera(tmp_path: Path) -> None:
    unpack_recording(write_rig(tmp_path / "bag"), tmp_path / "out", RecordingOptions(RIG), "map")
    (tmp_path / "out" / "camera_left.txt").rename(tmp_path / "out" / "camera_rear.txt")
    with pytest.raises(DatasetError, match=r"frame 'left/.*' is of no camera: names begin with front/, rear/"):
        open_dataset("folder", tmp_path / "out", "all")


def test_a_data_set_of_several_cameras_becomes_a_bag_with_the_depth_of_each(tmp_path: Path) -> None:
    names, bag = tmp_path / "names.txt", tmp_path / "bag"
    names.write_text("drive/000000\ndrive/000010\n")
    said = ["--cameras", "front", "left", "--depth", "--jpeg", "90"]
    assert main(["bag", "--dataset", "synthetic_room", "--split", str(names), "--out", str(bag), *said]) == 0
    dataset = open_synthetic_room(None, str(names))
    with open_bag(bag) as read:
        for name in ("front", "left"):
            source = choose_depth(read, choose_rig(read, [name])[name], f"{name}_optical_frame", DepthOptions(), RIG)
            assert source is not None
            assert source.topic.name == f"/{name}/aligned_depth/image_raw"
            truth = dataset.with_cameras([name]).frame(0, depth=True)
            found = to_depth(read.read(read.first(source.topic)))
            assert truth.depth is not None
            assert np.abs(found - truth.depth).max() < 1e-3
