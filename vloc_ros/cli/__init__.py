"""The command `vloc`: one file per sub-command, each a thin layer over the library."""

import argparse
import errno
import io
import logging
import os
import resource
import sys
from collections.abc import Sequence
from pkgutil import resolve_name
from typing import NoReturn

from vloc_ros import __version__
from vloc_ros.blas import use_one_thread
from vloc_ros.cli.command import Command
from vloc_ros.errors import ConfigError, VlocError, printable, reason_of

# As C libraries, torch and the loader of shared libraries say it.
NO_MEMORY = ("allocate memory", "out of memory", "failed to map segment", "std::bad_alloc", "can't start new thread")
UNLOADED = "load shared object"  # for want of memory too, where a process may have only so much of it
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
EXIT_ERROR, EXIT_INTERRUPTED, EXIT_BROKEN_PIPE = 1, 130, 141
COMMANDS = {  # each is COMMAND of the module of its name, which is loaded when it runs
    "map": "make a map from posed images",
    "localize": "localize one image",
    "evaluate": "localize posed images or a bag, and compare with the known poses",
    "compare": "compare several evaluations",
    "inspect": "check a map and print what it holds",
    "sign": "sign a map, so that a robot can ask who made it",
    "align": "store where a map lies in another frame, such as that of a navigation map",
    "upgrade": "rewrite a map of an older format in the present one",
    "view": "show a run in 3-D",
    "engine": "build, list and remove TensorRT engines",
    "bag": "write posed images as a ROS 2 bag",
    "photos": "write posed images as photos without poses",
    "rooms": "write rendered rooms of a building, drawn from a seed",
    "record": "record poses and statuses of a live relocalizer, for `vloc evaluate --recorded`",
    "demo": "a robot drives through the synthetic room, and the nodes localize it",
}


class _Parser(argparse.ArgumentParser):
    """Says of a wrong command line what `main` says of any other bad input: one line."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; see '{self.prog} --help'")


def build_parser(chosen: str | None) -> argparse.ArgumentParser:
    """The command line, with all of the command that is `chosen` and of the others what `vloc --help` says; the
    command's function is in `run`."""
    parser = _Parser(prog="vloc", description="Visual relocalization: one image in, one pose out.")
    parser.add_argument("--version", action="version", version=f"vloc {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        own = commands.add_parser(name, help=summary)
        if name == chosen:
            command: Command = resolve_name(f"vloc_ros.cli.{name}:COMMAND")
            own.description = command.description
            command.add_arguments(own)
            own.set_defaults(run=command.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `vloc` with these arguments (default: those of the process) and return its exit code.

    0: done. 1: bad input, told in one line. 3: `vloc localize` rejected the image. 130: interrupted. 141: nobody reads
    the output any more.
    """
    use_one_thread()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that no encoding has must not end a report
    try:
        words = sys.argv[1:] if arguments is None else arguments
        # Only commands have options with values, so that the first word which is no option is the command.
        options = build_parser(next((word for word in words if not word.startswith("-")), None)).parse_args(words)
        code: int = options.run(options)
        sys.stdout.flush()
    except VlocError as error:
        print(f"vloc: error: {error}", file=sys.stderr)
        return EXIT_ERROR
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except (KeyboardInterrupt, SystemError) as error:
        if not _is_interruption(error):
            raise
        # A library's log handler may have been half made. At the end, logging would complain of it.
        logging.raiseExceptions = False
        print("vloc: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except (MemoryError, OSError, ImportError, RuntimeError) as error:
        if (lack := _lack_of(error)) is None:
            raise
        print(f"vloc: error: {lack}", file=sys.stderr)
        return EXIT_ERROR
    return code


def _is_interruption(error: BaseException | None) -> bool:
    """Compiled code that is interrupted has "returned a result with an exception set", which that was the cause of."""
    return error is not None and (isinstance(error, KeyboardInterrupt) or _is_interruption(error.__cause__))


def _lack_of(error: Exception) -> str | None:
    """What of the computer's has run out, room for a name too, if that is the reason of an error; libraries say so in
    many ways."""
    text = reason_of(error) if str(error) else ""
    limited = resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
    signs = (*NO_MEMORY, UNLOADED) if limited else NO_MEMORY
    if isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in signs):
        detail = f" ({text})" if text else ""
        return f"out of memory{detail}; making maps, fewer frames, --batch-size and --width need less"
    if isinstance(error, OSError) and error.errno in (*NO_ROOM, errno.ENAMETOOLONG):
        return printable(f"{error.filename or 'a file'}: {reason_of(error)}")
    return None
