"""What a method brings to the making of its maps; `build_map` does what is the same for all of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from vloc_ros.core.model_spec import GridSpec, Precision
from vloc_ros.core.session import Tensors
from vloc_ros.mapping.surface import Surface, fuse_depth, surface_from_mesh
from vloc_ros.training.augment import Augmentation
from vloc_ros.training.frames import FrameLabeller
from vloc_ros.training.objective import Objective
from vloc_ros.training.progress import bar
from vloc_ros.training.scene import Place, Scene


class Recipe(Protocol):
    """A method's part, made of its options; `VSNetRecipe` in training/vsnet/recipe.py and so on."""

    @property
    def outputs(self) -> Mapping[str, str]:
        """What the exported network has in each cell, as `GridSpec.outputs`."""
        ...

    @property
    def augmentation(self) -> Augmentation: ...

    @property
    def reads_depth(self) -> bool:
        """Whether frames' depth is used where there is any."""
        ...

    @property
    def labels_any_view(self) -> bool:
        """Whether views can be labelled that are none of the data set's frames."""
        ...

    def make_scene(self, places: Sequence[Place]) -> Scene:
        """Landmarks of the places. Raises VlocError for places that cannot be mapped."""
        ...

    def labeller(self, scene: Scene) -> FrameLabeller:
        """What labels the frames of the scene."""
        ...

    def objective(self, scene: Scene) -> Objective:
        """The untrained network and its loss."""
        ...

    def disagreement(self, expected: Tensors, found: Tensors, spec: GridSpec, precision: Precision) -> str | None:
        """How far what a network file says is from what was learned, if that is too far for this precision."""
        ...

    def summary(self) -> Mapping[str, Any]:
        """Settings, for people who look at the map."""
        ...


def surface_of(place: Place) -> Surface:
    """The place's mesh, or its depth images fused."""
    if place.mesh is not None:
        return surface_from_mesh(place.mesh)
    with bar("surface") as progress:
        return fuse_depth(place.dataset, progress=progress)
