"""How images without poses become a map."""

from dataclasses import dataclass, field
from pathlib import Path

from vloc_ros.datasets.photos import PhotoOptions
from vloc_ros.errors import ConfigError
from vloc_ros.mapping.sfm.mapper import MapperKind
from vloc_ros.mapping.sfm.pairs import PARTNERS, PairKind
from vloc_ros.mapping.sfm.scale import ScaleOptions


@dataclass(frozen=True)
class ReconstructionOptions:
    """How images become a map. `images`: where those of a COLMAP model are. `pairs` of images that are matched, with so
    many `partners` each; which `mapper` finds the poses. `largest`: of several parts that nothing connects, the largest
    is enough."""

    photos: PhotoOptions = field(default_factory=PhotoOptions)
    scale: ScaleOptions = field(default_factory=ScaleOptions)
    images: Path | None = None
    pairs: PairKind = "similar"
    partners: int = PARTNERS
    mapper: MapperKind = "incremental"
    largest: bool = False

    def __post_init__(self) -> None:
        if self.partners < 2:
            raise ConfigError(f"--partners {self.partners}: an image needs at least 2 others")
