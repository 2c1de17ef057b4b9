"""Data sets that several cameras recorded."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from vloc_ros.datasets.types import Dataset
from vloc_ros.errors import ConfigError


@runtime_checkable
class HasRig(Protocol):
    """A data set whose frames other cameras may be added to."""

    @property
    def camera_names(self) -> tuple[str, ...]:
        """All cameras that it has."""
        ...

    def with_cameras(self, names: Sequence[str]) -> Dataset:
        """The same with `Frame.others`; the first of the cameras is the one whose poses the frames have. Raises
        ConfigError for a camera that there is not."""
        ...


def seen_by(dataset: Dataset, cameras: Sequence[str]) -> Dataset:
    """The data set as these cameras saw it, itself where none is named. Raises ConfigError where it has one only, or a
    name is there twice."""
    if not cameras:
        return dataset
    if twice := [name for name in cameras if list(cameras).count(name) > 1]:
        raise ConfigError(f"cameras: '{twice[0]}' is named twice")
    if not isinstance(dataset, HasRig) or len(dataset.camera_names) < 2:
        raise ConfigError(f"cameras {', '.join(cameras)}: this data set is of one camera")
    return dataset.with_cameras(cameras)


def first_cameras(dataset: Dataset, count: int) -> tuple[str, ...]:
    """So many of a data set's cameras; none, if it is one. Raises ConfigError where there are not so many."""
    names = dataset.camera_names if isinstance(dataset, HasRig) else ("",)
    if not 1 <= count <= len(names):
        raise ConfigError(f"--cameras {count}: this data set is of {len(names)}")
    return names[:count] if count > 1 else ()
