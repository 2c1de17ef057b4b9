"""How many labels sparse points give, and how many of these are right, by how far they spread (HSCNet++, figure 6).

python benchmark/sparse_labels.py --dataset seven_scenes --root DIR --poses FILE --split train [--sparse MODEL]
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from results import Results, add_json

from vloc_ros.cli.options import add_dataset, add_split
from vloc_ros.datasets import Frame, open_dataset
from vloc_ros.datasets.registration import undistort_depth
from vloc_ros.datasets.subset import Subset
from vloc_ros.geometry.transforms import apply
from vloc_ros.mapping.colmap import read_colmap
from vloc_ros.mapping.depth_calibration import CorrectedDepth, calibrate_depth
from vloc_ros.mapping.depth_views import read_depth_views
from vloc_ros.mapping.hierarchy import DEFAULT_BRANCHING, Hierarchy, build_hierarchy
from vloc_ros.mapping.labels import reduce_depth
from vloc_ros.mapping.sparse import SparseLabeller, SparsePoints, point_cloud, sparsified_depth

REACHES = (0, 3, 5, 9)
RIGHT_M = 0.05


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_dataset(parser)
    add_split(parser, default="train")
    parser.add_argument("--sparse", type=Path, metavar="MODEL", help="a COLMAP model (default: depth at corners)")
    parser.add_argument("--corners", type=int, default=500, help="an image, of depth (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=40, help="spread evenly over the split (default: %(default)s)")
    parser.add_argument("--size", type=int, nargs=2, default=(320, 240), metavar=("W", "H"), help="network's input")
    add_json(parser)
    return parser.parse_args()


def truth(frame: Frame, width: int, height: int) -> NDArray[np.float64]:
    """What depth says at each label (height, width, 3), NaN where it says nothing."""
    camera = frame.image.camera
    assert frame.depth is not None
    depth = reduce_depth(undistort_depth(camera, frame.depth), width, height)
    rays = camera.undistorted().resized(width, height).rays() * np.where(depth > 0, depth, np.nan)[..., None]
    return apply(frame.map_from_camera, rays.reshape(-1, 3)).reshape(height, width, 3)


def shares(
    frames: Subset, points: SparsePoints, hierarchy: Hierarchy, reach: int, size: tuple[int, int]
) -> list[float]:
    """Of all labels the share that is known; of the known ones whose depth is known the shares that are within RIGHT_M,
    in the right region of the first level, and in the right leaf."""
    labeller, counts = SparseLabeller(points, reach), np.zeros(6)
    for index in range(len(frames)):
        frame = frames.frame(index, depth=True)
        labels, actual = labeller.label(frame, *size).astype(np.float64), truth(frame, *size)
        known = np.isfinite(labels).all(-1)
        both = known & np.isfinite(actual).all(-1)
        leaves, right = hierarchy.assign(labels[both]), hierarchy.assign(actual[both])
        regions = hierarchy.paths(leaves)[:, 0] == hierarchy.paths(right)[:, 0]
        near = np.linalg.norm(labels[both] - actual[both], axis=1) < RIGHT_M
        counts += known.size, known.sum(), both.sum(), near.sum(), regions.sum(), (leaves == right).sum()
    return [counts[1] / counts[0], *(counts[3:] / counts[2])]


def main() -> None:
    options = parsed()
    dataset = open_dataset(options.dataset, options.root, options.split, options.poses)
    chosen = np.unique(np.linspace(0, len(dataset) - 1, options.frames).round().astype(int))
    correction = calibrate_depth(read_depth_views(dataset))
    frames = Subset(CorrectedDepth(dataset, correction), chosen.tolist())
    points = read_colmap(options.sparse, frames) if options.sparse else sparsified_depth(frames, options.corners)
    hierarchy = build_hierarchy(point_cloud(points), DEFAULT_BRANCHING)
    size = options.size[0] // 2, options.size[1] // 2
    print(correction.describe())
    print(points.summary(frames), f"{len(hierarchy.leaf_centers)} leaves", sep="; ")
    columns = {
        "images": "{images}",
        "z": "{z}",
        "known": "{known_percent:.1f} %",
        f"within {100 * RIGHT_M:.0f} cm": "{within_5cm_percent:.1f} %",
        "right region": "{region_percent:.1f} %",
        "right leaf": "{leaf_percent:.1f} %",
    }
    names = ("known_percent", "within_5cm_percent", "region_percent", "leaf_percent")
    images = f"{options.root.name if options.root else options.dataset}, {options.size[0]}x{options.size[1]}"
    results = Results(f"Data: {points.summary(frames)}", columns)
    for reach in REACHES:
        percents = [100 * float(share) for share in shares(frames, points, hierarchy, reach, size)]
        results.add(images=images, z=reach, **dict(zip(names, percents, strict=True)))
    results.write(options.json)


if __name__ == "__main__":
    main()
