"""Command line options that several commands share."""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vloc_ros.core.camera_warnings import field_of_view_warnings, lens_model_warnings
from vloc_ros.core.manifest import NO_SCALE
from vloc_ros.core.model_spec import PRECISIONS
from vloc_ros.datasets import DATASETS
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera import Camera
from vloc_ros.inference import BACKENDS, DEFAULTS, SessionOptions
from vloc_ros.inference.backend import silent
from vloc_ros.localizer import Localizer, load_localizer
from vloc_ros.maps import StoredMap, read_map, require_signature
from vloc_ros.optional_packages import pip_install
from vloc_ros.tasks import Engine

SEARCH = "search"


def add_map(parser: argparse.ArgumentParser) -> None:
    """Open it with `opened_map`."""
    parser.add_argument("--map", required=True, type=Path, metavar="DIR", help="map directory, as `vloc map` writes it")
    add_signature(parser)


def add_signature(parser: argparse.ArgumentParser) -> None:
    """Read the map with `checked_map`."""
    parser.add_argument(
        "--require-signature", type=Path, metavar="PUBLIC_KEY",
        help="refuse a map that `vloc sign` did not sign with the private key of this one",
    )  # fmt: skip


def checked_map(options: argparse.Namespace) -> StoredMap:
    """The map of the options, and its signature checked where they ask for it. Raises VlocError."""
    stored = read_map(options.map)
    if options.require_signature:
        require_signature(stored, str(options.map), options.require_signature)
    return stored


def opened_map(
    options: argparse.Namespace, session: SessionOptions = DEFAULTS, say: Callable[[str], None] = silent
) -> Localizer:
    """The same, or a building, with its networks, as `load_localizer`."""
    return load_localizer(options.map, session, say, options.require_signature)


def add_session(parser: argparse.ArgumentParser) -> None:
    """Read them with `session_options`."""
    group = parser.add_argument_group("what runs the network")
    group.add_argument("--backend", default="auto", choices=("auto", *BACKENDS), help="(default: the first that works)")
    group.add_argument(
        "--precision", default="auto", choices=("auto", *PRECISIONS), help="of its arithmetic (default: what suits)"
    )
    group.add_argument("--threads", type=int, default=0, help="of the CPU (default: one per core)")


def session_options(options: argparse.Namespace, max_batch: int = 1) -> SessionOptions:
    """What the options of `add_session` say. Raises ConfigError."""
    return SessionOptions(options.backend, options.precision, options.threads, max_batch)


def add_engine(parser: argparse.ArgumentParser, what: str) -> None:
    """What runs tasks. Read it with `engine_options`."""
    group = parser.add_argument_group("workers", f"{what}; needs the package `distributed`")
    group.add_argument("--workers", type=int, metavar="N", help="so many processes here, each of one core")
    group.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster, which sees the same files: tcp://...")


def engine_options(options: argparse.Namespace) -> Engine | None:
    """What the options of `add_engine` say; None where they say nothing. Raises ConfigError."""
    if options.workers is None and options.scheduler is None:
        return None
    return Engine(options.workers, options.scheduler)


def note(line: str) -> None:
    """Tell the person who started the command, not what reads its output."""
    print(line, file=sys.stderr)


class _OldName(argparse.Action):
    """What an option was called before: does as the option does, and says what it is called now."""

    def __init__(self, option_strings: Sequence[str], dest: str, renamed: argparse.Action) -> None:
        suppressed = argparse.SUPPRESS
        super().__init__(
            option_strings, renamed.dest, renamed.nargs, choices=renamed.choices, default=suppressed, help=suppressed
        )
        self.type, self.metavar = renamed.type, renamed.metavar
        self.renamed = renamed

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        new = self.renamed.option_strings[0]
        note(f"note: {option_string} is called {new} now; the old name works until the next release")
        self.renamed.required = False  # it has been given
        self.renamed(parser, namespace, values, new)


def add_old_name(container: "argparse._ActionsContainer", old: str, renamed: argparse.Action) -> None:
    """Let `old`, such as "--moved-views", still mean the option `renamed` for one release: it prints one line on stderr
    that says the new name, and is not in the help. `container` is what the option was added to."""
    container.add_argument(old, action=_OldName, renamed=renamed)


def warn_of_cameras(localizer: Localizer, cameras: Iterable[Camera]) -> None:
    """Warn of cameras whose lens is not the map's, or whose focal lengths are far from it, of each once; and of a map
    in no unit, before all of them."""
    given, manifest = list(cameras), localizer.landmark_map.manifest
    if manifest.unknown_scale:
        note(f"warning: {NO_SCALE}")
    for doubt in (*lens_model_warnings(given, manifest), *field_of_view_warnings(given, manifest)):
        note(f"warning: {doubt}")


def refuse_options(options: argparse.Namespace, names: Sequence[str], why: str) -> None:
    """Raise ConfigError for one of these options that is given: whoever gives it expects something of it."""
    for name in names:
        if value := getattr(options, name):
            words = value if isinstance(value, list) else [] if value is True else [value]
            raise ConfigError(f"{' '.join(map(str, (f'--{name}'.replace('_', '-'), *words)))}: {why}")


def add_dataset(parser: argparse.ArgumentParser, required: bool = True, more: Sequence[str] = ()) -> None:
    """A data set, of a kind of DATASETS or of those `more`."""
    parser.add_argument("--dataset", required=required, choices=(*DATASETS, *more), help="kind of posed images")
    parser.add_argument(
        "--root", type=Path, metavar="PATH", help="directory, file of joined places, or bag, where they are"
    )
    parser.add_argument(
        "--poses",
        metavar="FILE",
        help="file of poses to use instead of the data set's own, e.g. poses_sfm.txt; of a "
        "bag: tf, tf:FRAME, a topic or a TUM file (default: the only topic of poses, odometry aside)",
    )


def add_bag_topics(parser: "argparse._ActionsContainer") -> None:
    only = "(default: the only one that can be meant)"
    parser.add_argument("--image-topic", default="", metavar="TOPIC", help=f"the bag's images {only}")
    parser.add_argument("--camera-info-topic", default="", metavar="TOPIC", help=f"their camera_info {only}")
    parser.add_argument(
        "--tf-topic",
        nargs="+",
        action="extend",
        default=[],
        metavar="TOPIC",
        help="the bag's TF, all its topics (default: tf and tf_static of the images' namespace, or the closest above)",
    )


def add_bag_camera(parser: "argparse._ActionsContainer") -> None:
    """Which of a bag's cameras, and what is known of it."""
    add_bag_topics(parser)
    parser.add_argument("--rectified", action="store_true", help="the images are undistorted: use camera_info's P")
    parser.add_argument(
        "--camera-frame",
        default="",
        metavar="FRAME",
        help="the frame of the camera's optical centre (default: as in the images' headers)",
    )


def add_cameras(parser: "argparse._ActionsContainer", what: str) -> None:
    """Several cameras of a rig; `what` they are named by."""
    parser.add_argument(
        "--cameras", nargs="+", default=[], metavar="NAME",
        help=f"localize images of one moment together, of several cameras, each named by {what}; poses are of the "
        "first",
    )  # fmt: skip


def add_camera_frames(parser: "argparse._ActionsContainer") -> None:
    """Of several cameras of a bag."""
    parser.add_argument(
        "--camera-frames", nargs="+", default=[], metavar="FRAME",
        help="the frames of the optical centres of --cameras (default: as in the images' headers)",
    )  # fmt: skip


def time_offset(options: argparse.Namespace) -> tuple[float, bool]:
    """Seconds, and whether they are to be searched, of --time-offset SECONDS|search. Raises ConfigError."""
    text = options.time_offset
    try:
        return (0.0, True) if text == SEARCH else (float(text), False)
    except ValueError:
        raise ConfigError(f"--time-offset {text}: neither seconds nor '{SEARCH}'") from None


def add_split(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--split",
        default=default,
        metavar="NAME_OR_FILE",
        help="train, test, all, any NAME that has a split_NAME.txt, or a file of frame names (default: %(default)s)",
    )


def add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--report", type=_report, metavar="FILE.html", help="write a report to look at, which needs matplotlib"
    )


def _report(path: str) -> Path:
    """The path; ConfigError, before any work is done, where there is nothing to draw with."""
    if find_spec("matplotlib") is None:
        raise ConfigError(f"--report needs the Python package 'matplotlib': {pip_install('matplotlib')}")
    return Path(path)
