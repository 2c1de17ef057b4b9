"""Compares the voting estimators on the outputs of a real map's network, all on the same frames and in one run.

python benchmark/voting_on_images.py --map MAP --dataset seven_scenes --root DIR --poses FILE --split test [--every 2]
"""

import time
from collections.abc import Sequence

import numpy as np
from inputs import data_of, parser_of
from results import MEDIAN, Results
from voting_estimators import ESTIMATORS, EstimatingMethod, EstimatorSettings

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.pnp import solve_pnp
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.types import PoseEstimate
from vloc_ros.datasets import Frame, open_dataset
from vloc_ros.evaluation.metrics import summarize
from vloc_ros.geometry.pose_error import pose_error
from vloc_ros.geometry.rig import RigCamera
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import Localizer, load_localizer
from vloc_ros.methods.vsnet.method import VSNetMethod


def landmark_errors(voted: Correspondences, frame: Frame) -> np.ndarray:
    """Distances (N,) of the voted landmarks to where the true pose puts them, image pixels."""
    camera = frame.image.camera.undistorted()
    truth = camera.project(apply(invert(frame.map_from_camera), voted.points))[0]
    return np.asarray(np.linalg.norm(voted.pixels - truth, axis=1))


def measure(localizer: Localizer, method: VSNetMethod, frames: Sequence[Frame]) -> dict[str, float]:
    """Pose and landmark accuracy, and median milliseconds of voting."""
    errors, landmark, ratios, voting, counts, timings = [], [], [], [], [], []
    for frame in frames:
        stopwatch = Stopwatch()
        observation = localizer.observe(frame.image)
        (voted,) = method.propose(observation, localizer.landmark_map, stopwatch)
        started = time.perf_counter()
        pose = solve_pnp(voted, (RigCamera(frame.image.camera.undistorted()),))
        timings.append({"pnp": 1e3 * (time.perf_counter() - started)})
        voting.append(stopwatch.timings_ms["voting"])
        found = pose.map_from_camera if isinstance(pose, PoseEstimate) else None
        errors.append(None if found is None else pose_error(found, frame.map_from_camera))
        distance = landmark_errors(voted, frame)
        landmark.append(np.nanmedian(distance))
        ratios.append(np.nanmedian(distance / voted.sigmas))
        counts.append(len(voted))
    summary = summarize(errors, timings)
    return {
        "median_cm": 100 * (summary["median_translation_m"] or np.inf),
        "median_deg": summary["median_rotation_deg"] or np.inf,
        "recall_2cm_1deg_percent": 100 * summary["recall_2cm_1deg"],
        "recall_5cm_5deg_percent": 100 * summary["recall_5cm_5deg"],
        "landmark_px": float(np.median(landmark)),
        "error_of_sigma": float(np.median(ratios)),
        "landmarks": float(np.median(counts)),
        "voting_ms": float(np.median(voting)),
        "pnp_ms": summary["latency_ms"]["pnp"]["p50"],
    }


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--every", type=int, default=1)
    options = parser.parse_args()
    dataset = open_dataset(options.dataset, options.root, options.split, options.poses)
    localizer = load_localizer(options.map, SessionOptions(threads=1))
    frames = [dataset.frame(index) for index in range(0, len(dataset), options.every)]
    columns = {
        "estimator": "{estimator}",
        "median": MEDIAN,
        "within 2 cm and 1 deg": "{recall_2cm_1deg_percent:.1f} %",
        "within 5 cm and 5 deg": "{recall_5cm_5deg_percent:.1f} %",
        "landmark error": "{landmark_px:.1f} px",
        "error / sigma": "{error_of_sigma:.2f}",
        "landmarks": "{landmarks:.0f}",
        "voting": "{voting_ms:.1f} ms",
        "PnP": "{pnp_ms:.1f} ms",
    }
    results = Results(data_of(options, len(frames)), columns)
    for estimator in ESTIMATORS:
        method = EstimatingMethod(settings=EstimatorSettings(estimator=estimator))
        measure(localizer, method, frames[:2])  # compile
        results.add(estimator=estimator, **measure(localizer, method, frames))
    results.write(options.json)


if __name__ == "__main__":
    main()
