"""Inference sessions: a network file in, a `Session` out. BACKENDS names them, `open_session` picks one."""

from importlib import import_module
from pathlib import Path

from vloc_ros.core.manifest import NetworkSpec
from vloc_ros.core.pipeline import Session
from vloc_ros.errors import ConfigError

BACKENDS = {
    "onnxruntime": "vloc_ros.inference.onnxruntime:OnnxSession",
}


def open_session(network: bytes | Path, spec: NetworkSpec, backend: str = "auto", threads: int = 0) -> Session:
    """Open an ONNX file (or its bytes) with a backend of BACKENDS; "auto" takes the first that is installed.

    `threads`: CPU threads of one inference, 0 = one per physical core. Raises ConfigError for a backend that does not
    exist or is not installed, ModelError for a network that does not do what `spec` says.
    """
    if backend != "auto" and backend not in BACKENDS:
        raise ConfigError(f"backend {backend!r} is unknown, there are {['auto', *BACKENDS]}")
    candidates = list(BACKENDS) if backend == "auto" else [backend]
    for name in candidates:
        module, session_class = BACKENDS[name].split(":")
        try:
            opened = getattr(import_module(module), session_class)
        except ModuleNotFoundError:
            continue
        session: Session = opened(network, spec, threads)
        return session
    raise ConfigError(f"backend {backend!r}: none of {candidates} is installed")
