"""Image to pose: several maps in one run, a prior beside global search, and retrieved images. Time, accuracy and size.

python benchmark/methods.py --maps MAP MAP ... --dataset seven_scenes --root DIR --poses FILE --split test \\
    [--peer WORKDIR [--mapping-split train]] [--images 100]

Image after image goes through all of them in turn. Maps of points are also asked with a prior: the true pose, moved by
10 cm and 5 deg (root mean square), with the covariance of that. `--peer`: also the best that local features can do
without a map of points, `retrieval_peer.py`; its key points are kept in WORKDIR.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from in_turn import Localize, ask_in_turn, by_image, some_of, threads
from inputs import PRIOR_SIGMAS, asked_maps_parser
from results import MEDIAN, RECALLS, Results
from retrieval_peer import retrieval_peer

from vloc_ros.cli.options import session_options
from vloc_ros.core.query import Prior, Query
from vloc_ros.core.types import PoseEstimate, Rejection
from vloc_ros.datasets import open_dataset
from vloc_ros.datasets.types import Frame
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.localizer import Localizer, load_localizer

PEER = "ten retrieved images"
STAGES = ("preprocess", "network", "retrieval", "voting", "matching", "guided_matching", "pnp", "total")

COLUMNS = {
    "map": "{map}",
    "method": "{method}",
    "parameters": "{parameters_m:.2f} M",
    "size": "{size_mb:.2f} MB",
    "median": MEDIAN,
    **RECALLS,
    "rejected; wrong accepted": "{rejected}; {wrong_accepted}",
    **{f"{stage.replace('_', ' ')}, p50 / p90": f"{{{stage}_p50_ms:.1f}} / {{{stage}_p90_ms:.1f}} ms"
       for stage in STAGES},
    "retrieval takes so many times as long": "{peer_time:.1f}",
    "error over that of retrieval": "{peer_error:.2f}",
    "time over global; of matching alone": "{global_time:.2f}; {global_matching:.2f}",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Contender:
    """What is asked, and what the table says of it. `searches`: the contender that searches the same map globally."""

    localize: Localize
    described: Mapping[str, Any]
    searches: str | None = None


def main() -> None:
    parser = asked_maps_parser(__doc__, images=100)
    parser.add_argument("--peer", type=Path, metavar="WORKDIR", help="beside the maps, XFeat with ten retrieved images")
    parser.add_argument("--mapping-split", default="train", help="the images that are retrieved from")
    parser.set_defaults(threads=1)
    options = parser.parse_args()
    frames = some_of(open_dataset(options.dataset, options.root, options.split, options.poses), options.images)
    with threads(options.threads):
        asked = dict(contenders(options))
        answers = ask_in_turn({name: contender.localize for name, contender in asked.items()}, frames)
    where = f" {options.root.name}" if options.root else ""
    data = f"Data: {len(frames)} images of {options.dataset}{where}, split {options.split}, threads: {options.threads}"
    results = Results(data, COLUMNS)
    figures = {name: answer.figures() for name, answer in answers.items()}
    for name, contender in asked.items():
        own, peer, everywhere = figures[name], figures.get(PEER), figures.get(contender.searches or "")
        results.add(**contender.described, **own, **beside(own, peer, everywhere))
    results.write(options.json)


def contenders(options: argparse.Namespace) -> Iterator[tuple[str, Contender]]:
    """By their names: each map, those with points once more with a prior, and the peer."""
    for path in options.maps:
        localizer = load_localizer(path, session_options(options))
        described = described_map(path, localizer)
        yield str(path), Contender(by_image(localizer), described)
        if localizer.landmark_map.points is not None and localizer.landmark_map.manifest.features is not None:
            near = {**described, "method": f"{described['method']}, with a prior"}
            yield f"{path} near", Contender(partial(near_prior, localizer), near, searches=str(path))
    if options.peer:
        mapping = open_dataset(options.dataset, options.root, options.mapping_split, options.poses)
        peer = retrieval_peer("xfeat", mapping, options.peer)
        described = {"map": "", "method": f"XFeat, {PEER}", "size_mb": peer.size_bytes / 1e6}
        yield PEER, Contender(by_image(peer), described)


def described_map(path: Path, localizer: Localizer) -> dict[str, Any]:
    """A map for the table; parameters are of networks that were trained for it."""
    manifest = localizer.landmark_map.manifest
    parameters = manifest.training.get("parameters")
    return {
        "map": path.name,
        "method": f"{manifest.method} {manifest.training.get('preset', '')}".strip(),
        "parameters_m": parameters and parameters / 1e6,
        "size_mb": sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6,
    }


def near_prior(localizer: Localizer, frame: Frame) -> PoseEstimate | Rejection:
    """With a prior that is the same whenever the frame is asked."""
    rng = np.random.default_rng(list(frame.name.encode()))
    pose = perturb(frame.map_from_camera, rng.normal(0, PRIOR_SIGMAS))
    return localizer.localize(Query.of(frame.image, Prior(pose, np.diag(PRIOR_SIGMAS**2), frame.place)))


def beside(
    own: Mapping[str, Any], peer: Mapping[str, Any] | None, everywhere: Mapping[str, Any] | None
) -> dict[str, float]:
    """Ratios of medians: to the peer, and to global search in the same map."""
    ratios: dict[str, float] = {}
    if peer is not None and peer is not own:
        ratios["peer_time"] = peer["total_p50_ms"] / own["total_p50_ms"]
        if own["median_cm"] is not None and peer["median_cm"]:
            ratios["peer_error"] = own["median_cm"] / peer["median_cm"]
    if everywhere is not None:
        ratios["global_time"] = own["total_p50_ms"] / everywhere["total_p50_ms"]
        ratios["global_matching"] = own["matching_p50_ms"] / everywhere["matching_p50_ms"]
    return ratios


if __name__ == "__main__":
    main()
