"""What is given mutants: the readers of maps, images, text files and bags. Each subject makes mutant number `index` and
reads it as the package would; it returns whether that was taken, and lets a VlocError through when it was refused."""

import copy
import json
import shutil
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import yaml
from mutants import (
    Rng,
    damaged,
    edited,
    odd_archive,
    odd_fields,
    odd_json,
    odd_json_bytes,
    one_of,
    packed,
    png_of_size,
    sealed,
    seeded,
)

from vloc_ros.bags import messages
from vloc_ros.bags.options import BagOptions, GroundTruthOptions
from vloc_ros.bags.reader import CAMERA_INFO, POSE, open_bag
from vloc_ros.bags.writer import open_writer
from vloc_ros.core.correction_field import CorrectionField, CorrectionKernel
from vloc_ros.core.feature_spec import SIFT, SIFT_DIMENSIONS, FeatureSpec
from vloc_ros.core.place_surface import PlaceSurface
from vloc_ros.core.points import Points
from vloc_ros.core.types import CameraImage
from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.bag_frames import bag_frames
from vloc_ros.datasets.dataset_files import read_depth, read_image
from vloc_ros.datasets.synthetic_room import open_synthetic_room
from vloc_ros.errors import VlocError
from vloc_ros.evaluation.report.map_report import preview_section, write_map_report
from vloc_ros.geometry.stamps import NS_PER_S
from vloc_ros.geometry.trajectory import StampedPose, read_tum, to_tum_line
from vloc_ros.images import to_rgb
from vloc_ros.localizer import open_localizer
from vloc_ros.maps import StoredMap, pack_map, read_map, unpack_map, write_map
from vloc_ros.maps.manifest_yaml import record_of
from vloc_ros.shipped import shipped

SEED = 6
IMAGES_IN_BAG = 4


class Subject(Protocol):
    """Reads mutants; made with a folder of its own."""

    def run(self, index: int) -> None:
        """Read mutant number `index`. Raises VlocError where it is refused; anything else is a defect."""


def with_optional_files(stored: StoredMap, folder: Path) -> dict[str, bytes]:
    """The files of a map, to which a few points with descriptors, a correction field and a surface are added."""
    rng = seeded(SEED, "points", 0)
    positions = stored.landmark_map.positions[:50]
    points = Points(
        positions=positions,
        descriptors=rng.integers(-127, 128, (50, SIFT_DIMENSIONS)).astype(np.int8),
        regions=np.arange(50, dtype=np.int32),
        places=np.zeros(50, np.int32),
        directions=np.tile([0.0, 0.0, 1.0], (50, 1)),
        distances=np.tile([0.5, 5.0], (50, 1)),
        colors=rng.integers(0, 256, (50, 3)).astype(np.uint8),
    )
    views = stored.landmark_map.mapping_views[:20]
    correction = CorrectionField(
        poses=views,
        coefficients=rng.normal(0, 1e-3, (len(views), 6)),
        places=np.zeros(len(views), np.int32),
        kernel=CorrectionKernel(0.15, 0.2),
    )
    surface = PlaceSurface.of(positions, points.colors, voxel_m=0.05)
    manifest = replace(stored.landmark_map.manifest, features=FeatureSpec(SIFT, 500, SIFT_DIMENSIONS))
    landmark_map = replace(
        stored.landmark_map, manifest=manifest, points=points, correction=correction, surface=surface
    )
    mapping = json.loads(stored.files["mapping.json"])
    write_map(folder, landmark_map, stored.networks, np.zeros((48, 64, 3), np.uint8), mapping)
    return dict(read_map(folder).files)


class Maps:
    """Maps whose checksums are right, so that what is in their files is parsed: from a directory, or packed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = with_optional_files(read_map(shipped("maps/demo_room")), folder / "whole")
        self._image = small_frame()

    def run(self, index: int) -> None:
        rng = seeded(SEED, "maps", index)
        name, files = self._mutant(rng)
        if rng.random() < 0.5:
            stored = unpack_map(packed(files), "map/data")
        else:
            directory = self._folder / "map"
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            for file, content in files.items():
                (directory / file).write_bytes(content)
            stored = read_map(directory)
        if name in ("map.yaml", "network.onnx", "correction.npz") or rng.random() < 0.1:
            localizer = open_localizer(stored, "map")
            localizer.localize(self._image)
        if name == "preview.png":  # without the report's plots, which take seconds and are of the other files
            preview_section(stored)
        if name == "mapping.json" or rng.random() < 0.02:
            write_map_report(self._folder / "report.html", "map", stored)
        pack_map(stored)

    def packed_mutant(self, rng: Rng) -> bytes:
        """A mutant as the map server would send it."""
        return packed(self._mutant(rng)[1])

    def _mutant(self, rng: Rng) -> tuple[str, dict[str, bytes]]:
        """The files of a map with right checksums, and which of them was changed."""
        name = one_of(
            rng,
            ("map.yaml",) * 5
            + ("regions.npz",) * 4
            + ("points.npz",) * 2
            + ("correction.npz",) * 2
            + ("surface.npz",) * 2
            + ("network.onnx", "preview.png", "mapping.json"),
        )
        files = dict(self._files)
        if name != "map.yaml":
            files[name] = self._mutant_of(rng, name)
        files["map.yaml"] = self._sealed(rng, files, changed=name == "map.yaml")
        return name, files

    def _mutant_of(self, rng: Rng, name: str) -> bytes:
        content = self._files[name]
        if name in ("regions.npz", "points.npz", "correction.npz", "surface.npz"):
            return odd_archive(rng, content)
        if name == "mapping.json":
            return odd_json_bytes(rng, content or b"{}")
        if name == "network.onnx":
            return content[: int(rng.integers(len(content)))]
        if rng.random() < 0.2:
            return png_of_size(content, *(int(one_of(rng, (0, 1, 5000, 30_000, 2**31 - 1))) for _ in range(2)))
        return damaged(rng, content)

    def _sealed(self, rng: Rng, files: Mapping[str, bytes], changed: bool) -> bytes:
        document = yaml.safe_load(self._files["map.yaml"])
        del document["sha256"]
        document["files"] = {name: vars(record_of(files[name])) for name in document["files"]}
        body = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        if changed and rng.random() < 0.5:
            body = yaml.safe_dump(odd_json(rng, document), sort_keys=False, allow_unicode=True)
        elif changed:
            return sealed(edited(rng, body))
        return sealed(body.encode("utf-8", "surrogatepass"))


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


def small_frame() -> CameraImage:
    """A small image of the room in which the shipped map was made."""
    image = open_synthetic_room(None, "small").frame(0).image
    rgb = cv2.resize(image.rgb, (320, 240), interpolation=cv2.INTER_AREA)
    return CameraImage(np.asarray(rgb, np.uint8), image.camera.resized(320, 240))


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
