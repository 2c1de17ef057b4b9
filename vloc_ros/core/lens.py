"""What the declared intrinsics of the camera that recorded a place are off by, found when the map was made."""

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera import LENS_MODELS, PINHOLE, Camera

Float = NDArray[np.float64]

MAX_FOCAL_FACTOR, MAX_K1 = 1.2, 0.2  # what is farther off is no small error of a calibration
SAME_CAMERA = 1e-3  # of the focal length, and of distortion: two declared cameras so near to each other are the same


@dataclass(frozen=True)
class LensCorrection:
    """The camera's focal lengths are `focal_factor` times the declared ones, and its undistorted image is distorted by
    `k1`, as OpenCV has it. `fx`, `fy`, `cx`, `cy`, `distortion`, `lens_model`: the camera as it was declared, of an
    image of the map's size. Raises ConfigError for what is no small correction."""

    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...]
    focal_factor: float
    k1: float
    lens_model: str = field(default=PINHOLE, metadata={"optional": True})  # map.yaml says it of other lenses only

    def __post_init__(self) -> None:
        if not 1 / MAX_FOCAL_FACTOR <= self.focal_factor <= MAX_FOCAL_FACTOR:  # not `<`: NaN has to fail too
            raise ConfigError(
                f"lens: focal_factor is {self.focal_factor}, must be in {1 / MAX_FOCAL_FACTOR:.3f} .. "
                f"{MAX_FOCAL_FACTOR}"
            )
        if not abs(self.k1) <= MAX_K1:
            raise ConfigError(f"lens: k1 is {self.k1}, must be at most {MAX_K1}")
        if not (min(self.fx, self.fy) > 0 and all(map(math.isfinite, (*self._declared, *self.distortion)))):
            raise ConfigError(f"lens: fx {self.fx}, fy {self.fy}, cx {self.cx}, cy {self.cy} are of no camera")
        if self.lens_model not in LENS_MODELS:
            raise ConfigError(f"lens: lens_model is {self.lens_model!r}, must be one of {', '.join(LENS_MODELS)}")

    @property
    def _declared(self) -> tuple[float, float, float, float]:
        return self.fx, self.fy, self.cx, self.cy

    @staticmethod
    def of(declared: Camera, focal_factor: float, k1: float) -> "LensCorrection":
        """Of a camera that was declared so, for images of the map's size."""
        values = declared.fx, declared.fy, declared.cx, declared.cy, declared.distortion
        return LensCorrection(*values, focal_factor, k1, declared.lens_model)

    def is_of(self, camera: Camera, image_size: tuple[int, int]) -> bool:
        """Whether a camera is declared as the one that recorded the map was, whose images have this size: only its
        errors are known."""
        if camera.lens_model != self.lens_model:
            return False
        if abs(camera.width / camera.height * image_size[1] / image_size[0] - 1) > SAME_CAMERA:
            return False
        scaled = camera.resized(*image_size)
        off = np.subtract((scaled.fx, scaled.fy, scaled.cx, scaled.cy), self._declared) / self.fx
        length = max(len(camera.distortion), len(self.distortion))
        own, other = (np.pad(each, (0, length - len(each))) for each in (camera.distortion, self.distortion))
        return bool(np.abs(off).max() <= SAME_CAMERA and np.abs(own - other).max(initial=0.0) <= SAME_CAMERA)

    def moved(self, pixels: Float, camera: Camera) -> Float:
        """Where the declared `camera` would see what its undistorted image has at these pixels (N, 2)."""
        declared, factor = camera.undistorted(), self.focal_factor
        if not len(pixels):
            return pixels
        real = replace(declared, fx=factor * declared.fx, fy=factor * declared.fy, distortion=(self.k1, 0.0, 0.0, 0.0))
        return real.undistort_pixels(pixels, declared)

    def describe(self) -> str:
        """A person's line."""
        percent = 100 * (self.focal_factor - 1)
        corner = math.hypot(self.cx / self.fx, self.cy / self.fy)
        pixels = self.fx * self.focal_factor * self.k1 * corner**3
        return (
            f"the camera's focal length is {abs(percent):.2f} % {'longer' if percent > 0 else 'shorter'} than "
            f"declared, and its undistorted image is still distorted by {abs(pixels):.1f} px at the corners"
        )
