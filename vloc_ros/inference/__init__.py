"""Inference sessions: a map's networks in, a `Session` each out. BACKENDS names what runs them, `open_session` picks
one."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from types import MappingProxyType

from vloc_ros.core.model_spec import PRECISIONS, ModelSpec, Precision, Role
from vloc_ros.core.session import Session
from vloc_ros.errors import ConfigError, ModelError
from vloc_ros.inference.backend import BackendUnavailableError, SessionSettings, silent
from vloc_ros.inference.onnx_file import require_plain

AUTO = "auto"


@dataclass(frozen=True)
class Backend:
    """`session`: its class, imported when it is wanted; `precisions`: the first of these that a map has is used."""

    session: str
    precisions: tuple[Precision, ...]


LAST_RESORT = "onnxruntime"  # runs everywhere
# In the order in which they are tried.
BACKENDS: Mapping[str, Backend] = MappingProxyType(
    {
        "tensorrt": Backend("vloc_ros.inference.tensorrt:TensorRtSession", ("float16", "float32")),
        "onnxruntime-cuda": Backend("vloc_ros.inference.onnxruntime:CudaOnnxSession", ("float16", "float32")),
        LAST_RESORT: Backend("vloc_ros.inference.onnxruntime:OnnxSession", ("float32",)),
    }
)


@dataclass(frozen=True)
class SessionOptions:
    """What runs a map's network, and how. `backend`: one of BACKENDS, or "auto": the first that can be used here.
    `precision`: one of PRECISIONS that the map has, or "auto": what suits the backend. `threads` and `max_batch` as in
    SessionSettings. Raises ConfigError for names that nobody knows."""

    backend: str = AUTO
    precision: str = AUTO
    threads: int = 0
    max_batch: int = 1

    def __post_init__(self) -> None:
        for kind, name, known in (
            ("backend", self.backend, BACKENDS),
            ("precision", self.precision, PRECISIONS),
        ):
            if name not in (AUTO, *known):
                raise ConfigError(f"{kind} {name!r} is unknown, there are {[AUTO, *known]}")


DEFAULTS = SessionOptions()


def open_sessions(
    networks: Mapping[Role, Mapping[Precision, bytes]],
    specs: Mapping[Role, ModelSpec],
    options: SessionOptions = DEFAULTS,
    say: Callable[[str], None] = silent,
) -> dict[Role, Session]:
    """A session for each of a map's networks, by its role; options and errors as `open_session`."""
    return {role: open_session(networks[role], spec, options, say) for role, spec in specs.items()}


def open_session(
    networks: Mapping[Precision, bytes],
    spec: ModelSpec,
    options: SessionOptions = DEFAULTS,
    say: Callable[[str], None] = silent,
) -> Session:
    """Open one of a map's networks, given as ONNX files by the precision of their arithmetic.

    `say` is told, line by line, what takes long, which backend was taken, and why those before it were not: they cannot
    be used here, or refuse the network. Raises ConfigError for a backend that cannot be used here, for a precision that
    the map does not have and for settings that make no sense, ModelError for a network that does not do what `spec`
    says or that `require_plain` refuses.
    """
    passed_over: list[str] = []
    for network in networks.values():
        require_plain(network)
    for name in BACKENDS if options.backend == AUTO else [options.backend]:
        precision = choose_precision(networks, name, options.precision)
        settings = SessionSettings(precision, options.threads, options.max_batch, say)
        try:
            session = _session_class(BACKENDS[name])(networks[precision], spec, settings)
        except (BackendUnavailableError, ModelError) as error:
            if isinstance(error, ModelError) and name in (options.backend, LAST_RESORT):
                raise
            passed_over.append(f"{name}: {error}")
            continue
        say(f"network: {session.backend}" + (f" (not {'; not '.join(passed_over)})" if passed_over else ""))
        return session
    raise ConfigError(f"no backend can be used: {'; '.join(passed_over)}")


def choose_precision(networks: Collection[Precision], backend: str, wanted: str = AUTO) -> Precision:
    """Which of a map's networks a backend runs. Raises ConfigError where the map does not have the wanted one."""
    for precision in BACKENDS[backend].precisions if wanted == AUTO else PRECISIONS:
        if precision in networks and wanted in (AUTO, precision):
            return precision
    adding = "`vloc map --precision` adds more to maps of vsnet and hscnet"
    raise ConfigError(f"precision {wanted!r}: the map has {list(networks)}; {adding}")


def _session_class(backend: Backend) -> Callable[[bytes, ModelSpec, SessionSettings], Session]:
    try:
        session_class: Callable[[bytes, ModelSpec, SessionSettings], Session] = resolve_name(backend.session)
    except ModuleNotFoundError as error:
        raise BackendUnavailableError(f"{error.name} is not installed") from error
    return session_class
