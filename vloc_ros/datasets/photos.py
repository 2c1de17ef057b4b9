"""Photos and videos without poses, as upright images of one size with names that a `folder` can have."""

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.datasets.folder import IMAGE_ENDINGS, read_camera
from vloc_ros.datasets.video import FRAME_RATE, VIDEO_ENDINGS, video_frames
from vloc_ros.errors import ConfigError, DatasetError, ImageError
from vloc_ros.files import write_errors, write_text
from vloc_ros.geometry.camera import Camera
from vloc_ros.images import decode_upright
from vloc_ros.progress import Progress, Silent
from vloc_ros.text_files import read_bytes

RECORD = "photos.json"  # written last: with it, all is there
FEWEST_PHOTOS = 10
EXIF_START, HEADER_BYTES = b"Exif\0\0", 65536  # where a JPEG says how it is turned
HEIF_ENDINGS = (".heic", ".heif")
UNREADABLE_ENDINGS = (*HEIF_ENDINGS, ".dng", ".webp", ".tif", ".tiff")
JPEG_QUALITY = 95


@dataclass(frozen=True)
class PhotoOptions:
    """`camera`: a camera.txt of the upright images as they are; None: it is estimated. `frame_rate`: so many images are
    taken from a second of a video."""

    camera: Path | None = None
    frame_rate: float = FRAME_RATE

    def __post_init__(self) -> None:
        if not 0 < self.frame_rate <= 1000:
            raise ConfigError(f"--frame-rate {self.frame_rate:g}: must be above 0 images a second")


@dataclass(frozen=True)
class Photos:
    """What `unpack_photos` wrote: `names` of the images in the order of recording, `files` of each in the folder, their
    `size` (width, height), `first`: the file that the first one was made from, and `camera`, where a file said it."""

    folder: Path
    names: tuple[str, ...]
    files: tuple[Path, ...]
    size: tuple[int, int]
    first: Path
    camera: Camera | None


def unpack_photos(
    root: Path, folder: Path, width: int, options: PhotoOptions, progress: Progress | None = None
) -> Photos:
    """Copy the images of `root`, a directory or a video, into `folder`: upright, at most `width` wide, all of one size.

    A folder that was completely written from the same files is left as it is. Raises DatasetError for images of several
    sizes, for too few of them, and for what is none.
    """
    sources = _sources(root)
    declared = None if options.camera is None else read_camera(options.camera)
    asked = {"files": _content(root, sources), "frame_rate": options.frame_rate, "width": width}
    if (record := _read_record(folder)) is None or record["asked"] != asked:
        if folder.exists():
            shutil.rmtree(folder)
        with write_errors(folder):
            (folder / "images").mkdir(parents=True)
        writer = _Writer(root, folder, width, options.frame_rate, progress or Silent())
        writer.write(sources)
        record = {"asked": asked, **writer.summary()}
        write_text(folder / RECORD, json.dumps(record, indent=1) + "\n")
    size, original = tuple(record["size"]), tuple(record["original_size"])
    if declared is not None:
        if (declared.width, declared.height) != original:
            raise DatasetError(
                f"{options.camera}: a camera of {declared.width}x{declared.height} pixels, the images of {root} are "
                f"{original[0]}x{original[1]}"
            )
        declared = declared.resized(*size)
    names = tuple(record["names"])
    files = tuple(folder / "images" / file for file in record["files"])
    return Photos(folder, names, files, size, root.parent / record["first"], declared)


def _sources(root: Path) -> list[Path]:
    """Images and videos in their order: numbers in names count as numbers. Raises DatasetError."""
    if root.is_file():
        if root.suffix.lower() not in VIDEO_ENDINGS:
            raise DatasetError(f"{root}: neither a directory of images nor a video ({', '.join(VIDEO_ENDINGS)})")
        return [root]
    if not root.is_dir():
        raise DatasetError(f"{root}: no such directory or video")
    files = sorted((path for path in root.rglob("*") if path.is_file() and not _is_hidden(path, root)), key=_natural)
    endings = Counter(path.suffix.lower() for path in files)
    found = [path for path in files if path.suffix.lower() in (*IMAGE_ENDINGS, *VIDEO_ENDINGS)]
    unread = {ending: endings[ending] for ending in UNREADABLE_ENDINGS if endings[ending]}
    if unread:
        counts = ", ".join(f"{count} {ending}" for ending, count in unread.items())
        how = "; `heif-convert` does it, or Python with pillow-heif" if unread.keys() & set(HEIF_ENDINGS) else ""
        raise DatasetError(
            f"{root}: {counts}: images have to be converted to JPEG first, with their EXIF data, which have the focal "
            f"length{how}"
        )
    if not found:
        raise DatasetError(f"{root}: no images ({', '.join(IMAGE_ENDINGS)}) and no videos in it")
    return found


def _is_hidden(path: Path, root: Path) -> bool:
    """As what other systems leave beside photos: thumbnails, and `._IMG_0001.jpg`, which is no image."""
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def photo_name(text: str) -> str:
    """The name of the photo whose file has this one: names have no blanks."""
    return re.sub(r"\s", "_", text)


def _natural(path: Path) -> list[tuple[int, str]]:
    """A key that puts image 9 before image 10."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _content(root: Path, sources: list[Path]) -> str:
    """What tells these files from others: their names, sizes and times."""
    digest = hashlib.sha256()
    for path in sources:
        status = path.stat()
        digest.update(f"{path.relative_to(root.parent)} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _read_record(folder: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_text())
        return record if {"asked", "names", "files", "size", "original_size", "first"} <= set(record) else None
    except (OSError, ValueError, TypeError):
        return None


class _Writer:
    """Writes the copies, and remembers of which sizes the images were."""

    def __init__(self, root: Path, folder: Path, width: int, frame_rate: float, progress: Progress) -> None:
        self._root, self._folder, self._width = root, folder, width
        self._frame_rate, self._progress = frame_rate, progress
        self._files: dict[str, str] = {}  # by name
        self._example: dict[tuple[int, int], str] = {}  # by size, an image
        self._counts: Counter[tuple[int, int]] = Counter()
        self._first: Path | None = None
        self._size = (0, 0)

    def write(self, sources: list[Path]) -> None:
        with self._progress.bar("images") as advance:
            for number, path in enumerate(sources, start=1):
                if path.suffix.lower() in VIDEO_ENDINGS:
                    self._video(path, lambda done, total: advance(done, total) if len(sources) == 1 else None)
                else:
                    self._photo(path)
                if len(sources) > 1:
                    advance(number, len(sources))
        self._require_one_size()
        if len(self._files) < FEWEST_PHOTOS:
            raise DatasetError(
                f"{self._root}: {len(self._files)} images are too few for a map, at least {FEWEST_PHOTOS} are needed, "
                "each of which shows much of what another one shows"
            )

    def summary(self) -> dict[str, Any]:
        assert self._first is not None
        (original,) = self._counts
        return {
            "names": list(self._files),
            "files": list(self._files.values()),
            "size": list(self._size),
            "original_size": list(original),
            "first": str(self._first.relative_to(self._root.parent)),
        }

    def _photo(self, path: Path) -> None:
        data = read_bytes(path)
        try:
            rgb = decode_upright(data)
        except ImageError as error:
            raise DatasetError(f"{path}: {error}") from error
        self._first = self._first or path
        plain = rgb.shape[1] <= self._width and EXIF_START not in data[:HEADER_BYTES]
        name = str(path.relative_to(self._root).with_suffix(""))
        self._add(name, path, rgb, (data, path.suffix.lower()) if plain else None)

    def _video(self, path: Path, advance: Callable[[int, int], None]) -> None:
        self._first = self._first or path
        inside = "" if path == self._root else f"{path.relative_to(self._root).with_suffix('')}/"
        for seconds, rgb in video_frames(path, self._frame_rate, self._progress.say, advance):
            self._add(f"{inside}{seconds:09.3f}", path, rgb, None)

    def _add(self, name: str, path: Path, rgb: NDArray[np.uint8], as_it_is: tuple[bytes, str] | None) -> None:
        name = photo_name(name)
        if name in self._files:
            raise DatasetError(f"{path}: there is another image of the name '{name}'; names count without endings")
        height, width = rgb.shape[:2]
        self._counts[width, height] += 1
        self._example.setdefault((width, height), name)
        content, ending = as_it_is or (_jpeg(_small(rgb, self._width)), ".jpg")
        file = self._folder / "images" / f"{name}{ending}"
        with write_errors(file):  # complete or not: RECORD says so
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        self._files[name] = f"{name}{ending}"
        self._size = small_size(width, height, self._width)

    def _require_one_size(self) -> None:
        if len(self._counts) > 1:
            sizes = ", ".join(
                f"{count} of {width}x{height} ('{self._example[width, height]}')"
                for (width, height), count in self._counts.most_common(4)
            )
            raise DatasetError(
                f"{self._root}: images of {len(self._counts)} sizes, turned upright as EXIF says: {sizes}; a map is "
                "made from one camera, held one way: keep those of one size"
            )


def small_size(width: int, height: int, most: int) -> tuple[int, int]:
    """Width and height of the copy of an image, at most so wide."""
    factor = min(1.0, most / width)
    return round(width * factor), round(height * factor)


def _small(rgb: NDArray[np.uint8], most: int) -> NDArray[np.uint8]:
    size = small_size(rgb.shape[1], rgb.shape[0], most)
    return rgb if size == rgb.shape[1::-1] else np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))


def _jpeg(rgb: NDArray[np.uint8]) -> bytes:
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return bytes(encoded.tobytes())
