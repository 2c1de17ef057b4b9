"""What a rendered room is drawn from: textured, lit quads and triangles."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Faces:
    """F parallelograms {o + s u + t v | s, t in [0, 1]}, or triangles (s + t <= 1), in the map frame, metres.

    origins, edges_u, edges_v (F, 3): a face is seen only from the side that u x v points away from, so that there u
    points right and v down. triangles (F,) bool. textures (F,) index into the pyramids, windows (F, 4) say what part of
    the texture is shown: left, top, width, height as fractions of it.
    """

    origins: Float
    edges_u: Float
    edges_v: Float
    triangles: NDArray[np.bool_]
    textures: NDArray[np.int64]
    windows: Float

    def __len__(self) -> int:
        return len(self.origins)

    def mesh(self) -> tuple[Float, NDArray[np.int64]]:
        """Vertices (V, 3) and triangles (T, 3), counter-clockwise from the visible side."""
        corners = np.stack(
            [
                self.origins,
                self.origins + self.edges_v,
                self.origins + self.edges_u + self.edges_v,
                self.origins + self.edges_u,
            ],
            axis=1,
        )
        first = 4 * np.arange(len(self))[:, None]
        quads, triangles = first[~self.triangles], first[self.triangles]
        cut = [quads + np.array([0, 1, 2]), quads + np.array([0, 2, 3]), triangles + np.array([0, 1, 3])]
        used, faces = np.unique(np.concatenate(cut), return_inverse=True)
        return corners.reshape(-1, 3)[used], faces.reshape(-1, 3).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Pyramids:
    """Mip-mapped textures in one array: texels (T,) uint32, red in the lowest byte; layout (textures, levels, 3) is
    offset, height, width."""

    texels: NDArray[np.uint32]
    layout: NDArray[np.int64]

    @staticmethod
    def of(images: list[NDArray[np.uint8]], levels: int = 8) -> "Pyramids":
        layout = np.zeros((len(images), levels, 3), dtype=np.int64)
        parts: list[NDArray[np.uint32]] = []
        offset = 0
        for index, image in enumerate(images):
            for level in range(levels):
                height, width = image.shape[:2]
                layout[index, level] = offset, height, width
                parts.append(image.reshape(-1, 3).astype(np.uint32) @ np.array([1, 1 << 8, 1 << 16], dtype=np.uint32))
                offset += height * width
                half = (max(1, width // 2), max(1, height // 2))
                image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        return Pyramids(np.concatenate(parts), layout)


@dataclass(frozen=True, eq=False)
class Lightmaps:
    """Baked light of each face: values (L, 3) float32, gamma-encoded factors of the texture; layout (F, 3) offset, rows
    along v, columns along u of the nodes, the first and last of which lie on the face's borders."""

    values: NDArray[np.float32]
    layout: NDArray[np.int64]
