"""Networks of a map in the work directory."""

from collections.abc import Mapping
from pathlib import Path

from vloc_ros.core.model_spec import Precision
from vloc_ros.errors import ModelError, reason_of
from vloc_ros.inference.onnx_file import require_plain

Networks = Mapping[Precision, bytes]  # ONNX files by the precision of their arithmetic


def read_network(path: Path) -> bytes:
    """A network that an earlier run has written. Raises ModelError for a file that is not whole."""
    try:
        network = path.read_bytes()
        require_plain(network)
        if not network:
            raise ModelError("network: its file is empty")
    except (OSError, ModelError) as error:
        raise ModelError(f"{path}: {reason_of(error)}; --fresh makes it anew") from error
    return network
