"""A network that is ready to run, whatever runs it: named tensors in and out."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.model_spec import ModelSpec, Role

Tensors: TypeAlias = Mapping[str, NDArray[Any]]


class Session(Protocol):
    """A network that is ready to run, for any thread; one waits for the other."""

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


def max_batch_of(sessions: Sessions) -> int:
    """How many images a map's sessions take at once."""
    return min((session.max_batch for session in sessions.values()), default=1)


def run_one(session: Session, inputs: Tensors) -> Tensors:
    """The same of one image's tensors, without batch axis."""
    return row(session.run(stack([inputs])), 0)


def stack(rows: Sequence[Tensors]) -> Tensors:
    """A batch of the tensors of some images; those of one image are not copied."""
    if len(rows) == 1:
        return {name: value[np.newaxis] for name, value in rows[0].items()}
    return {name: np.stack([tensors[name] for tensors in rows]) for name in rows[0]}


def row(tensors: Tensors, index: int) -> Tensors:
    """What one image of a batch has."""
    return {name: tensor[index] for name, tensor in tensors.items()}
