"""A place's surface from a file with a mesh of it."""

from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from trimesh.triangles import points_to_barycentric
from trimesh.visual import TextureVisuals

from vloc_ros.errors import DatasetError
from vloc_ros.mapping.surface import DEFAULT_VOXEL_M, MAX_VOXELS, Surface, voxelised

SAMPLES_PER_VOXEL = 8


def surface_from_mesh(path: Path, voxel_size: float = DEFAULT_VOXEL_M) -> Surface:
    """Sample a mesh file (PLY, OBJ, STL, ...) evenly. Raises DatasetError for a file that holds no mesh."""
    if not path.is_file():
        raise DatasetError(f"mesh {path}: no such file")
    try:
        mesh: Any = trimesh.load(path, force="mesh", process=False)
    except Exception as error:  # the loaders raise whatever the parser met
        raise DatasetError(f"mesh {path}: cannot be read ({type(error).__name__}: {error})") from error
    if not isinstance(mesh, trimesh.Trimesh) or len(mesh.faces) == 0 or not mesh.area > 0:
        raise DatasetError(f"mesh {path}: it has no faces")
    if not mesh.area <= MAX_VOXELS * voxel_size**2:
        raise DatasetError(
            f"mesh {path}: {mesh.area:.3g} square metres are too many for voxels of {voxel_size:g} m, at most "
            f"{MAX_VOXELS * voxel_size**2:.0f}: it must be in metres"
        )
    count = int(np.ceil(SAMPLES_PER_VOXEL * mesh.area / voxel_size**2))
    points, faces = trimesh.sample.sample_surface(mesh, count, seed=0)
    barycentric = points_to_barycentric(mesh.triangles[faces], points)  # type: ignore[no-untyped-call]
    visual: Any = mesh.visual
    if isinstance(visual, TextureVisuals):
        visual = visual.to_color()  # type: ignore[no-untyped-call]
    vertex_colors = np.asarray(visual.vertex_colors, dtype=np.float64)[:, :3] / 255.0
    colors = np.einsum("nk,nkc->nc", barycentric, vertex_colors[mesh.faces[faces]])
    counts = np.ones(len(points), dtype=np.int32)
    return voxelised(np.asarray(points), mesh.face_normals[faces], colors, counts, voxel_size)
