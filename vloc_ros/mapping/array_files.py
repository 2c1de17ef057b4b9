"""Arrays by name in a file of their own, for what a stage of map building has made."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.files import atomic_file, write_errors

Arrays = Mapping[str, NDArray[Any]]


def save_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write a file, all at once. Raises ConfigError when it cannot be written."""
    with write_errors(path), atomic_file(path) as file:
        np.savez(file, **arrays)


@contextmanager
def loaded_arrays(path: Path, what: str) -> Iterator[dict[str, NDArray[Any]]]:
    """What `save_arrays` wrote. Raises DatasetError for a file that is not whole, and for arrays that turn out, within
    this context, to be no `what`."""
    try:
        with np.load(path) as archive:
            arrays = {name: archive[name] for name in archive.files}
        yield arrays
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile, ConfigError) as error:
        raise DatasetError(f"{path}: not a complete {what} ({error}); --fresh makes it anew") from error


def group(arrays: Arrays, prefix: str) -> dict[str, Any]:
    """Those whose names begin with PREFIX/, without it."""
    return {name.removeprefix(f"{prefix}/"): value for name, value in arrays.items() if name.startswith(f"{prefix}/")}


def grouped(prefix: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays with PREFIX/ before their names: what `group` takes apart again."""
    return {f"{prefix}/{name}": value for name, value in arrays.items()}
