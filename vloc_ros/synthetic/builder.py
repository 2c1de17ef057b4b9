"""Builds the scene of a rendered room from boxes, prisms and panels: walls, furniture and what stands on it."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from vloc_ros.synthetic.faces import Faces
from vloc_ros.synthetic.textures import TEXEL, Image

Float = NDArray[np.float64]
Tint = tuple[float, float, float]

WHITE: Tint = (1.0, 1.0, 1.0)
SIDES = {  # name -> outward normal
    "top": (0.0, 0.0, 1.0),
    "bottom": (0.0, 0.0, -1.0),
    "east": (1.0, 0.0, 0.0),
    "west": (-1.0, 0.0, 0.0),
    "north": (0.0, 1.0, 0.0),
    "south": (0.0, -1.0, 0.0),
}


class SceneBuilder:
    """Collects faces; coordinates are metres in the map, or in the furniture's own frame inside `at()`.

    `materials`: images that cover a face at TEXEL metres a texel from a random place; `pictures`: images that a face
    shows whole. `tints` and `glows` belong to the faces, by index.
    """

    def __init__(self, materials: dict[str, Image], pictures: dict[str, Image], rng: Generator) -> None:
        self._sizes = {name: np.array(image.shape[1::-1]) * TEXEL for name, image in materials.items()}
        self._indices = {name: index for index, name in enumerate([*materials, *pictures])}
        self._rng = rng
        self._rotation, self._translation = np.eye(3), np.zeros(3)
        self._rows: list[tuple[Float, Float, Float, bool, int, Float]] = []
        self.tints: list[Tint] = []
        self.glows: list[float] = []

    @contextmanager
    def at(self, x: float, y: float, z: float = 0.0, yaw: float = 0.0) -> Iterator[None]:
        """Place what is built inside at (x, y, z), turned by `yaw` degrees about the vertical."""
        before = self._rotation, self._translation
        c, s = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
        self._translation = before[1] + before[0] @ np.array([x, y, z])
        self._rotation = before[0] @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        yield
        self._rotation, self._translation = before

    def faces(self) -> Faces:
        origins, us, vs, triangles, textures, windows = zip(*self._rows, strict=True)
        return Faces(
            np.array(origins), np.array(us), np.array(vs), np.array(triangles), np.array(textures), np.array(windows)
        )

    def face(
        self,
        origin: ArrayLike,
        u: ArrayLike,
        v: ArrayLike,
        texture: str,
        *,
        tint: Tint = WHITE,
        glow: float = 0.0,
        triangle: bool = False,
        window: tuple[float, float, float, float] | None = None,
    ) -> None:
        """One parallelogram or triangle, u to the right and v down as seen from its visible side."""
        u, v = np.asarray(u, dtype=np.float64), np.asarray(v, dtype=np.float64)
        place = self._rotation @ np.asarray(origin, dtype=np.float64) + self._translation
        shown = np.array(window) if window else self._crop(texture, u, v)
        self._rows.append((place, self._rotation @ u, self._rotation @ v, triangle, self._indices[texture], shown))
        self.tints.append(tint)
        self.glows.append(glow)

    def _crop(self, texture: str, u: Float, v: Float) -> Float:
        """The window of a face: all of a picture; of a material a piece of the face's size at a random place."""
        if texture not in self._sizes:
            return np.array([0.0, 0.0, 1.0, 1.0])
        size = np.minimum(np.array([np.linalg.norm(u), np.linalg.norm(v)]) / self._sizes[texture], 1.0)
        return np.concatenate([self._rng.uniform(0, 1, 2) * (1 - size), size])

    def panel(self, centre: ArrayLike, side: str, width: float, height: float, texture: str, **look: object) -> None:
        """An upright (or, for top and bottom, flat) rectangle that is seen from `side`."""
        normal = np.array(SIDES[side])
        right = np.array([1.0, 0.0, 0.0]) if normal[2] else np.cross(-normal, [0.0, 0.0, 1.0])
        down = np.cross(-normal, right)
        origin = np.asarray(centre) - right * width / 2 - down * height / 2
        self.face(origin, right * width, down * height, texture, **look)  # type: ignore[arg-type]

    def box(self, low: ArrayLike, high: ArrayLike, texture: str, *, tint: Tint = WHITE, **sides: str) -> None:
        """An axis-parallel box; `sides` gives some sides a texture of their own, "" leaves a side out."""
        a, b = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
        size, middle = b - a, (a + b) / 2
        for side, normal in SIDES.items():
            own = sides.get(side, texture)
            if not own:
                continue
            width, height = (size[0], size[1]) if normal[2] else (size[0] if normal[1] else size[1], size[2])
            self.panel(
                middle + np.array(normal) * size / 2, side, width, height, own, tint=tint if own == texture else WHITE
            )

    def prism(
        self,
        base: ArrayLike,
        bottom: float,
        top: float,
        height: float,
        texture: str,
        *,
        sides: int = 12,
        **look: object,
    ) -> None:
        """An upright prism or frustum with the given radii, standing on `base`, closed by triangles."""
        foot = np.asarray(base, dtype=np.float64)
        head = foot + np.array([0.0, 0.0, height])
        angles = np.arange(sides + 1) * 2 * np.pi / sides
        around = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
        lower, upper = foot + bottom * around, head + top * around
        for a, b, c, d in zip(lower[:-1], lower[1:], upper[:-1], upper[1:], strict=True):
            if bottom == top:
                self.face(c, d - c, a - c, texture, **look)  # type: ignore[arg-type]
            else:
                self.triangle(a, b, d, texture, **look)
                self.triangle(a, d, c, texture, **look)
            self.triangle(head, c, d, texture, **look)
            self.triangle(foot, b, a, texture, **look)

    def triangle(self, a: Float, b: Float, c: Float, texture: str, **look: object) -> None:
        """A triangle, its corners counter-clockwise from its visible side; nothing when they coincide."""
        if np.linalg.norm(np.cross(b - a, c - a)) > 1e-9:
            self.face(a, c - a, b - a, texture, triangle=True, **look)  # type: ignore[arg-type]
