"""What a map tells people of how it was made."""

from dataclasses import asdict
from typing import Any

import numpy as np

from vloc_ros.mapping.loop_closure import LoopClosure
from vloc_ros.mapping.place_geometry import Geometry
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.training.recipe import SparseRecipe
from vloc_ros.training.stages.pose_stage import CheckedPoses
from vloc_ros.training.stages.settings import SourceSettings


def depth_summary(geometry: Geometry) -> dict[str, Any]:
    """How the depth of each place was corrected, in JSON's types."""
    corrections = geometry.depth_corrections.items()
    return {f"depth_correction_{name}" if name else "depth_correction": asdict(each) for name, each in corrections}


def pose_summary(poses: CheckedPoses) -> dict[str, Any]:
    """The same of whether the poses of each place agree where frames show the same, and how far they were moved."""
    return {f"loops_{name}" if name else "loops": _of_loops(each) for name, each in poses.places.items()}


def _of_loops(found: LoopClosure) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "pairs": found.pairs,
        "of_two_passes": found.loops,
        "pixels_off": _rounded(found.pixels_off),
        "adjusted": found.adjusted,
    }
    if found.pixels_left is not None:
        moved, turned = found.moved()
        figures["pixels_left"] = _rounded(found.pixels_left)
        figures["moved_m"] = {"median": _rounded(np.median(moved)), "most": _rounded(moved.max())}
        figures["turned_deg"] = {
            "median": _rounded(np.degrees(np.median(turned))),
            "most": _rounded(np.degrees(turned.max())),
        }
    for name, listed in (("disagreements", found.disagreements), ("unexplained", found.left)):
        if listed:
            figures[name] = [asdict(each) for each in listed]
    return figures


def point_summary(settings: SourceSettings, recipe: SparseRecipe, geometry: Geometry) -> dict[str, Any]:
    """The same of a map of points: how many observations they have, and by how much poses were adjusted."""
    shapes = [place.shape for place in geometry if isinstance(place.shape, Reconstruction)]
    moved, turned = (np.concatenate(each) for each in zip(*(shape.pose_changes() for shape in shapes), strict=True))
    return {
        "dataset": settings.dataset,
        "split": settings.split,
        **recipe.summary(),
        "reconstructed_points": sum(map(len, shapes)),
        "observations": sum(len(shape.frames) for shape in shapes),
        "poses_moved_m": {"median": _rounded(np.median(moved)), "most": _rounded(moved.max())},
        "poses_turned_deg": {
            "median": _rounded(np.degrees(np.median(turned))),
            "most": _rounded(np.degrees(turned.max())),
        },
    }


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
