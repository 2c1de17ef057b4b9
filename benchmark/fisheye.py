"""A lens of 180 degrees beside a pinhole camera at the same places: the rendered living room, mapped and localized in.

python benchmark/fisheye.py --folder DIR [--every 4] [--images 50]

Three maps with PRAM: of the pinhole camera's images; of the fisheye images, each undistorted to one pinhole view;
and of the fisheye images as they are, which `vloc map` and the localizer work on as several views. `--every`: only each
Nth of the 400 mapping frames. `--folder` keeps images and maps.
"""

import argparse
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
from in_turn import Localize, ask_in_turn, by_image, some_of, threads
from numpy.typing import NDArray
from results import MEDIAN, RECALLS, Results, add_json

from vloc_ros.cli import main as vloc
from vloc_ros.core.types import CameraImage
from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.folder import camera_line
from vloc_ros.datasets.registration import undistort_depth
from vloc_ros.datasets.synthetic_room import RoomFrames, open_synthetic_room, synthetic_room
from vloc_ros.datasets.types import Frame
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.fisheye import FisheyeCamera
from vloc_ros.geometry.transforms import POSE_COLUMNS, pose_vector
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import load_localizer
from vloc_ros.synthetic.sensor import expose
from vloc_ros.synthetic.wide_lens import render_fisheye

ONE_THREAD = SessionOptions(threads=1)
PINHOLE, UNDISTORTED, VIEWS = "pinhole", "undistorted", "fisheye"  # folders
SHOWN = {PINHOLE: "pinhole", UNDISTORTED: "fisheye, one undistorted view", VIEWS: "fisheye, two views"}
WIDE = FisheyeCamera(960, 720, 306.0, 306.0, 479.5, 359.5, (-0.012, 0.004, -0.002, 0.0004))  # 180 degrees wide
COLUMNS = {
    "images": "{images}",
    "made from": "{mapped} frames",
    "localized": "{frames}",
    "median": MEDIAN,
    **RECALLS,
    "median, of the pinhole's": "{error_of_pinhole:.2f}",
    "total, p50": "{total_p50_ms:.0f} ms",
}
Shown = tuple[str, NDArray[np.uint8], NDArray[np.float32], NDArray[np.float64]]  # name, image, depth, map_from_camera


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--every", type=int, default=4, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--images", type=int, default=50, metavar="COUNT", help="to localize (default: %(default)s)")
    add_json(parser)
    options = parser.parse_args()
    room = open_synthetic_room(None, "train")
    rows = range(0, len(room), options.every)
    for kind, (camera, shown) in {
        PINHOLE: (room.intrinsics, (as_pinhole(room, row) for row in rows)),
        VIEWS: (WIDE, (as_fisheye(room, row) for row in rows)),
        UNDISTORTED: (WIDE.undistorted(), as_undistorted(options.folder / VIEWS)),
    }.items():
        folder = options.folder / kind
        if not (folder / "poses.txt").exists():
            write_folder(folder, camera, shown)
        if not (target := options.folder / f"{kind}.map").exists():
            arguments = ["--dataset", "folder", "--root", str(folder), "--split", "all", "--out", str(target)]
            if code := vloc(["map", "--method", "pram", *arguments]):
                raise SystemExit(code)
    localizers = {kind: load_localizer(options.folder / f"{kind}.map", ONE_THREAD) for kind in SHOWN}
    asked: dict[str, Localize] = {
        PINHOLE: by_image(localizers[PINHOLE]),
        UNDISTORTED: lambda frame: localizers[UNDISTORTED].localize(undistorted(wide_image(frame))),
        VIEWS: lambda frame: localizers[VIEWS].localize(wide_image(frame)),
    }
    with threads(1):
        answers = ask_in_turn(asked, some_of(open_synthetic_room(None, "test"), options.images))
    results = Results(f"Data: synthetic_room, each {options.every}th training frame, and test frames", COLUMNS)
    pinhole_cm = answers[PINHOLE].figures()["median_cm"]
    for kind, title in SHOWN.items():
        figures = answers[kind].figures()
        mapped = len(localizers[kind].landmark_map.mapping_views)
        results.add(images=title, mapped=mapped, error_of_pinhole=figures["median_cm"] / pinhole_cm, **figures)
    results.write(options.json)


def as_pinhole(room: RoomFrames, row: int) -> Shown:
    frame = room.frame(row, depth=True)
    assert frame.depth is not None
    return frame.name, frame.image.rgb, frame.depth, frame.map_from_camera


def as_fisheye(room: RoomFrames, row: int) -> Shown:
    pose = room.map_from_camera(row)
    return room.names[row], *seen_wide(room.names[row], pose.tobytes()), pose


def as_undistorted(folder: Path) -> Iterator[Shown]:
    """The fisheye images of a folder, each as one view."""
    fisheye = open_dataset("folder", folder, "all")
    for index in range(len(fisheye)):
        frame = fisheye.frame(index, depth=True)
        assert frame.depth is not None
        depth = undistort_depth(frame.image.camera, frame.depth)
        yield frame.name, undistorted(frame.image).rgb, depth, frame.map_from_camera


@lru_cache(maxsize=1)  # two maps are asked of an image
def seen_wide(name: str, map_from_camera: bytes) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    room, pose = synthetic_room(), np.frombuffer(map_from_camera).reshape(4, 4)
    rgb, depth = render_fisheye(room.faces, room.pyramids, room.lightmaps, WIDE, pose)
    return expose(rgb, f"{name} {crc32(b'wide')}"), depth


def wide_image(frame: Frame) -> CameraImage:
    return CameraImage(seen_wide(frame.name, frame.map_from_camera.tobytes())[0], WIDE)


def undistorted(image: CameraImage) -> CameraImage:
    return CameraImage(image.camera.undistort(image.rgb), image.camera.undistorted())


def write_folder(folder: Path, camera: Camera, frames: Iterator[Shown]) -> None:
    poses = [f"# name {POSE_COLUMNS}"]
    for name, rgb, depth, pose in frames:
        name = name.replace("/", "_")
        for part, pixels in (("images", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)), ("depth", millimetres(depth))):
            (folder / part).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / part / f"{name}.png"), pixels)
        poses.append(f"{name} " + " ".join(f"{value:.9f}" for value in pose_vector(pose)))
    (folder / "camera.txt").write_text(camera_line(camera) + "\n")
    (folder / "poses.txt").write_text("\n".join(poses) + "\n")


def millimetres(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    return np.asarray(np.round(1000 * depth).clip(0, 65534), dtype=np.uint16)


if __name__ == "__main__":
    main()
