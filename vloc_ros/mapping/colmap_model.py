"""A COLMAP model as plain arrays, read by pycolmap in a process of its own.

A damaged model makes pycolmap take all memory, run for ever or abort; none of that may happen to who asks.
"""

import resource
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.errors import ConfigError, DatasetError, reason_of
from vloc_ros.optional_packages import pip_install

Float = NDArray[np.float64]

# The least bytes that one takes of what a binary file lists. How many it lists stands in front.
LEAST_BYTES = {"cameras": 48, "images": 73, "points3D": 51, "rigs": 8, "frames": 68}
# Of an image and of a point: bytes before its name, if it has one, and its list, and those of one item of that.
LISTS = {"images": (64, True, 24), "points3D": (43, False, 8)}
COUNT = struct.Struct("<Q")
MEMORY_BYTES, MEMORY_PER_BYTE = 1 << 30, 40  # more than pycolmap itself, and for each byte of the model
SECONDS, BYTES_PER_SECOND = 60.0, 500_000  # as long as it may take, on a busy computer too
EXIT_UNREADABLE, EXIT_NO_PYCOLMAP = 3, 4
LENS_PARAMS = 12  # at most


@dataclass(frozen=True, eq=False)
class ColmapModel:
    """Images: names, and the width and height (I, 2) of their cameras. Points: positions (P, 3), the lengths (P,) of
    their tracks and mean reprojection errors (P,) in pixels. Observations: the image's and the point's row (O,) each,
    and where (O, 2), in COLMAP's pixels. The images' poses `camera_from_world` (I, 4, 4), the rows (I,) of their
    cameras, and of these the models' names (C,) and the parameters (C, 12), zeros behind those that the model has."""

    names: NDArray[np.str_]
    sizes: NDArray[np.int64]
    camera_from_world: Float
    cameras: NDArray[np.int64]
    lens_models: NDArray[np.str_]
    lens_params: Float
    positions: Float
    track_lengths: NDArray[np.int64]
    errors: Float
    observed_by: NDArray[np.int64]
    observed: NDArray[np.int64]
    pixels: Float


def read_model(directory: Path) -> ColmapModel:
    """The model in `directory`: cameras, images, points3D, .bin or .txt.

    Raises DatasetError for one that cannot be read within bounds of time and memory that follow from its size,
    ConfigError where pycolmap is not installed.
    """
    require_model(directory)
    for name, least in LEAST_BYTES.items():
        if (path := directory / f"{name}.bin").is_file():
            _require_whole(path, name, least)
    size = sum(path.stat().st_size for path in directory.iterdir() if path.is_file())
    with tempfile.TemporaryDirectory(prefix="vloc_colmap.") as folder:
        file = Path(folder) / "model.npz"
        _convert(directory, file, MEMORY_BYTES + MEMORY_PER_BYTE * size, SECONDS + size / BYTES_PER_SECOND)
        with np.load(file) as arrays:
            return ColmapModel(**{field.name: arrays[field.name] for field in fields(ColmapModel)})


def image_count(directory: Path) -> int:
    """How many images with poses the binary model in a directory has."""
    with (directory / "images.bin").open("rb") as file:
        return int.from_bytes(file.read(COUNT.size), "little")


def require_model(directory: Path) -> None:
    """Raise DatasetError for a directory without the files of a model; it says where they are if they are below it."""
    if not directory.is_dir():
        raise DatasetError(f"{directory}: no such directory, it should hold a COLMAP model")
    if not any(directory.glob("cameras.*")):
        models = sorted({str(part.parent) for depth in ("*", "*/*") for part in directory.glob(f"{depth}/cameras.*")})
        hint = f"; give one of {', '.join(models)}" if models else ""
        raise DatasetError(f"{directory}: no COLMAP model in it, which has cameras.bin or cameras.txt{hint}")


def _require_whole(path: Path, name: str, least: int) -> None:
    """Raise DatasetError for a binary file that is shorter, or longer, than what it says that it holds."""
    content = path.read_bytes()
    count = int.from_bytes(content[: COUNT.size], "little")
    if len(content) < COUNT.size + count * least:
        raise DatasetError(f"{path}: damaged or cut short, {len(content)} bytes are too few for {count} {name}")
    if name in LISTS and (end := _end_of_lists(content, count, *LISTS[name])) != len(content):
        raise DatasetError(f"{path}: damaged or cut short, its {count} {name} take {end} bytes, it has {len(content)}")


def _end_of_lists(content: bytes, count: int, before: int, named: bool, item: int) -> int:
    """Where the last of so many images or points ends; beyond the content where the walk leaves that."""
    place = COUNT.size
    for _ in range(count):
        place += before
        if named:
            place = content.find(b"\0", place) + 1 or len(content)
        if place + COUNT.size > len(content):
            return place + COUNT.size
        place += COUNT.size + item * COUNT.unpack_from(content, place)[0]
    return place


def _convert(directory: Path, file: Path, memory: int, seconds: float) -> None:
    """Have another process write the model as arrays."""
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; from {__name__} import main; main()"]
    arguments = [str(directory), str(file), str(memory), str(int(seconds))]
    try:
        done = subprocess.run(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DatasetError(f"{directory}: not a COLMAP model: reading it took more than {seconds:.0f} s") from error
    if done.returncode == EXIT_NO_PYCOLMAP:
        raise ConfigError(f"a COLMAP model needs the Python package 'pycolmap': {pip_install('pycolmap')}")
    if done.returncode == EXIT_UNREADABLE:
        raise DatasetError(f"{directory}: not a COLMAP model: {done.stdout.decode(errors='replace').strip()}")
    if done.returncode != 0:
        raise DatasetError(f"{directory}: not a COLMAP model: pycolmap ended with code {done.returncode} reading it")


def main() -> None:
    """The other process: DIRECTORY FILE MEMORY SECONDS. Says on its output why a model cannot be read."""
    directory, file, memory, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        import pycolmap
    except ImportError:
        sys.exit(EXIT_NO_PYCOLMAP)
    memory += _address_space()
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        arrays: dict[str, Any] = _arrays(pycolmap.Reconstruction(directory))
        np.savez(file, **arrays)
    except MemoryError:
        print("it is damaged, it asks for more memory than a model of its size can need")
        sys.exit(EXIT_UNREADABLE)
    except (ValueError, RuntimeError, IndexError, KeyError, UnicodeDecodeError) as error:
        print(reason_of(error))
        sys.exit(EXIT_UNREADABLE)


def _address_space() -> int:
    """Bytes that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _arrays(model: Any) -> dict[str, NDArray[Any]]:
    """The fields of ColmapModel from a pycolmap.Reconstruction."""
    images = [image for _, image in sorted(model.images.items())]
    lenses = [camera for _, camera in sorted(model.cameras.items())]
    lens_row = {number: row for row, number in enumerate(sorted(model.cameras))}
    cameras = [model.cameras[image.camera_id] for image in images]
    points = [point for _, point in sorted(model.points3D.items())]
    row_of = {number: row for row, number in enumerate(sorted(model.points3D))}
    observations = [
        (number, row_of[point.point3D_id], *point.xy)
        for number, image in enumerate(images)
        for point in image.get_observation_points2D()
    ]
    table = np.array(observations, dtype=np.float64).reshape(-1, 4)
    return {
        "names": np.array([image.name for image in images], dtype=np.str_),
        "sizes": np.array([(camera.width, camera.height) for camera in cameras], dtype=np.int64).reshape(-1, 2),
        "camera_from_world": np.array([_pose(image) for image in images]).reshape(-1, 4, 4),
        "cameras": np.array([lens_row[image.camera_id] for image in images], dtype=np.int64),
        "lens_models": np.array([camera.model.name for camera in lenses], dtype=np.str_),
        "lens_params": np.array([_padded(camera.params) for camera in lenses]).reshape(-1, LENS_PARAMS),
        "positions": np.array([point.xyz for point in points]).reshape(-1, 3),
        "track_lengths": np.array([point.track.length() for point in points], dtype=np.int64),
        "errors": np.array([point.error for point in points], dtype=np.float64),
        "observed_by": table[:, 0].astype(np.int64),
        "observed": table[:, 1].astype(np.int64),
        "pixels": table[:, 2:],
    }


def _pose(image: Any) -> Float:
    """(4, 4), NaN of an image without."""
    if not image.has_pose:
        return np.full((4, 4), np.nan)
    return np.vstack([image.cam_from_world().matrix(), (0.0, 0.0, 0.0, 1.0)])


def _padded(params: Any) -> Float:
    return np.concatenate([params, np.zeros(LENS_PARAMS)])[:LENS_PARAMS]
