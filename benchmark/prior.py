"""What a prior saves: time of a query with it over one without, image to pose and by stage, and the poses' errors.

OMP_NUM_THREADS=1 python benchmark/prior.py --maps MAP --dataset seven_scenes --root DIR --poses FILE --split test

A prior is the true pose, off by what is drawn from its covariance: 10 cm and 5 deg in all (standard deviations). Each
image goes through the map with it and without in turn, so that other load on the machine affects both alike.
"""

import time

import numpy as np
from in_turn import some_of
from inputs import asked_maps_parser
from results import Results

from vloc_ros.cli.options import session_options
from vloc_ros.core.query import Prior, Query
from vloc_ros.core.types import PoseEstimate
from vloc_ros.datasets import open_dataset
from vloc_ros.geometry.pose_error import pose_error
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.localizer import Localizer, load_localizer

PARTS = ("network", "matching", "pnp", "guided_matching")
COLUMNS = {
    "map": "{map}",
    "image to pose, global": "{global_ms:.1f} ms",
    "with a prior": "{prior_ms:.1f} ms",
    "over global": "{ratio:.2f}",
    "without the network": "{ratio_without_network:.2f}",
    "matching": "{matching_ratio:.2f}",
    "median error, global / prior": "{global_cm:.2f} / {prior_cm:.2f} cm",
    "refused, global / prior": "{global_refused} / {prior_refused}",
}


def main() -> None:
    parser = asked_maps_parser(__doc__, images=50)
    parser.add_argument("--metres", type=float, default=0.1)
    parser.add_argument("--degrees", type=float, default=5.0)
    options = parser.parse_args()
    frames = some_of(open_dataset(options.dataset, options.root, options.split, options.poses), options.images)
    sigmas = np.repeat([options.metres, np.radians(options.degrees)], 3) / np.sqrt(3)
    prior = f"{100 * options.metres:g} cm and {options.degrees:g} deg"
    results = Results(
        f"Data: {len(frames)} images of {options.dataset}, split {options.split}; a prior of {prior}", COLUMNS
    )
    for path in options.maps:
        localizer = load_localizer(path, session_options(options))
        localizer.warm_up()
        rng = np.random.default_rng(0)
        found: dict[str, list[tuple[float, ...]]] = {"global": [], "prior": []}
        for frame in map(frames.frame, range(len(frames))):
            near = Prior(
                perturb(frame.map_from_camera, rng.standard_normal(6) * sigmas), np.diag(sigmas**2), frame.place
            )
            for name, asked in (("global", None), ("prior", near)):
                found[name].append(measured(localizer, Query.of(frame.image, asked), frame.map_from_camera))
        results.add(map=path.name, **figures(found))
    results.write(options.json)


def measured(localizer: Localizer, query: Query, truth: np.ndarray) -> tuple[float, ...]:
    """Milliseconds of the whole and of PARTS, and the error in cm, infinite where the query is refused."""
    start = time.perf_counter()
    result = localizer.localize(query)
    total = 1e3 * (time.perf_counter() - start)
    parts = (result.timings_ms.get(name, 0.0) for name in PARTS)
    if not isinstance(result, PoseEstimate):
        return (total, *parts, np.inf)
    return (total, *parts, 100 * pose_error(result.map_from_camera, truth).translation_m)


def figures(found: dict[str, list[tuple[float, ...]]]) -> dict[str, object]:
    """Medians, and those with a prior over those without."""
    without, near = (np.array(found[name]) for name in ("global", "prior"))
    (total, network, matching, *_), (prior_total, prior_network, prior_matching, *_) = (
        np.median(each, axis=0) for each in (without, near)
    )
    rest, prior_rest = (float(np.median(each[:, 0] - each[:, 1])) for each in (without, near))
    return {
        "global_ms": total,
        "prior_ms": prior_total,
        "ratio": prior_total / total,
        "ratio_without_network": prior_rest / rest,
        "matching_ratio": prior_matching / matching,
        "network_ms": network,
        "prior_network_ms": prior_network,
        "global_cm": np.median(without[:, -1]),
        "prior_cm": np.median(near[:, -1]),
        "global_refused": int(np.isinf(without[:, -1]).sum()),
        "prior_refused": int(np.isinf(near[:, -1]).sum()),
    }


if __name__ == "__main__":
    main()
