"""Tries out a map that somebody sent, in a process of its own: what it costs there, the node does not pay.

Unpacking, reading and running a network once on an empty image may take any memory and any time, and may end the
process that does it. After that the same bytes are known to be a map that can be read and run within limits.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from typing import Any

from vloc_ros.errors import MapError, VlocError, reason_of
from vloc_ros.inference import SessionOptions, open_sessions
from vloc_ros.maps import unpack_map

BACKEND = "onnxruntime"  # the one that runs everywhere
MARGIN_S = 5  # after which the process ends by itself, should nobody end it
GOOD, REFUSED, OUT_OF_MEMORY = 0, 3, 4  # exit codes
# Without the interpreter's orderly end, which takes longer than a small map.
PROGRAM = "import os, sys; sys.path[:] = {path!r}; from vloc_ros.map_check import main; os._exit(main())"


@dataclass(frozen=True)
class CheckLimits:
    """`max_bytes`: of the map when it is unpacked; `seconds`: to check it; `memory_bytes`: of the process beyond what
    it takes when it starts; `threads`: of the network, as in SessionOptions."""

    max_bytes: int
    seconds: float = 60.0
    memory_bytes: int = 3 << 29
    threads: int = 0


class MapCheck:
    """The process, which loads what it needs as soon as this is made, and checks one map.

    `check` is called by one thread; `close` may be called by another one meanwhile, and ends it. Raises MapError where
    there can be no process.
    """

    def __init__(self) -> None:
        program = [sys.executable, "-c", PROGRAM.format(path=sys.path)]
        pipe = subprocess.PIPE
        self._busy = threading.Lock()
        self.used = False  # it has had its map
        try:
            # In a session of its own, so that Ctrl-C ends the node, and the node ends this.
            self._process = subprocess.Popen(
                program, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            raise MapError(f"no process to check maps in can be started: {reason_of(error)}") from error

    def check(self, packed: bytes, where: str, limits: CheckLimits) -> None:
        """Raise MapError unless `packed` is a map (`pack_map`) that can be read and run within the limits; `where` it
        came from stands in front of messages."""
        request = json.dumps({"where": where, **asdict(limits)}).encode() + b"\n"
        self.used = True
        with self._busy, self._process as process:  # which closes its pipes and waits for its end
            try:
                said, _ = process.communicate(request + packed, limits.seconds)
            except subprocess.TimeoutExpired as error:
                raise MapError(f"{where}: given up, checking it took more than {limits.seconds:g} s") from error
            except ValueError as error:  # its pipes are closed
                raise MapError(f"{where}: not checked, the process for it was ended") from error
            finally:
                process.kill()
        code = process.returncode
        if code == REFUSED:
            raise MapError(said.decode(errors="replace").strip())
        if code == OUT_OF_MEMORY:
            raise MapError(f"{where}: checking it takes more than {limits.memory_bytes / 1e6:.0f} MB of memory")
        if code != GOOD:
            raise MapError(f"{where}: the process that checked it was ended ({_end(code)})")

    def close(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        with self._busy, self._process:
            pass


def main() -> int:
    """The process: waits for a request on stdin, checks the map behind it, and returns the exit code."""
    line = sys.stdin.buffer.readline()
    if not line:  # whoever started it needs it no more
        return GOOD
    request: dict[str, Any] = json.loads(line)
    where, limits = request.pop("where"), CheckLimits(**request)
    _limit(limits)
    try:
        stored = unpack_map(sys.stdin.buffer.read(), where, limits.max_bytes)
        try:
            options = SessionOptions(BACKEND, threads=limits.threads)
            open_sessions(stored.networks, stored.landmark_map.manifest.models, options)
        except VlocError as error:
            raise MapError(f"{where}: {error}") from error
    except VlocError as error:
        os.write(sys.stdout.fileno(), str(error).encode())
        return REFUSED
    except MemoryError:
        return OUT_OF_MEMORY
    return GOOD


def _limit(limits: CheckLimits) -> None:
    """Of what the process may take from now on, should a map make it want more; it may write no file."""
    signal.alarm(int(limits.seconds) + MARGIN_S)
    cpu_s = (int(limits.seconds) + MARGIN_S) * (os.cpu_count() or 1)
    for kind, most in (
        (resource.RLIMIT_DATA, _data_bytes() + limits.memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (soft, hard))


def _data_bytes() -> int:
    """What counts against RLIMIT_DATA already."""
    with open("/proc/self/status", encoding="ascii") as status:
        sizes = [line.split()[1] for line in status if line.startswith("VmData:")]
    return int(sizes[0]) * 1024 if sizes else 0


def _end(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
