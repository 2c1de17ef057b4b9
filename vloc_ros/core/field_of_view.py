"""Whether a camera sees as much at once as those that a map was made with."""

import math
from collections.abc import Iterable

from vloc_ros.core.manifest import Manifest
from vloc_ros.geometry.camera import Camera

FAR = 1.25  # times as long or as short a focal length, for the width of the image; training zooms by up to 1.35


def field_of_view_warnings(cameras: Iterable[Camera], manifest: Manifest) -> list[str]:
    """A line of warning for each camera whose focal length is far from those of the map's own cameras; none of maps
    that do not know theirs. It may be right: then the map was made with another lens, and poses are only less good."""
    return [warning for camera in dict.fromkeys(cameras) if (warning := _warning(camera, manifest))]


def _warning(camera: Camera, manifest: Manifest) -> str:
    if (known := manifest.field_of_view_deg) is None:
        return ""
    narrowest, widest = known
    if _half_width(narrowest) / FAR <= _half_width(camera.field_of_view_deg) <= _half_width(widest) * FAR:
        return ""
    of_map = f"{narrowest:.1f}" if round(narrowest, 1) == round(widest, 1) else f"{narrowest:.1f} to {widest:.1f}"
    return (
        f"the camera sees {camera.field_of_view_deg:.1f} deg from left to right (fx = {camera.fx:.6g} in "
        f"{camera.width}x{camera.height}), the cameras that the map was made with {of_map} deg: if the focal length is "
        "wrong, so are all poses"
    )


def _half_width(field_of_view_deg: float) -> float:
    """Of the image, at depth 1."""
    return math.tan(math.radians(field_of_view_deg / 2))
