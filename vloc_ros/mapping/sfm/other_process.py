"""pycolmap in a process of its own: it can be stopped at once, and cannot take this one along."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from vloc_ros.errors import ConfigError
from vloc_ros.optional_packages import pip_install
from vloc_ros.progress import Advance, no_advance

STEP = "step"  # a line of the process, for each step that is done
EXIT_NO_PYCOLMAP = 4


def run_module(module: str, arguments: Sequence[str], steps: int, advance: Advance = no_advance) -> int:
    """Run `main` of a module in another process, and tell its steps, of which there are about so many. Its exit code.
    Raises ConfigError where pycolmap is missing."""
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; from {module} import main; main()"]
    with subprocess.Popen(
        [*command, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            done = 0
            for line in process.stdout:
                if line.startswith(STEP):
                    done = min(done + 1, steps)
                    advance(done, steps)
            code = process.wait()
        finally:
            process.kill()
    if code == EXIT_NO_PYCOLMAP:
        raise ConfigError(f"structure from motion needs the Python package 'pycolmap': {pip_install('pycolmap')}")
    return code


def quiet_pycolmap() -> Any:
    """pycolmap, for the other process, which ends where there is none, and with Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        import pycolmap
    except ImportError:
        sys.exit(EXIT_NO_PYCOLMAP)
    pycolmap.logging.minloglevel = 3
    return pycolmap


def tell_step() -> None:
    """Of the other process: one more is done."""
    print(STEP, flush=True)
