"""The work directory of `vloc map`: which run it is of, and what that run has settled on."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from vloc_ros.errors import ConfigError
from vloc_ros.files import write_text
from vloc_ros.training.device import Workers, choose_device
from vloc_ros.training.map_options import BASE_BATCH, GPU_BATCH, MapOptions, flatten

SETTINGS = "options.json"  # what the work directory is of, in it
BEFORE = {"moved_views": 0.0, "grey": 0.0}  # of a run from before there were such options


def settled(options: MapOptions, workers: Workers, novel_views: float) -> MapOptions:
    """What was left open becomes what it is in the run that is continued; in a new one there are so many `novel_views`
    for each frame, and batches have the size that suits the device and the number of processes.

    Raises ConfigError if the processes cannot share them evenly.
    """
    try:
        earlier = {} if options.fresh else json.loads((options.workdir / SETTINGS).read_text())
        known = {name: earlier["training"][name] for name in ("batch_size", "accumulate")}
        novel_views = (BEFORE | earlier)["moved_views"]
    except (OSError, ValueError, KeyError, TypeError):  # none, or damaged: claiming the directory says which
        gpu = choose_device().type == "cuda"
        known = {"batch_size": GPU_BATCH if gpu else BASE_BATCH, "accumulate": workers.count}
    training = options.training.settled(**known)
    workers.share_of(training.accumulate)
    asked = options.novel_views
    return replace(options, training=training, novel_views=novel_views if asked is None else asked)


def claim(options: MapOptions) -> None:
    """Make the work directory, or make sure that what it holds belongs to a run of the same options.

    Raises ConfigError for a run of other options, and for a directory of something else, which --fresh would delete.
    """
    workdir, settings = options.workdir, options.workdir / SETTINGS
    try:
        if settings.is_file() and not options.fresh:
            _require_same_options(options, settings)
            return
        if settings.is_file():
            shutil.rmtree(workdir)
        elif workdir.exists() and any(workdir.iterdir()):
            raise ConfigError(f"{workdir}: is not empty and holds no {settings.name}, so it is no work directory")
        workdir.mkdir(parents=True, exist_ok=True)
        write_text(settings, json.dumps(options.fingerprint(), indent=1) + "\n")
    except OSError as error:
        raise ConfigError(f"{workdir}: cannot be the work directory: {error.strerror or error}") from error


def _require_same_options(options: MapOptions, settings: Path) -> None:
    try:
        found = BEFORE | flatten(json.loads(settings.read_text()))
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"{settings}: damaged ({error}); --fresh starts anew") from error
    for name, wanted in flatten(options.fingerprint()).items():
        if found.get(name) != wanted:
            raise ConfigError(
                f"{options.workdir}: holds a run with {name}={found.get(name)}, now it is {wanted}; "
                "use its options to continue it, --fresh to start anew, or another --workdir"
            )
