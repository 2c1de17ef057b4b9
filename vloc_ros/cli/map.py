"""`vloc map`: make a map from posed images. PyTorch is loaded only where it is needed, when the command runs."""

import argparse
import os
from pathlib import Path

from vloc_ros.cli.command import Command
from vloc_ros.cli.map_recording import add_recording, recording_options
from vloc_ros.cli.map_update import add_update, update_options
from vloc_ros.cli.options import add_dataset, add_engine, add_old_name, add_split, engine_options
from vloc_ros.cli.progress_bar import TerminalProgress
from vloc_ros.core.model_spec import PRECISIONS
from vloc_ros.errors import ConfigError
from vloc_ros.maps.names import MANIFEST_FILE
from vloc_ros.methods import DEFAULT_METHOD, METHODS
from vloc_ros.optional_packages import optional_packages, pip_install

ADDED_PRECISIONS = tuple(precision for precision in PRECISIONS if precision != "float32")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from vloc_ros.cli.map_photos import add_photos
    from vloc_ros.training.map_options import UNPOSED, MapOptions
    from vloc_ros.training.method_options import OF_BUILDINGS, STAGES

    add_dataset(parser, more=UNPOSED)
    add_split(parser, default="train")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="map directory to write")
    _add(parser, "--frame-id", MapOptions.frame_id, "name of the poses' frame")
    parser.add_argument("--mesh", type=Path, metavar="FILE", help="surface of the place, instead of fusing depth")
    rate = MapOptions.false_positive_rate
    _add(
        parser, "--false-positive-rate", rate, "share of wrong poses that the gate may pass", type=float, metavar="RATE"
    )
    parser.add_argument(
        "--precision",
        nargs="+",
        default=(),
        choices=ADDED_PRECISIONS,
        help="of more networks for GPUs, beside the one in float32; any run in --workdir can be given them later",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a map of another run, or one that was changed, in --out, once the new one is made",
    )
    parser.add_argument("--workdir", type=Path, metavar="DIR", help="checkpoints and logs (default: OUT.work)")
    parser.add_argument("--fresh", action="store_true", help="start anew, delete what an interrupted run left")
    stages = [stage for stage in STAGES if stage not in OF_BUILDINGS]
    parser.add_argument("--until", choices=stages, help="stop after this stage; a later run without it continues")
    add_engine(parser, "map the places of --dataset joined one by one, as a building")
    add_update(parser)
    add_recording(parser)
    add_photos(parser)
    _add_methods(parser)
    _add_training(parser.add_argument_group("training"))


def _add_methods(parser: argparse.ArgumentParser) -> None:
    """The options of all methods; one that several have stands once, and what is not given is not set."""
    from vloc_ros.training.method_options import flags_of, options_class

    group = parser.add_argument_group("the method")
    _add(group, "--method", DEFAULT_METHOD, "localization method", choices=tuple(METHODS))
    flags = {method: flags_of(options_class(method)) for method in METHODS}
    for name in dict.fromkeys(name for each in flags.values() for name in each):
        owners = {method: each[name] for method, each in flags.items() if name in each}
        flag = next(iter(owners.values()))
        group.add_argument(
            flag.name, dest=name, type=flag.parse, metavar=flag.metavar or name.upper(), default=argparse.SUPPRESS,
            help="; ".join(f"{method}: {each.describe()}" for method, each in owners.items()),
        )  # fmt: skip


def _add_training(group: "argparse._ArgumentGroup") -> None:
    from vloc_ros.training.map_options import (
        BASE_BATCH,
        GPU_BATCH,
        NOVEL_VIEWS,
        MapOptions,
        TrainingOptions,
    )
    from vloc_ros.training.method_options import DENSE_MINUTES

    group.add_argument(
        "--width", type=int, metavar="PIXELS",
        help="of the network's input (default: 320; of vsnet's preset xfeat 640, of pram at most 640)",
    )  # fmt: skip
    novel_views = group.add_argument(
        "--novel-views", type=float, metavar="COUNT",
        help="so many views from beside the path for each frame, rendered from the frames' depth "
        f"(default: {NOVEL_VIEWS:g} where there is depth and labels are dense)",
    )  # fmt: skip
    add_old_name(group, "--moved-views", novel_views)
    _add(
        group, "--grey", MapOptions.grey, "this share of the training images without their colours, 0 to 1, for a map "
        "that grey cameras can use too; 1 for grey cameras alone", type=float, metavar="SHARE",
    )  # fmt: skip
    length = group.add_mutually_exclusive_group()
    length.add_argument(
        "--minutes", type=float, help=f"train for this time (default: {DENSE_MINUTES:g}; pram's recognizer 2)"
    )
    length.add_argument("--epochs", type=int, help="train for this many passes over the images")
    group.add_argument(
        "--batch-size", type=int, default=0, metavar="COUNT",
        help=f"images that go through the network together (default: {BASE_BATCH} on a CPU, {GPU_BATCH} on a GPU)",
    )  # fmt: skip
    group.add_argument(
        "--accumulate", type=int, default=0, metavar="COUNT",
        help="such batches a step, shared among the processes (default: one for each process)",
    )  # fmt: skip
    group.add_argument("--compile", action="store_true", help="use torch.compile, where it works")
    _add(group, "--seed", TrainingOptions.seed, "of all that is random", type=int)


def _add(group: "argparse._ActionsContainer", name: str, default: object, help: str, **settings: object) -> None:
    """An option whose help says its default."""
    group.add_argument(name, default=default, help=f"{help} (default: %(default)s)", **settings)  # type: ignore[arg-type]


def run(options: argparse.Namespace) -> int:
    from vloc_ros.cli.map_photos import photo_options
    from vloc_ros.training.map_options import MapOptions, TrainingOptions
    from vloc_ros.training.method_options import flags_of, make_options, options_class

    out = Path(os.path.realpath(options.out))
    workdir = options.workdir or out.with_name(f"{out.name}.work")
    if Path(os.path.realpath(workdir)).is_relative_to(out):
        raise ConfigError(f"--workdir {workdir}: is inside --out {options.out}, which holds the map and nothing else")
    engine = engine_options(options)
    if engine is None:
        _require_no_other_map(options, workdir)
    methods_own = {name for method in METHODS for name in flags_of(options_class(method))}
    method = make_options(options.method, {n: v for n, v in vars(options).items() if n in methods_own})
    if "training" not in method.stages:
        _require_nothing_to_train(options)
    map_options = MapOptions(
        dataset=options.dataset,
        root=options.root,
        split=options.split,
        out=options.out,
        workdir=workdir,
        method=method,
        poses=options.poses,
        mesh=options.mesh,
        width=options.width,
        novel_views=options.novel_views,
        grey=options.grey,
        frame_id=options.frame_id,
        false_positive_rate=options.false_positive_rate,
        fresh=options.fresh,
        until=options.until,
        precisions=tuple(dict.fromkeys(options.precision)),
        recording=recording_options(options),
        photos=photo_options(options),
        update=update_options(options),
        training=TrainingOptions(
            minutes=_minutes(options, method.minutes),
            epochs=options.epochs,
            batch_size=options.batch_size,
            accumulate=options.accumulate,
            compile=options.compile,
            seed=options.seed,
        ),
    )
    with optional_packages("making maps", pip_install("-r requirements/offline.txt")):
        if engine is not None:
            from vloc_ros.training.building import map_building

            map_building(map_options, engine, TerminalProgress(), options.overwrite)
            return 0
        from vloc_ros.training.stages.build_map import build_map
        from vloc_ros.training.update_map import update_map

        make = build_map if map_options.update is None else update_map
        make(map_options, TerminalProgress())  # loads more, if that is needed
    return 0


def _minutes(options: argparse.Namespace, default: float) -> float | None:
    """None where epochs are given."""
    return options.minutes if options.minutes is not None or options.epochs is not None else default


def _require_nothing_to_train(options: argparse.Namespace) -> None:
    """Raise ConfigError for an option of a training that a map does without."""
    from vloc_ros.training.method_options import described

    for name in ("minutes", "epochs", "batch_size", "accumulate", "compile"):
        if value := getattr(options, name):
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{flag} {value}: nothing is trained, the method is {described(options.method)}")


def _require_no_other_map(options: argparse.Namespace, workdir: Path) -> None:
    """A map that this run has not made is replaced only for who says so. Raises ConfigError."""
    from vloc_ros.training.method_options import STAGES
    from vloc_ros.training.stages.stage_records import content_of, written_map

    writes_map = options.until in (None, STAGES[-1])
    manifest = options.out / MANIFEST_FILE
    is_own = not options.fresh and written_map(workdir) == content_of(manifest)
    if writes_map and manifest.exists() and not is_own and not options.overwrite:
        raise ConfigError(f"{options.out}: there is a map already; --overwrite replaces it once the new one is made")


COMMAND = Command(
    "Make a map from posed images, in stages: sources, geometry, regions, samples, training, export, calibration; with "
    "the method pram sources, features, poses, geometry, regions, export, calibration. Interrupted, the same command "
    "goes on where it was; a stage whose inputs have not changed is not repeated.",
    add_arguments,
    run,
)
