"""How long voting and PnP take, and how precise the voted landmarks are, on a synthetic frame of known truth.

python benchmark/voting.py [--runs 200] [--landmarks 150] [--wrong-labels 0.1] [--angle-noise-deg 6]
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from results import Results, add_json
from voting_estimators import ESTIMATORS, EstimatorSettings, vote_by

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.pnp import solve_pnp
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.rig import RigCamera
from vloc_ros.methods.vsnet.voting import VotedLandmarks, VoteField

CELLS = (120, 160)  # height, width
STRIDE = 4
MIN_SCALE = 0.05  # network input pixels, as the networks have it
CAMERA = Camera(640, 480, 525.0, 525.0, 319.5, 239.5)


@dataclass(frozen=True, eq=False)
class Scene:
    """Network outputs at CELLS, and the truth: landmarks (N, 2) in network input pixels, their map points (N, 3)."""

    field: VoteField
    landmarks: NDArray[np.float64]
    points: NDArray[np.float64]


def make_scene(
    landmark_count: int = 150,
    wrong_labels: float = 0.1,
    angle_noise_deg: float = 6.0,
    noise_px: float = 1.0,
    distance_noise: float = 0.1,
    seed: int = 0,
) -> Scene:
    """Voronoi segments around landmarks, some of them just outside the image, seen by a camera at the map's origin.

    Votes have an angular error, one in the distance, relative to it, and one of `noise_px` in where they aim, all
    Gaussian; the scales are those of the whole. A share of the cells has a wrong label: those vote for their true
    landmark under another one's label, with less confidence.
    """
    rng = np.random.default_rng(seed)
    h, w = CELLS
    landmarks = rng.uniform((-8.0, -8.0), (w * STRIDE + 8.0, h * STRIDE + 8.0), (landmark_count, 2))
    y, x = (np.mgrid[:h, :w] + 0.5) * STRIDE - 0.5
    cells = np.stack([x, y], axis=-1)
    nearest = np.argmin(((cells[:, :, None] - landmarks) ** 2).sum(axis=-1), axis=-1)
    aim = landmarks[nearest] + rng.normal(0, noise_px, (h, w, 2)) - cells
    reach = np.linalg.norm(aim, axis=-1)
    angle = np.arctan2(aim[..., 1], aim[..., 0]) + np.deg2rad(rng.normal(0, angle_noise_deg, (h, w)))
    distances = reach * np.abs(1 + rng.normal(0, distance_noise, (h, w)))
    variances = noise_px**2 + reach**2 * (np.deg2rad(angle_noise_deg) ** 2 + distance_noise**2) / 2
    wrong = rng.random((h, w)) < wrong_labels
    labels = np.where(wrong, rng.integers(0, landmark_count + 1, (h, w)), nearest + 1)
    confidences = rng.uniform(0.4, 1.0, (h, w)) * np.where(wrong, 0.7, 1.0)
    depth = rng.uniform(1.0, 4.0, landmark_count)
    rays = (landmarks - (CAMERA.cx, CAMERA.cy)) / (CAMERA.fx, CAMERA.fy)
    field = VoteField(
        labels=labels.astype(np.int32),
        confidences=confidences.astype(np.float32),
        votes=np.stack([np.cos(angle), np.sin(angle)], axis=-1).astype(np.float32),
        distances=distances.astype(np.float32),
        scales=np.maximum(np.sqrt(variances / 2), MIN_SCALE).astype(np.float32),
    )
    return Scene(
        field=field,
        landmarks=landmarks,
        points=np.column_stack([rays, np.ones(landmark_count)]) * depth[:, None],
    )


def run_vote(scene: Scene, config: EstimatorSettings) -> VotedLandmarks:
    return vote_by(scene.field, len(scene.landmarks), STRIDE, config)


def to_correspondences(scene: Scene, voted: VotedLandmarks) -> Correspondences:
    return Correspondences(voted.pixels, scene.points[voted.labels - 1], voted.sigmas, voted.labels)


def milliseconds(function: Callable[[], object], runs: int) -> NDArray[np.float64]:
    """(2, runs): wall and processor time of calls after one that is not counted, in which Numba compiles or loads.

    On a machine that is busy with other things only the processor time says what the code costs.
    """
    function()
    times = np.empty((2, runs))
    for i in range(runs):
        wall, cpu = time.perf_counter(), time.process_time()
        function()
        times[:, i] = time.perf_counter() - wall, time.process_time() - cpu
    return times * 1e3


def figures_of(scene: Scene, config: EstimatorSettings, runs: int) -> dict[str, float]:
    """Errors of the voted landmarks and milliseconds."""
    voted = run_vote(scene, config)
    errors = np.linalg.norm(voted.pixels - scene.landmarks[voted.labels - 1], axis=1)
    figures = {
        "landmarks": len(voted),
        "p50_px": float(np.median(errors)),
        "p95_px": float(np.percentile(errors, 95)),
        "error_of_sigma": float(np.median(errors / voted.sigmas)),
    }
    stages = {
        "voting": lambda: run_vote(scene, config),
        "both": lambda: solve_pnp(to_correspondences(scene, run_vote(scene, config)), (RigCamera(CAMERA),)),
    }
    for name, function in stages.items():
        wall, cpu = milliseconds(function, runs)
        p50, p95 = np.percentile(wall, (50, 95))
        figures |= {f"{name}_p50_ms": p50, f"{name}_p95_ms": p95, f"{name}_cpu_ms": float(np.median(cpu))}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="Time voting and PnP on one core, on a synthetic 160x120 frame.")
    parser.add_argument("--runs", type=int, default=200, help="timed calls of each")
    parser.add_argument("--landmarks", type=int, default=150, help="landmarks in the frame")
    parser.add_argument("--wrong-labels", type=float, default=0.1, help="share of cells with a wrong label")
    parser.add_argument("--angle-noise-deg", type=float, default=6.0, help="standard deviation of a vote's angle")
    add_json(parser)
    arguments = parser.parse_args()
    scene = make_scene(arguments.landmarks, arguments.wrong_labels, arguments.angle_noise_deg)
    columns = {
        "estimator": "{estimator}",
        "landmarks": "{landmarks}",
        "landmark error, p50 / p95": "{p50_px:.2f} / {p95_px:.2f} px",
        "error / sigma": "{error_of_sigma:.2f}",
        "voting, p50 / p95": "{voting_p50_ms:.2f} / {voting_p95_ms:.2f} ms",
        "its CPU time, p50": "{voting_cpu_ms:.2f} ms",
        "voting + PnP, p50 / p95": "{both_p50_ms:.2f} / {both_p95_ms:.2f} ms",
        "their CPU time, p50": "{both_cpu_ms:.2f} ms",
    }
    results = Results(f"Data: a synthetic frame of 160x120 cells, {arguments.runs} calls", columns)
    for estimator in ESTIMATORS:
        figures = figures_of(scene, EstimatorSettings(estimator=estimator), arguments.runs)
        results.add(estimator=estimator, **figures)
    results.write(arguments.json)


if __name__ == "__main__":
    main()
