"""What the tests of the TensorRT backend share: how to open a session, and what it said."""

from support.tiny_networks import SPEC, network
from vloc_ros.core.model_spec import GridSpec
from vloc_ros.inference.backend import SessionSettings
from vloc_ros.inference.tensorrt import TensorRtSession


class Said(list[str]):
    """What a session said."""

    @property
    def text(self) -> str:
        return "\n".join(self)


def open_tensorrt(
    content: bytes | None = None, spec: GridSpec = SPEC, max_batch: int = 1, said: Said | None = None
) -> TensorRtSession:
    settings = SessionSettings("float32", max_batch=max_batch, say=(Said() if said is None else said).append)
    return TensorRtSession(network() if content is None else content, spec.model, settings)
