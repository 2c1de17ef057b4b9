"""Matching points of a map only near where a pose that is not known well puts them."""

import numpy as np

from vloc_ros.core.guided_matching import best_in_windows
from vloc_ros.core.points import Float, Points
from vloc_ros.core.visibility import Uncertainty
from vloc_ros.geometry.rig import RigCamera
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.methods.pram.matching import Float32, Rows

ANYWHERE_PX = 1e9


def windows(
    points: Points, rows: Rows, camera: RigCamera, map_from_rig: Float, uncertainty: Uncertainty
) -> tuple[Float, Float]:
    """Pixels (V, 2) at which the points in `rows` (V,) are expected, and how far from there they may be (V,): anywhere
    if they may be beside or behind the camera.

    A turn by a moves what is seen at depth z in a distance d by up to f a (d / z)^2, a step by t by up to f t d / z^2;
    they are independent of each other.
    """
    off = uncertainty.at(camera)
    positions = apply(invert(camera.map_from_camera(map_from_rig)), points.positions[rows])
    pixels, depths = camera.camera.project(positions)
    squared = np.einsum("ij,ij->i", positions, positions)
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.sqrt(squared * (off.radians**2 * squared + off.metres**2)) / depths**2
    anywhere = np.isnan(pixels[:, 0]) | (off.radians >= 1) | (depths <= off.metres)
    pixels[anywhere] = 0.0
    return pixels, np.where(anywhere, ANYWHERE_PX, max(camera.camera.fx, camera.camera.fy) * slopes)


def mutual_nearest_in_windows(
    pixels: Float,
    descriptors: Float32,
    references: Float32,
    rows: Rows,
    expected: Float,
    radii: Float,
    min_similarity: float,
) -> tuple[Rows, Rows, Float32]:
    """As `mutual_nearest`, but a key point at `pixels` (K, 2) is only compared with those of `rows` (V,) of the
    references that it may be: no farther than `radii` (V,) from where they are `expected` (V, 2).

    The way back is not narrowed: it has to be the reference's most similar key point of the whole image.
    """
    best = best_in_windows(pixels, descriptors, references, rows, expected, radii, min_similarity)
    found = np.flatnonzero(best.nearest >= 0)
    matched = rows[best.nearest[found]]
    mutual = (references[matched] @ descriptors.T).argmax(axis=1) == found if len(found) else found >= 0
    return found[mutual], matched[mutual], best.similarities[found[mutual]]
