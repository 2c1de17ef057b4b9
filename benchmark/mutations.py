"""Fuzzing: thousands of seeded mutants of valid inputs, none of which may end, hang or bloat a program.

python benchmark/mutations.py [--kind maps images texts bags messages] [--share 0.1]

Each mutant is read in a worker process. A defect is one that takes more than 20 s of processor time, lets the worker
end or grow above 2 GB, or causes anything but one printable line. Exit code 1 if there is one. `messages` needs ROS.
"""

import argparse
import json
import os
import resource
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from mutation_outcome import MAX_PEAK_MB, TIMEOUT_S, Outcome
from results import Results, add_json
from tqdm import tqdm

COUNTS: Mapping[str, int] = MappingProxyType(
    {"maps": 3000, "images": 2000, "texts": 2000, "bags": 400, "messages": 2000}
)
PATIENCE_S = 180.0  # for whatever a busy machine does meanwhile
LOOK_EVERY_S = 1.0
GUARD_BYTES = 8 << 30  # of a worker's address space: a mutant must not take the computer down
DEFECTS = ("traceback", "hang", "ended", "above 2 GB")
COUNTED = ("taken", "refused", *DEFECTS)


def run(subject: str, count: int) -> Iterator[Outcome]:
    """The outcome of mutants 0 to count - 1, each as soon as it is known."""
    index = 0
    while index < count:
        for outcome in _worker_until_defect(subject, index, count):
            yield outcome
            index = outcome.index + 1


def _worker_until_defect(subject: str, first: int, count: int) -> Iterator[Outcome]:
    """Outcomes of one worker, the last of them a hang or an end if it did not do them all."""
    command = [sys.executable, __file__, "--worker", subject, str(first), str(count)]
    index, begun_s, used_s = first, time.monotonic(), 0.0
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as worker,
        selectors.DefaultSelector() as waiting,
    ):
        assert worker.stdout is not None
        waiting.register(worker.stdout, selectors.EVENT_READ)
        while index < count:
            is_late = time.monotonic() - begun_s > PATIENCE_S or _processor_s(worker.pid) - used_s > TIMEOUT_S
            ready = waiting.select(LOOK_EVERY_S)
            line = worker.stdout.readline() if ready else ""
            if not ready and not is_late:
                continue
            if line:
                outcome = Outcome(**json.loads(line))
                index, begun_s, used_s = outcome.index + 1, time.monotonic(), _processor_s(worker.pid)
                yield outcome if outcome.peak_mb <= MAX_PEAK_MB else Outcome(outcome.index, "above 2 GB", outcome.text)
                continue
            hangs = worker.poll() is None
            worker.kill()
            worker.wait()
            errors.seek(0)
            yield Outcome(index, "hang" if hangs else "ended", f"exit code {worker.returncode}: {errors.read()[-500:]}")
            return


def _processor_s(pid: int) -> float:
    """What a process has used so far; 0 once it has ended."""
    with suppress(OSError, IndexError):
        user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _work(subject: str, first: int, count: int) -> None:
    """In a worker: a line of JSON for each mutant."""
    from mutation_subjects import SUBJECTS, outcome

    resource.setrlimit(resource.RLIMIT_AS, (GUARD_BYTES, GUARD_BYTES))
    with tempfile.TemporaryDirectory() as folder:
        reader = SUBJECTS[subject](Path(folder))
        for index in range(first, count):
            _forget_peak()
            kind, text = outcome(reader, index)
            print(json.dumps(vars(Outcome(index, kind, text[-1500:], _peak_mb()))), flush=True)


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", nargs="+", choices=tuple(COUNTS), default=tuple(COUNTS))
    parser.add_argument("--share", type=float, default=1.0, help="of the mutants (default: all)")
    parser.add_argument("--worker", nargs=3, metavar=("KIND", "FIRST", "COUNT"), help=argparse.SUPPRESS)
    add_json(parser)
    options = parser.parse_args()
    if options.worker:
        _work(options.worker[0], *map(int, options.worker[1:]))
        return 0
    columns = {"mutants of": "{kind}", "mutants": "{count}", **{name: f"{{{name}}}" for name in COUNTED}}
    results = Results("Data: mutants from a fixed seed", {**columns, "largest resident memory": "{peak_mb:.0f} MB"})
    defects = 0
    for kind in options.kind:
        counts: Counter[str] = Counter()
        count = round(COUNTS[kind] * options.share)
        peak_mb = 0.0
        for outcome in tqdm(_outcomes(kind, count), total=count, desc=kind, disable=None):
            counts[outcome.kind] += 1
            peak_mb = max(peak_mb, outcome.peak_mb)
            if outcome.kind in DEFECTS:
                tqdm.write(f"{kind} {outcome.index}: {outcome.kind}: {outcome.text}")
        results.add(kind=kind, count=count, peak_mb=peak_mb, **{name: counts[name] for name in COUNTED})
        defects += sum(counts[name] for name in DEFECTS)
    results.write(options.json)
    return 1 if defects else 0


def _outcomes(kind: str, count: int) -> Iterator[Outcome]:
    if kind == "messages":
        from mutation_messages import run_messages

        return run_messages(count)
    return run(kind, count)


if __name__ == "__main__":
    sys.exit(main())
