"""`vloc engine`: build a map's TensorRT engine ahead of time, list the engines that are kept, and remove them."""

import argparse
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from vloc_ros.cli.command import Command
from vloc_ros.cli.options import add_signature, checked_map
from vloc_ros.core.model_spec import PRECISIONS
from vloc_ros.errors import ConfigError

if TYPE_CHECKING:
    from vloc_ros.inference.engine_cache import CacheEntry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    build = actions.add_parser("build", help="build the engine of a map for the GPU of this computer")
    build.add_argument("map", type=Path, metavar="MAP", help="map directory, as `vloc map` writes it")
    build.add_argument(
        "--precision",
        default="auto",
        choices=("auto", *PRECISIONS),
        help="which of the map's networks (default: as when localizing, float16 if the map has it)",
    )
    add_signature(build)
    build.add_argument("--max-batch", type=int, default=1, metavar="N", help="most images at once (default: 1)")
    build.add_argument(
        "--workspace-mb",
        type=_positive,
        metavar="M",
        help="GPU memory that one layer may use for itself, in MiB; builds anew, whatever is kept (default: 1024)",
    )
    actions.add_parser("list", help="list the engines that are kept, and for what")
    clean = actions.add_parser("clean", help="remove engines that this computer cannot use any more")
    clean.add_argument("--all", action="store_true", help="remove all engines, and timing caches too")


def run(options: argparse.Namespace) -> int:
    return ACTIONS[options.action](options)


def _build(options: argparse.Namespace) -> int:
    from vloc_ros.inference import choose_precision
    from vloc_ros.inference.backend import SessionSettings
    from vloc_ros.inference.engines import BuildSettings
    from vloc_ros.inference.onnx_file import require_plain
    from vloc_ros.inference.tensorrt import TensorRtSession

    stored = checked_map(options)
    building = BuildSettings() if options.workspace_mb is None else BuildSettings(options.workspace_mb, anew=True)
    for role, spec in stored.landmark_map.manifest.models.items():
        networks = stored.networks[role]
        precision = choose_precision(networks, "tensorrt", options.precision)
        require_plain(networks[precision])
        settings = SessionSettings(precision, max_batch=options.max_batch, say=_say)
        with closing(TensorRtSession(networks[precision], spec, settings, building)) as session:
            print(f"ready: {session.backend}, images at once: {session.max_batch}")
    return 0


def _list(options: argparse.Namespace) -> int:
    from vloc_ros.inference.engine_cache import EngineCache, cache_directory

    entries = EngineCache(cache_directory(), _say).entries()
    for entry in entries:
        print(_describe(entry))
    print(f"{len(entries)} files, {sum(entry.size_bytes for entry in entries) / 1e6:.1f} MB, in {cache_directory()}")
    return 0


def _clean(options: argparse.Namespace) -> int:
    from vloc_ros.inference.engine_cache import EngineCache, cache_directory

    keep = (lambda entry: False) if options.all else _usable_here()
    for entry in EngineCache(cache_directory(), _say).clean(keep):
        print(f"removed {_describe(entry)}")
    return 0


def _usable_here() -> "Callable[[CacheEntry], bool]":
    """Whether this computer can use a file of the cache. Raises ConfigError where TensorRT cannot run."""
    from vloc_ros.inference.backend import BackendUnavailableError
    from vloc_ros.inference.cuda import Cuda
    from vloc_ros.inference.engine_cache import RECIPE
    from vloc_ros.inference.tensorrt_library import TensorRt

    try:
        version, gpu = TensorRt().version, Cuda().gpu
    except BackendUnavailableError as error:
        raise ConfigError(f"cannot tell which engines can be used here: {error}; --all removes them all") from error
    here = (version, gpu.name, gpu.compute_capability, RECIPE)

    def usable(entry: "CacheEntry") -> bool:
        if not (key := entry.key):
            return not entry.fault
        return (key.tensorrt, key.gpu, key.compute_capability, key.recipe) == here

    return usable


def _describe(entry: "CacheEntry") -> str:
    text = f"{entry.path.name}  {entry.size_bytes / 1e6:.1f} MB  {entry.kind}"
    if key := entry.key:
        is_image = len(key.input_shape) == 3
        size = "x".join(map(str, key.input_shape[1::-1] if is_image else key.input_shape))
        text += (
            f": {key.precision} {size}, batches to {key.max_batch}, TensorRT {key.tensorrt}, "
            f"{key.gpu} ({key.compute_capability}), network {key.network_sha256[:12]}"
        )
    return text


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} must be at least 1")
    return value


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


ACTIONS = {"build": _build, "list": _list, "clean": _clean}
COMMAND = Command(__doc__, add_arguments, run)
