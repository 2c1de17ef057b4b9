"""What making a map can be told; plain values, so that they can be checked before anything heavy is loaded."""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vloc_ros.core.manifest import require_frame_id
from vloc_ros.core.model_spec import Precision
from vloc_ros.errors import ConfigError
from vloc_ros.training.method_options import DENSE_MINUTES, MethodOptions, StageName
from vloc_ros.training.update_options import UpdateOptions

if TYPE_CHECKING:  # whose module loads OpenCV
    from vloc_ros.datasets.bag_recording import RecordingOptions
    from vloc_ros.mapping.sfm.options import ReconstructionOptions

BAG, IMAGES, COLMAP = "bag", "images", "colmap"
UNPOSED = BAG, IMAGES, COLMAP  # data sets that only maps are made from
SIZE_MULTIPLE = 16  # the networks' coarsest stride
MIN_WIDTH = 64
BASE_BATCH = 6  # images a step on a CPU
GPU_BATCH = 24  # a GPU would be waiting for its next command at fewer
NOVEL_VIEWS = 0.5  # for each frame: more are better far from the path, but cost accuracy near it


@dataclass(frozen=True)
class TrainingOptions:
    """How long and how to train, whatever the method. Exactly one of `minutes` and `epochs` is set.

    A step takes `accumulate` batches of `batch_size` images, shared among the processes; 0 is what suits the device and
    their number (`with_defaults`). `compile`: by torch.compile, if that works. Raises ConfigError for what makes no
    sense.
    """

    minutes: float | None = None
    epochs: int | None = None
    batch_size: int = 0
    accumulate: int = 0
    compile: bool = False
    weight_decay: float = 1e-3
    warmup_iterations: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.epochs is None):
            raise ConfigError(f"training: give either minutes or epochs, got {self.minutes} and {self.epochs}")
        budget = self.minutes if self.epochs is None else self.epochs
        if budget is None or not 0 < budget < math.inf:  # NaN has to fail too
            raise ConfigError(f"training: a budget of {budget} must be positive and finite")
        for name, value in (("batch size", self.batch_size), ("accumulate", self.accumulate), ("seed", self.seed)):
            if value < 0:
                raise ConfigError(f"training: {name} {value} is too small")

    def with_defaults(self, batch_size: int, accumulate: int) -> "TrainingOptions":
        """With these in place of what was left open."""
        return replace(self, batch_size=self.batch_size or batch_size, accumulate=self.accumulate or accumulate)

    @property
    def rate_scale(self) -> float:
        """Learning rates are those of BASE_BATCH images a step. The gradient of more is less noisy by the square root
        of how many more they are, and with an optimizer that divides by the gradient's size, the rate may grow by as
        much."""
        return math.sqrt(self.batch_size * self.accumulate / BASE_BATCH)


@dataclass(frozen=True)
class MapOptions:
    """How a map is made by `training/stages/build_map.py`; `settings.py` beside it has what each stage is told of it.

    `method`: the method's own options. `mesh`: a surface to use instead of fusing depth. `width`: of the network's
    input, None: the method's; its height follows the first image's aspect ratio. `novel_views`: so many views from
    beside the path for each frame; None: NOVEL_VIEWS where they can be had. `grey`: the share of the training images
    that lose their colours, 1 for a map for grey cameras alone. The gate is set so that at most the share
    `false_positive_rate` of wrong poses passes. `precisions`: of more networks than the one in float32. `recording`:
    what to take from the bag `root`, of the data set BAG; None: the only things that can be meant. `photos`: how
    images of the data sets IMAGES and COLMAP get poses. `update`: the map that the images are a new recording of the
    place of, for `update_map`. `workdir` keeps what a continued run needs; `fresh` empties it
    before. `until`: the stage to stop behind. `surface`: whether the map gets the coloured surface of its place, by
    which that is told from others of a building. Raises ConfigError for values that make no sense.
    """

    dataset: str
    root: Path | None
    split: str
    out: Path
    workdir: Path
    method: MethodOptions
    poses: str | None = None
    mesh: Path | None = None
    width: int | None = None
    novel_views: float | None = None
    grey: float = 0.0
    frame_id: str = "map"
    false_positive_rate: float = 0.01
    fresh: bool = False
    until: StageName | None = None
    precisions: tuple[Precision, ...] = ()
    training: TrainingOptions = field(default_factory=lambda: TrainingOptions(minutes=DENSE_MINUTES))
    recording: "RecordingOptions | None" = None
    photos: "ReconstructionOptions | None" = None
    update: UpdateOptions | None = None
    surface: bool = False

    def __post_init__(self) -> None:
        require_frame_id(self.frame_id)
        if self.novel_views is not None and not 0 <= self.novel_views < math.inf:
            raise ConfigError(f"training: {self.novel_views} novel views for each frame must be 0 or more, and finite")
        if not 0 <= self.grey <= 1:
            raise ConfigError(f"training: a share of {self.grey} grey images must be in 0 .. 1")
        if self.until is not None and self.until not in (stages := self.method.stages):
            raise ConfigError(f"until {self.until}: a map of {self.method.method} is made in {', '.join(stages)}")
        if not 0 <= self.false_positive_rate <= 1:
            raise ConfigError(f"gate: a false positive rate of {self.false_positive_rate} must be in 0 .. 1")
        if self.width is not None and (self.width < MIN_WIDTH or self.width % SIZE_MULTIPLE):
            raise ConfigError(
                f"network: input width {self.width} must be a multiple of {SIZE_MULTIPLE}, at least {MIN_WIDTH}"
            )
