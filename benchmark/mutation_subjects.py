"""What is given mutants: the readers of maps, images, text files and bags. Each subject makes mutant number `index` and
reads it as the package would; it returns whether that was taken, and lets a VlocError through when it was refused."""

import copy
import shutil
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from mutants import (
    damaged,
    edited,
    odd_fields,
    one_of,
    png_of_size,
    seeded,
)
from mutation_maps import SEED, Maps, small_frame

from vloc_ros.bags import messages
from vloc_ros.bags.options import BagOptions, GroundTruthOptions
from vloc_ros.bags.reader import CAMERA_INFO, POSE, open_bag
from vloc_ros.bags.writer import open_writer
from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.bag_frames import bag_frames
from vloc_ros.datasets.dataset_files import read_depth, read_image
from vloc_ros.errors import VlocError
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.trajectory import StampedPose, read_tum, to_tum_line
from vloc_ros.images import to_rgb

IMAGES_IN_BAG = 4


class Subject(Protocol):
    """Reads mutants; made with a folder of its own."""

    def run(self, index: int) -> None:
        """Read mutant number `index`. Raises VlocError where it is refused; anything else is a defect."""


class Images:
    """Files, and messages of raw and of compressed images."""

    OTHERS: Mapping[str, tuple[Any, ...]] = {
        "width": (0, 1, 7, 63, 64, 65, 640, 2**16, 2**32 - 1),
        "height": (0, 1, 47, 48, 49, 480, 2**16, 2**32 - 1),
        "step": (0, 1, 63, 64, 65, 190, 192, 193, 256, 2**32 - 1),
        "is_bigendian": (0, 1, 255),
        "encoding": (
            "",
            "rgb8",
            "bgr8",
            "rgba8",
            "mono8",
            "mono16",
            "16UC1",
            "8UC1",
            "8UC2",
            "8UC3",
            "8UC4",
            "32FC1",
            "64FC3",
            "rgb16",
            "bgra16",
            "bayer_rggb8",
            "bayer_grbg16",
            "yuv422",
            "yuv422_yuy2",
            "uyvy",
            "yuyv",
            "nv12",
            "nv21",
            "nv24",
            "8UC",
            "8UC0",
            "8UC999999999",
            "RGB8",
            "rgb8\n[INFO] fine",
            "\ud800",
            "jpeg",
        ),
        "format": (
            "",
            "jpeg",
            "png",
            "rgb8; jpeg compressed bgr8",
            "tiff",
            "16UC1; compressedDepth png",
            "\x1b[2J",
            "x" * 300,
        ),
    }

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        rgb = small_frame().rgb[:48, :64]
        self._raw = messages.image(NS_PER_S, "camera", rgb)
        self._jpeg = messages.jpeg_image(NS_PER_S, "camera", rgb, 90)
        self._png = cv2.imencode(".png", rgb)[1].tobytes()
        self._depth = cv2.imencode(".png", (rgb[..., 0].astype(np.uint16) + 1) * 200)[1].tobytes()

    def run(self, index: int) -> None:
        rng = seeded(SEED, "images", index)
        kind = index % 4
        if kind == 0:
            message = altered(self._raw, odd_fields(rng, self._raw, self.OTHERS))
            if rng.random() < 0.3:
                message = altered(message, {"data": message.data[: int(rng.integers(len(message.data)))]})
            to_rgb(message)
        elif kind == 1:
            data = np.frombuffer(damaged(rng, self._jpeg.data.tobytes()), np.uint8)
            to_rgb(altered(self._jpeg, {"format": one_of(rng, self.OTHERS["format"]), "data": data}))
        else:
            content = one_of(rng, (self._jpeg.data.tobytes(), self._png)) if kind == 2 else self._depth
            if content.startswith(b"\x89PNG") and rng.random() < 0.2:
                content = png_of_size(content, *(int(one_of(rng, (0, 1, 64, 30_000, 2**31 - 1))) for _ in range(2)))
            else:
                content = damaged(rng, content)
            path = self._folder / "image"
            path.write_bytes(content)
            (read_image if kind == 2 else read_depth)(path)


class Texts:
    """The text files of data sets and trajectories."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "images").mkdir()
        frame = small_frame()
        names = [f"{number:04d}" for number in range(6)]
        for name in names:
            cv2.imwrite(str(folder / "images" / f"{name}.png"), frame.rgb[:48, :64])
        poses = [to_tum_line(StampedPose(number * NS_PER_S, np.eye(4))) for number in range(6)]
        self._texts = {
            "camera.txt": "64 48 50.0 50.0 31.5 23.5 0.1 -0.05 0.001 0.002\n",
            "poses.txt": "".join(f"{name} {line.partition(' ')[2]}\n" for name, line in zip(names, poses, strict=True)),
            "split_test.txt": "\n".join(names[:3]) + "\n",
            "truth.txt": "# stamp tx ty tz qx qy qz qw\n" + "\n".join(poses) + "\n",
            "places.yaml": "- {name: kitchen, dataset: folder, root: .}\n- {name: hall, dataset: folder, root: .}\n",
        }

    def run(self, index: int) -> None:
        rng = seeded(SEED, "texts", index)
        for name, text in self._texts.items():
            (self._folder / name).write_text(text)
        name = one_of(rng, sorted(self._texts))
        (self._folder / name).write_bytes(edited(rng, self._texts[name]))
        if name == "truth.txt":
            read_tum(self._folder / name)
            return
        joined = name == "places.yaml" or rng.random() < 0.1
        dataset = (
            open_dataset("joined", self._folder / "places.yaml", "test")
            if joined
            else open_dataset("folder", self._folder, "test")
        )
        for number in range(len(dataset)):
            dataset.frame(number)


class Bags:
    """Bags in MCAP and in sqlite3, and their metadata.yaml."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        frame = small_frame()
        self._bags: dict[str, Path] = {}
        for storage in ("mcap", "sqlite3"):
            path = self._bags[storage] = folder / storage
            with open_writer(path, storage) as bag:
                for number in range(IMAGES_IN_BAG):
                    stamp_ns = 1000 * NS_PER_S + number * NS_PER_S // 10
                    bag.write("/pose", POSE, stamp_ns, messages.pose(stamp_ns, "map", np.eye(4)))
                    info = messages.camera_info(stamp_ns, "camera", frame.camera)
                    bag.write("/camera_info", CAMERA_INFO, stamp_ns, info)
                    picture = messages.jpeg_image(stamp_ns, "camera", frame.rgb, 80)
                    bag.write("/image/compressed", "sensor_msgs/msg/CompressedImage", stamp_ns, picture)

    def run(self, index: int) -> None:
        rng = seeded(SEED, "bags", index)
        good, bad = self._bags[("mcap", "sqlite3")[index % 2]], self._folder / "mutant"
        shutil.rmtree(bad, ignore_errors=True)
        shutil.copytree(good, bad)
        metadata = bad / "metadata.yaml"
        storage = next(path for path in bad.iterdir() if path != metadata)
        if rng.random() < 0.3:
            metadata.write_bytes(edited(rng, metadata.read_text()))
        else:
            storage.write_bytes(damaged(rng, storage.read_bytes()))
        path = bad if rng.random() < 0.7 else storage
        with open_bag(path) as bag:
            for _ in bag_frames(bag, BagOptions(truth=GroundTruthOptions("/pose")), "map"):
                pass


SUBJECTS: Mapping[str, Callable[[Path], Subject]] = {"maps": Maps, "images": Images, "texts": Texts, "bags": Bags}


def altered(message: Any, fields: Mapping[str, Any]) -> Any:
    changed = copy.copy(message)
    for name, value in fields.items():
        object.__setattr__(changed, name, value)
    return changed


def outcome(subject: Subject, index: int) -> tuple[str, str]:
    """What became of a mutant: "taken", "refused" or "traceback", and the text of the error."""
    try:
        subject.run(index)
    except VlocError as error:
        text = str(error)
        return ("refused", text) if text.isprintable() else ("traceback", f"not one line: {text!r}")
    except Exception as error:
        return "traceback", "".join(traceback.format_exception(error)[-4:])
    return "taken", ""
