"""The geometry that training starts from, kept on disk so that an interrupted run does not make it twice."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.mapping.landmarks import Landmarks
from vloc_ros.mapping.surface import Surface


def save_scene(path: Path, surface: Surface, landmarks: Landmarks) -> None:
    """Write surface and landmarks, all at once."""
    partial = path.with_suffix(".partial.npz")
    np.savez(
        partial,
        **{f"surface_{name}": value for name, value in vars(surface).items()},
        **{f"landmarks_{name}": value for name, value in vars(landmarks).items()},
    )
    partial.replace(path)


def load_scene(path: Path) -> tuple[Surface, Landmarks]:
    """Read what `save_scene` wrote. Raises DatasetError for a file that is not whole."""
    try:
        with np.load(path) as archive:
            parts = {name: archive[name] for name in archive.files}
        surface = {name.removeprefix("surface_"): v for name, v in parts.items() if name.startswith("surface_")}
        landmarks = {name.removeprefix("landmarks_"): v for name, v in parts.items() if name.startswith("landmarks_")}
        surface["voxel_size"] = float(surface["voxel_size"])
        return Surface(**surface), Landmarks(**landmarks)
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile, ConfigError) as error:
        raise DatasetError(f"{path}: not a complete scene ({error}); --fresh makes it anew") from error
