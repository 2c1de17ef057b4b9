"""XFeat or RootSIFT with ten retrieved images and depth: what maps of points are compared with.

python benchmark/retrieval.py --dataset seven_scenes --root DIR --poses FILE --mapping-split train --split test \\
    --workdir DIR [--features xfeat sift] [--every 5]

One thread. `--workdir` keeps the mapping images' key points from one run to the next. `--every`: only each Nth image
of the split.
"""

import argparse
from pathlib import Path

from in_turn import ask_in_turn, by_image, threads
from results import MEDIAN, RECALLS, Results, add_json
from retrieval_peer import retrieval_peer

from vloc_ros.cli.options import add_dataset, add_split
from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.subset import Subset

STAGES = ("preprocess", "network", "retrieval", "matching", "pnp", "total")

COLUMNS = {
    "features": "{features}",
    "images": "{frames}",
    "median": MEDIAN,
    **RECALLS,
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
    dataset = open_dataset(options.dataset, options.root, options.split, options.poses)
    frames = Subset(dataset, range(0, len(dataset), options.every))
    with threads(1):
        peers = {features: retrieval_peer(features, mapping, options.workdir) for features in options.features}
        answers = ask_in_turn({name: by_image(peer) for name, peer in peers.items()}, frames)
    where = f" {options.root.name}" if options.root else ""
    results = Results(f"Data: {len(frames)} images of {options.dataset}{where}, split {options.split}", COLUMNS)
    for name, peer in peers.items():
        results.add(features=name, **answers[name].figures(), size_mb=peer.size_bytes / 1e6)
    results.write(options.json)


if __name__ == "__main__":
    main()
