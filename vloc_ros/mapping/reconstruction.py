"""A reconstruction: points of a place, which key points of which frames observe them, and the adjusted poses."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.arrays import require_finite, require_indices
from vloc_ros.core.lens import LensCorrection
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import rotation_angle

Float = NDArray[np.float64]
Ints = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """P points of a place and O observations of them in F frames.

    positions (P, 3) metres in the map's frame, and `sigmas` (P,): their standard deviations along the worst direction.
    Observations: `frames` (O,), `points` (O,) ascending, `rows` (O,) in the frame's key points, and `pixels` (O, 2) of
    `camera`: the scaled, undistorted image. names of the frames; adjusted poses `map_from_camera` (F, 4, 4), and the
    `recorded` ones. `lens` (2,): by what the camera's focal lengths have to be multiplied, and k1 of the distortion
    that its images still have, by default as declared; `pixels` are as they were found. Raises DatasetError for no
    points, ConfigError for arrays that do not belong together.
    """

    positions: Float
    sigmas: Float
    frames: Ints
    points: Ints
    rows: Ints
    pixels: Float
    names: tuple[str, ...]
    map_from_camera: Float
    recorded: Float
    camera: Camera
    lens: Float = field(default_factory=lambda: np.array([1.0, 0.0]))

    def __post_init__(self) -> None:
        if not len(self.positions):
            raise DatasetError(f"points: none that several of the {len(self.names)} frames agree on")
        points, observations, frames = len(self.positions), len(self.frames), len(self.names)
        require_finite("reconstruction: positions", self.positions, (points, 3))
        require_finite("reconstruction: sigmas", self.sigmas, (points,))
        require_finite("reconstruction: pixels", self.pixels, (observations, 2))
        require_finite("reconstruction: poses", self.map_from_camera, (frames, 4, 4))
        require_finite("reconstruction: recorded poses", self.recorded, (frames, 4, 4))
        require_finite("reconstruction: lens", self.lens, (2,))
        require_finite("reconstruction: rows", self.rows, (observations,))
        require_finite("reconstruction: points", self.points, (observations,))
        require_indices("reconstruction: frames", self.frames, frames)
        require_indices("reconstruction: points", self.points, points)

    def __len__(self) -> int:
        return len(self.positions)

    def as_arrays(self) -> dict[str, NDArray[Any]]:
        """The same as arrays, to be kept in a file."""
        camera = asdict(self.camera)
        size = [camera[name] for name in ("width", "height", "fx", "fy", "cx", "cy", "cropped")]
        return {**vars(self), "names": np.array(self.names), "camera": np.array(size, dtype=np.float64)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Reconstruction":
        """What `as_arrays` gave."""
        width, height, fx, fy, cx, cy, cropped = arrays["camera"].tolist()
        camera = Camera(int(width), int(height), fx, fy, cx, cy, cropped=bool(cropped))
        values: dict[str, Any] = {**arrays, "names": tuple(arrays["names"].tolist()), "camera": camera}
        return cls(**values)

    @property
    def frames_used(self) -> int:
        """How many frames observe any point."""
        return len(np.unique(self.frames))

    def pose_changes(self) -> tuple[Float, Float]:
        """By how much each frame's pose was adjusted: metres (F,) and radians (F,)."""
        pairs = list(zip(self.map_from_camera, self.recorded, strict=True))
        moved = np.array([np.linalg.norm(a[:3, 3] - b[:3, 3]) for a, b in pairs])
        return moved, np.array([rotation_angle(a[:3, :3], b[:3, :3]) for a, b in pairs])

    @property
    def intrinsics(self) -> Float:
        """fx, fy, cx, cy, k1, k2 as they were found, which `pixels` are of."""
        camera, (focal_factor, k1) = self.camera, self.lens.tolist()
        return np.array([focal_factor * camera.fx, focal_factor * camera.fy, camera.cx, camera.cy, k1, 0.0])

    def lens_correction(self, declared: Camera) -> LensCorrection:
        """What the declared camera, of images of the size of `camera`, is off by."""
        focal_factor, k1 = self.lens.tolist()
        return LensCorrection.of(declared, focal_factor, k1)

    def describe(self) -> str:
        """A person's line."""
        moved, turned = self.pose_changes()
        moved, turned = 100 * moved, np.degrees(turned)
        counts = np.bincount(self.frames, minlength=len(self.names))
        return (
            f"{len(self)} points, {len(self.frames) / len(self):.1f} observations each; "
            f"{np.median(counts):.0f} in a frame (median), {counts.min()} at least; poses adjusted by "
            f"{np.median(moved):.2f} cm, {np.median(turned):.2f} deg (median), "
            f"{moved.max():.2f} cm, {turned.max():.2f} deg at most; {self.lens_correction(self.camera).describe()}"
        )
