"""Independent tasks, shared among processes here or the workers of a cluster: Dask's `distributed`, which is optional.

A task is a function of a module and a plain value. What it raises of ours is its result; what it raises otherwise, or
the end of its process, makes it be tried again.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from vloc_ros.cores import VARIABLE, core_count
from vloc_ros.errors import ConfigError, VlocError, reason_of
from vloc_ros.optional_packages import optional_packages, pip_install

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Value = TypeVar("Value")

RETRIES = 2  # of a task that ended otherwise than with a result or bad input
START_TIMEOUT_S = 60
# A worker is a process that works on one task with one thread: tasks are many, and share cores better than threads do.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", VARIABLE), "1")
# Dask has its workers give memory back to the system as soon as it is free. Each array of 128 kB or more is then new
# memory, whose pages the system makes one by one: mapping a place takes a quarter longer.
KEEP_FREE_MEMORY = {"distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None}


@dataclass(frozen=True)
class Done(Generic[Value]):
    """A task that has ended: its `value`, or in one line why there is none."""

    name: str
    value: Value | None
    error: str | None = None


@dataclass(frozen=True)
class Engine:
    """What runs tasks: `workers` processes here, or those of the scheduler at an address such as tcp://HOST:8786. All
    of them see the same files. Raises ConfigError."""

    workers: int | None = None
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.scheduler is not None:
            raise ConfigError(f"--workers {self.workers}: the scheduler {self.scheduler} has its own")
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"--workers {self.workers}: must be 1 or more")

    @contextmanager
    def opened(self) -> Iterator["Tasks"]:
        """Its processes, until the end. Raises ConfigError where it cannot be had."""
        with optional_packages("--workers or --scheduler", pip_install("-r requirements/workers.txt")):
            import distributed  # noqa: F401
        address = self.scheduler
        with _started(self.workers or core_count()) if address is None else _connected(address) as client:
            yield Tasks(client)


class Here:
    """Runs tasks one after the other in this process, where nobody asks for workers. As an Engine, and as its Tasks."""

    @contextmanager
    def opened(self) -> Iterator["Here"]:
        yield self

    def run(self, function: Callable[[Item], Value], items: Mapping[str, Item]) -> Iterator[Done[Value]]:
        """As `Tasks.run`; nothing is tried again."""
        for name, item in items.items():
            try:
                yield Done(name, *_attempt(function, item))
            except Exception as error:  # of one task: the others go on
                yield Done(name, None, f"{type(error).__name__}: {reason_of(error)}")


HERE = Here()


@contextmanager
def _started(workers: int) -> Iterator["Client"]:
    """So many processes here. Raises ConfigError where they do not start."""
    import dask
    from distributed import Client, LocalCluster

    with dask.config.set(KEEP_FREE_MEMORY), ExitStack() as stack:
        try:
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                memory_limit=None,
                dashboard_address=":0",  # any port: several of these may run on a machine
                silence_logs="ERROR",
                env=ONE_THREAD,
            )
            client = stack.enter_context(Client(stack.enter_context(cluster)))
        except (OSError, RuntimeError) as error:  # one was killed, or there is no memory, or no port
            raise ConfigError(f"--workers {workers}: they could not be started: {reason_of(error)}") from error
        yield client


@contextmanager
def _connected(address: str) -> Iterator["Client"]:
    from distributed import Client

    try:
        client = Client(address, timeout=START_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise ConfigError(f"--scheduler {address}: {reason_of(error)}") from error
    with client:
        yield client


class Tasks:
    """Runs tasks on an engine that is open."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    def run(self, function: Callable[[Item], Value], items: Mapping[str, Item]) -> Iterator[Done[Value]]:
        """The function of each item, as soon as it is there. Who stops to ask cancels what has not begun."""
        from distributed import as_completed

        futures = {
            self._client.submit(_attempt, function, item, retries=RETRIES, pure=False): name
            for name, item in items.items()
        }
        try:
            for future in as_completed(futures):
                name = futures[future]
                if future.status == "error":
                    error = future.exception()
                    yield Done(name, None, f"{type(error).__name__}: {reason_of(error)}")
                else:
                    yield Done(name, *future.result())
        finally:
            self._client.cancel(list(futures))


def _attempt(function: Callable[[Any], Any], item: Any) -> tuple[Any, str | None]:
    """The value, or what is wrong with the item: to try that again would be of no use."""
    try:
        return function(item), None
    except VlocError as error:
        return None, str(error)
