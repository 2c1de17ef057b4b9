"""XFeat or RootSIFT with ten retrieved images and depth: what maps of points are compared with.

python benchmark/retrieval.py --dataset seven_scenes --root DIR --poses FILE --mapping-split train --split test \\
    --workdir DIR [--features xfeat sift] [--every 5]

One thread. `--workdir` keeps the mapping images' key points from one run to the next. `--every`: only each Nth image
of the split.
"""

import argparse
import math
from pathlib import Path

import cv2
import numpy as np
from results import MEDIAN, Results, add_json
from retrieval_peer import RetrievalPeer, retrieval_peer
from threadpoolctl import threadpool_limits

from vloc_ros.cli.options import add_dataset, add_split
from vloc_ros.core.types import PoseEstimate
from vloc_ros.datasets import Dataset, open_dataset
from vloc_ros.datasets.subset import Subset
from vloc_ros.geometry.pose_error import PoseError, PoseTolerance, pose_error
from vloc_ros.training.stages.settings import input_size

TOLERANCES = (PoseTolerance(0.02, 1.0), PoseTolerance(0.05, 5.0), PoseTolerance(0.1, 5.0))
STAGES = ("preprocess", "network", "retrieval", "matching", "pnp", "total")
WIDTH = 640
NO_POSE = PoseError(math.inf, math.inf)

COLUMNS = {
    "features": "{features}",
    "images": "{frames}",
    "median": MEDIAN,
    "within " + " / ".join(map(str, TOLERANCES)): " / ".join(
        f"{{recall_{each.name}_percent:.1f}}" for each in TOLERANCES
    )
    + " %",
    **{f"{stage}, p50": f"{{{stage}_p50_ms:.1f}} ms" for stage in STAGES},
    "size": "{size_mb:.1f} MB",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_dataset(parser)
    add_split(parser, default="test")
    add_json(parser)
    parser.add_argument("--mapping-split", default="train", help="the images that are retrieved from")
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--features", nargs="+", choices=("xfeat", "sift"), default=("xfeat", "sift"))
    parser.add_argument("--every", type=int, default=1, metavar="N")
    options = parser.parse_args()
    mapping = open_dataset(options.dataset, options.root, options.mapping_split, options.poses)
    asked = open_dataset(options.dataset, options.root, options.split, options.poses)
    camera = mapping.camera(0)
    size = input_size(min(WIDTH, camera.width), camera.width, camera.height)
    where = f" {options.root.name}" if options.root else ""
    count = len(range(0, len(asked), options.every))
    results = Results(f"Data: {count} images of {options.dataset}{where}, split {options.split}", COLUMNS)
    cv2.setNumThreads(1)
    with threadpool_limits(1):
        for features in options.features:
            peer = retrieval_peer(features, mapping, size, options.workdir / features)
            figures = measured(peer, Subset(asked, range(0, len(asked), options.every)))
            results.add(features=features, **figures, size_mb=peer.size_bytes / 1e6)
    results.write(options.json)


def measured(peer: RetrievalPeer, frames: Dataset) -> dict[str, float]:
    """Medians, shares within the tolerances, and time by stage."""
    errors, times = list[PoseError](), list[dict[str, float]]()
    for index in range(len(frames)):
        frame = frames.frame(index)
        result = peer.localize(frame.image)
        times.append(dict(result.timings_ms))
        if isinstance(result, PoseEstimate):
            errors.append(pose_error(result.map_from_camera, frame.map_from_camera))
        else:
            errors.append(NO_POSE)
    return {
        "frames": len(frames),
        "median_cm": 100 * float(np.median([error.translation_m for error in errors])),
        "median_deg": math.degrees(float(np.median([error.rotation_rad for error in errors]))),
        **{
            f"recall_{each.name}_percent": 100 * float(np.mean([error.within(each) for error in errors]))
            for each in TOLERANCES
        },
        **{f"{stage}_p50_ms": float(np.median([each[stage] for each in times])) for stage in STAGES},
    }


if __name__ == "__main__":
    main()
