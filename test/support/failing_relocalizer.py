"""The relocalizer on a GPU that is lost after its fifth image; it is back when the network is opened anew."""

import sys
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import vloc_ros.ros.relocalizer as node
from vloc_ros.core.model_spec import ModelSpec
from vloc_ros.errors import ModelError
from vloc_ros.localizer import Localizer, open_localizer
from vloc_ros.ros.programs import relocalizer

IMAGES = 5
opened = count(1)


@dataclass
class FailingSession:
    """Runs as the real one, and then never again."""

    real: Any
    images_left: float

    max_batch = 1
    backend = "a GPU that does not last"

    @property
    def spec(self) -> ModelSpec:
        spec: ModelSpec = self.real.spec
        return spec

    def run(self, inputs: Any) -> Any:
        self.images_left -= 1
        if self.images_left < 0:
            raise ModelError("network: the GPU is lost")
        return self.real.run(inputs)


def open_failing(*arguments: Any) -> Localizer:
    localizer = open_localizer(*arguments)
    lasts = {1: IMAGES, 2: 0}.get(next(opened), float("inf"))  # the second time it is not back yet
    return replace(localizer, sessions={"network": FailingSession(localizer.sessions["network"], lasts)})


if __name__ == "__main__":
    setattr(node, "open_localizer", open_failing)  # noqa: B010
    sys.exit(relocalizer(sys.argv))
