"""Whether a camera has the lens of those that a map was made with, and sees as much at once."""

import math
from collections.abc import Iterable

from vloc_ros.core.manifest import Manifest
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.wide_angle import working_camera

FAR = 1.25  # times as long or as short a focal length, for the width of the image; training zooms by up to 1.35


def lens_model_warnings(cameras: Iterable[Camera], manifest: Manifest) -> list[str]:
    """A line of warning for each lens model of these cameras that none of the map's own cameras has; none of maps that
    do not know theirs. It may be right: then the map was made with another lens, and poses are only less good."""
    if not (known := manifest.lens_models):
        return []
    return [
        f"the camera has a {model} lens, the cameras that the map was made with a {' or '.join(known)} lens: if the "
        "lens model is wrong, so are all poses"
        for model in dict.fromkeys(camera.lens_model for camera in cameras)
        if model not in known
    ]


def field_of_view_warnings(cameras: Iterable[Camera], manifest: Manifest) -> list[str]:
    """The same for each camera whose focal length is far from those of the map's own cameras."""
    worked_on = dict.fromkeys(map(working_camera, cameras))
    return [warning for camera in worked_on if (warning := _field_of_view(camera, manifest))]


def _field_of_view(camera: Camera, manifest: Manifest) -> str:
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
