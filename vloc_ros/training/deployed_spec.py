"""Which images a network that fills a grid of cells is given by the robot."""

from collections.abc import Mapping

from vloc_ros.core.model_spec import GridSpec
from vloc_ros.geometry.camera import Camera

MAX_SHRINK = 3  # more takes a CPU over a millisecond longer than shrinking the image before


def deployed_spec(network_camera: Camera, stride: int, camera: Camera, outputs: Mapping[str, str]) -> GridSpec:
    """What the deployed network takes: the whole images of `camera` where they are MAX_SHRINK times or less the size
    that the network learned from, so that nothing is left to do with them before; else images of that size."""
    shrink = camera.width // network_camera.width
    whole = (shrink * network_camera.width, shrink * network_camera.height) == (camera.width, camera.height)
    shrink = shrink if whole and shrink <= MAX_SHRINK else 1
    size = shrink * network_camera.width, shrink * network_camera.height
    return GridSpec(*size, shrink * stride, outputs)
