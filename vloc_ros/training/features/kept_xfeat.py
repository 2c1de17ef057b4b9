"""XFeat as it was exported before, kept per user: maps that are made without training need PyTorch for nothing else.

Of one version of everything that it depends on, the exported file is the same on every computer, and one for each size
of images and number of key points is kept.
"""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vloc_ros.core import feature_spec
from vloc_ros.core.model_spec import ModelSpec
from vloc_ros.errors import reason_of
from vloc_ros.inference.backend import silent
from vloc_ros.inference.engine_cache import Say
from vloc_ros.inference.verified_files import MISSING, cache_root, read_verified, write_verified
from vloc_ros.training.features.xfeat_package import package_files, xfeat_spec

HERE = Path(__file__).parent
# What is written here of the network and its export, and what that calls.
EXPORTER = (HERE / "xfeat.py", HERE / "xfeat_heads.py", HERE.parent / "export.py", Path(feature_spec.__file__))
EXPORTING_PACKAGES = "torch", "onnx"


def exported_xfeat(width: int, height: int, key_points: int, say: Say = silent) -> tuple[bytes, ModelSpec]:
    """What `export_xfeat` exports in float32, without loading PyTorch where that is kept. What is kept and damaged, of
    another version, or may be somebody else's, is exported anew; `say` is told of that, and of a directory in which
    nothing can be kept. Errors as `export_xfeat`."""
    spec = xfeat_spec(width, height, key_points)
    count = spec.outputs[feature_spec.SCORES].shape[0]
    path = cache_root() / "extractors" / f"xfeat_{width}x{height}_{count}"
    key = _key(width, height, count)
    network, fault = read_verified(path, key)
    if not fault:
        return network, spec
    if fault != MISSING:
        say(f"{path}: not used, XFeat is exported anew: {fault}")
    from vloc_ros.training.features.xfeat import export_xfeat

    network, spec = export_xfeat(width, height, key_points)
    try:
        write_verified(path, key, network)
    except OSError as error:
        say(f"{path}: cannot be kept, XFeat is exported for every map: {reason_of(error)}")
    return network, spec


def _key(width: int, height: int, key_points: int) -> dict[str, Any]:
    """All that the exported file depends on."""
    return {
        "image_size": (width, height),
        "key_points": key_points,
        "sources": [_sha256(path) for path in (*package_files(), *EXPORTER)],
        **{name: version(name) for name in EXPORTING_PACKAGES},
    }


def _sha256(path: Path) -> str | None:
    """Of a file's content; None without it, of which who exports says more."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
