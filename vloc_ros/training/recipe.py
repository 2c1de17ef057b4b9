"""What a method brings to the making of its maps; the stages do what is the same for all of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vloc_ros.core.model_spec import GridSpec, Precision
from vloc_ros.core.session import Tensors
from vloc_ros.mapping.geometry_kinds import GeometryKind
from vloc_ros.mapping.place_geometry import Geometry, Place
from vloc_ros.mapping.place_regions import Regions
from vloc_ros.progress import Progress
from vloc_ros.training.augment import Augmentation
from vloc_ros.training.frames import FrameLabeller
from vloc_ros.training.method_options import DenseOptions, SparseOptions
from vloc_ros.training.pram.recognition_frames import PosedImages, RecognitionFrames

if TYPE_CHECKING:  # these load PyTorch, which sparse methods do without
    from vloc_ros.training.feature_buffer import FrozenEncoder
    from vloc_ros.training.objective import Objective


class Recipe(Protocol):
    """What every method has, made of its options."""

    def geometry(self, mesh: Path | None, places: int) -> GeometryKind:
        """Where the shape of so many places comes from; `mesh`: a file of their surface, if there is one. Raises
        ConfigError for what does not go together."""
        ...

    def make_regions(self, places: Sequence[Place], geometry: Geometry, progress: Progress) -> Regions:
        """Regions of the places and their landmarks. Raises VlocError for places that cannot be mapped."""
        ...

    def summary(self) -> Mapping[str, Any]:
        """Settings, for people who look at the map."""
        ...


class SparseRecipe(Recipe, Protocol):
    """A method that matches key points with points: `PRAMRecipe` in training/pram/recipe.py. The places that it is
    given have features, its regions have points."""

    @property
    def options(self) -> SparseOptions: ...

    def recognition_frames(self, places: Sequence[Place], geometry: Geometry, progress: Progress) -> RecognitionFrames:
        """What a recognizer of the landmarks of `make_regions` learns from."""
        ...

    def labelled_images(
        self, places: Sequence[Place], geometry: Geometry, images: Mapping[str, PosedImages]
    ) -> RecognitionFrames:
        """What it is measured on: other images, by place, with as many key points and the same landmarks."""
        ...


class DenseRecipe(Recipe, Protocol):
    """A method whose network fills a grid of cells: `VSNetRecipe` in training/vsnet/recipe.py and so on."""

    @property
    def options(self) -> DenseOptions: ...

    @property
    def outputs(self) -> Mapping[str, str]:
        """What the exported network has in each cell, as `GridSpec.outputs`."""
        ...

    @property
    def augmentation(self) -> Augmentation: ...

    def encoder(self) -> "FrozenEncoder | None":
        """A pretrained encoder that does not learn: then its features are computed once, before the training. Raises
        ModelError where it is not installed."""
        ...

    def labeller(self, geometry: Geometry, regions: Regions) -> FrameLabeller:
        """What labels the frames of the places."""
        ...

    def objective(self, regions: Regions) -> "Objective":
        """The untrained network and its loss."""
        ...

    def disagreement(self, expected: Tensors, found: Tensors, spec: GridSpec, precision: Precision) -> str | None:
        """How far what a network file says is from what was learned, if that is too far for this precision."""
        ...
