"""Readers of posed images, opened by name."""

from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name

from vloc_ros.datasets.types import Dataset, Frame
from vloc_ros.errors import DatasetError
from vloc_ros.optional_packages import optional_packages, pip_install

__all__ = ["DATASETS", "Dataset", "Frame", "open_dataset"]

Opener = Callable[[Path | None, str, Path | str | None], Dataset]

# kind -> "module:function", imported when asked for; each function takes (root, split, poses)
DATASETS = {
    "seven_scenes": "vloc_ros.datasets.seven_scenes:open_seven_scenes",
    "folder": "vloc_ros.datasets.folder:open_folder",
    "tum": "vloc_ros.datasets.tum_rgbd:open_tum",
    "twelve_scenes": "vloc_ros.datasets.twelve_scenes:open_twelve_scenes",
    "rtabmap": "vloc_ros.datasets.rtabmap:open_rtabmap",
    "cambridge": "vloc_ros.datasets.cambridge:open_cambridge",
    "euroc": "vloc_ros.datasets.euroc:open_euroc",
    "synthetic_room": "vloc_ros.datasets.synthetic_room:open_synthetic_room",
    "synthetic_office": "vloc_ros.datasets.synthetic_room:open_synthetic_office",
    "joined": "vloc_ros.datasets.joined_places:open_joined",
    "recordings": "vloc_ros.datasets.recordings:open_recordings",
}


def open_dataset(kind: str, root: Path | None, split: str, poses: Path | str | None = None) -> Dataset:
    """Open one split of a data set.

    `split`: a name ("train", "test", "all", or NAME where there is a split_NAME.txt) or the path of a file of frame
    names, one a line. `poses`: another source of poses, for the kinds that have several. Raises DatasetError.
    """
    if kind not in DATASETS:
        raise DatasetError(f"unknown data set kind '{kind}', known are {', '.join(DATASETS)}")
    with optional_packages(f"reading {kind}", pip_install("-r requirements/offline.txt")):
        opener: Opener = resolve_name(DATASETS[kind])
    return opener(root, split, poses)
