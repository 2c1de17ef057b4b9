"""A lens of 180 degrees beside a pinhole camera at the same places: the rendered living room, mapped and localized in.

python benchmark/fisheye.py --folder DIR [--every 4] [--images 50]

Three maps with PRAM: of the pinhole camera's images, of the fisheye images as one undistorted view each (`vloc_ros`
cuts off what is far from the axis), and of several pinhole views of each fisheye image; a query is an image, or all
views of one. `--every`: only each Nth of the 400 mapping frames. `--folder` keeps images and maps.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
from in_turn import Localize, ask_in_turn, by_image, some_of, threads
from numpy.typing import NDArray
from results import MEDIAN, RECALLS, Results, add_json

from vloc_ros.cli import main as vloc
from vloc_ros.core.query import Query, View
from vloc_ros.core.types import CameraImage
from vloc_ros.datasets.folder import camera_line
from vloc_ros.datasets.synthetic_room import RoomFrames, open_synthetic_room, synthetic_room
from vloc_ros.datasets.types import Frame
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.fisheye import FisheyeCamera
from vloc_ros.geometry.transforms import POSE_COLUMNS, pose_vector
from vloc_ros.geometry.wide_angle import pinhole_views
from vloc_ros.localizer import load_localizer
from vloc_ros.synthetic.sensor import expose
from vloc_ros.synthetic.wide_lens import render_fisheye

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
    kinds: dict[str, tuple[Camera, Callable[[int], Iterator[Shown]], Localize | None]] = {
        "pinhole": (room.intrinsics, lambda row: as_pinhole(room, row), None),
        "undistorted": (WIDE, lambda row: as_fisheye(room, row), None),
        "views": (pinhole_views(WIDE)[0].camera, lambda row: as_views(room, row), None),
    }
    for kind, (camera, shown, _) in kinds.items():
        folder = options.folder / kind
        if not (folder / "poses.txt").exists():
            write_folder(folder, camera, (each for row in rows for each in shown(row)))
        if not (target := options.folder / f"{kind}.map").exists():
            arguments = ["--dataset", "folder", "--root", str(folder), "--split", "all", "--out", str(target)]
            if code := vloc(["map", "--method", "pram", *arguments]):
                raise SystemExit(code)
    localizers = {kind: load_localizer(options.folder / f"{kind}.map") for kind in kinds}
    asked: dict[str, Localize] = {
        "pinhole": by_image(localizers["pinhole"]),
        "undistorted": lambda frame: localizers["undistorted"].localize(wide_image(frame)),
        "views": lambda frame: localizers["views"].localize(views_of(wide_image(frame))),
    }
    with threads(1):
        answers = ask_in_turn(asked, some_of(open_synthetic_room(None, "test"), options.images))
    results = Results(f"Data: synthetic_room, each {options.every}th training frame, and test frames", COLUMNS)
    pinhole_cm = answers["pinhole"].figures()["median_cm"]
    for kind, localizer in localizers.items():
        figures = answers[kind].figures()
        mapped = len(localizer.landmark_map.mapping_views)
        results.add(images=kind, mapped=mapped, error_of_pinhole=figures["median_cm"] / pinhole_cm, **figures)
    results.write(options.json)


def as_pinhole(room: RoomFrames, row: int) -> Iterator[Shown]:
    frame = room.frame(row, depth=True)
    assert frame.depth is not None
    yield frame.name, frame.image.rgb, frame.depth, frame.map_from_camera


def as_fisheye(room: RoomFrames, row: int) -> Iterator[Shown]:
    yield room.names[row], *seen_wide(room.names[row], room.map_from_camera(row)), room.map_from_camera(row)


def as_views(room: RoomFrames, row: int) -> Iterator[Shown]:
    rgb, depth = seen_wide(room.names[row], room.map_from_camera(row))
    for number, view in enumerate(pinhole_views(WIDE)):
        pose = room.map_from_camera(row) @ view.wide_from_view
        yield f"{room.names[row]}_{number}", view.image(rgb), view.depth(depth), pose


def seen_wide(name: str, map_from_camera: NDArray[np.float64]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    room = synthetic_room()
    rgb, depth = render_fisheye(room.faces, room.pyramids, room.lightmaps, WIDE, map_from_camera)
    return expose(rgb, f"{name} {crc32(b'wide')}"), depth


def wide_image(frame: Frame) -> CameraImage:
    return CameraImage(seen_wide(frame.name, frame.map_from_camera)[0], WIDE)


def views_of(image: CameraImage) -> Query:
    views = pinhole_views(WIDE)
    seen = tuple(View(CameraImage(view.image(image.rgb), view.camera), view.wide_from_view) for view in views)
    return Query(seen, image.stamp_ns)


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
