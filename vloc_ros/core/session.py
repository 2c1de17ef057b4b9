"""A network that is ready to run, whatever runs it: named tensors in and out."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

from numpy.typing import NDArray

from vloc_ros.core.model_spec import ModelSpec, Role

Tensors: TypeAlias = Mapping[str, NDArray[Any]]


class Session(Protocol):
    """A network that is ready to run."""

    @property
    def spec(self) -> ModelSpec: ...

    @property
    def backend(self) -> str:
        """What runs it, and with which arithmetic, for people to read."""
        ...

    @property
    def max_batch(self) -> int:
        """How many images it takes at once."""
        ...

    def run(self, inputs: Tensors) -> Tensors:
        """Outputs by name of all inputs by name, each with a leading batch axis."""
        ...


Sessions: TypeAlias = Mapping[Role, Session]


def run_one(session: Session, inputs: Tensors) -> Tensors:
    """The same of one image's tensors, without batch axis."""
    return row(session.run({name: value[None] for name, value in inputs.items()}), 0)


def row(tensors: Tensors, index: int) -> Tensors:
    """What one image of a batch has."""
    return {name: tensor[index] for name, tensor in tensors.items()}
