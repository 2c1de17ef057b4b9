"""From key points, poses and depth of a place's frames to its points: pairs, matches, tracks, triangulation, bundle
adjustment."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vloc_ros.errors import DatasetError
from vloc_ros.geometry.transforms import invert
from vloc_ros.mapping.bundle_adjustment import (
    POSITION_SIGMA_M,
    ROTATION_SIGMA_RAD,
    adjust,
    lens_prior,
    pose_prior,
)
from vloc_ros.mapping.colmap import ModelViews
from vloc_ros.mapping.colmap_depth import model_observations
from vloc_ros.mapping.covisibility import PARTNERS, covisible_pairs
from vloc_ros.mapping.frame_features import FrameFeatures
from vloc_ros.mapping.observations import Observations, observations_of, reprojection_errors
from vloc_ros.mapping.pair_matching import RADIUS_PX, match_pairs
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.mapping.tracks import MIN_LENGTH, unite
from vloc_ros.mapping.triangulation import sigmas, triangulate
from vloc_ros.progress import Progress, Silent

Float = NDArray[np.float64]

MAX_ERROR_PX = 4.0
MAX_SIGMA_M = 0.3  # stricter limits empty small rooms


@dataclass(frozen=True)
class PoseNoise:
    """How far the poses that a reconstruction starts from may be off: standard deviations, and the `radius_px` within
    which a match is looked for then. Each frame has so many `partners`. The defaults are of poses that are good."""

    position_m: float = POSITION_SIGMA_M
    rotation_rad: float = ROTATION_SIGMA_RAD
    radius_px: float = RADIUS_PX
    partners: int = PARTNERS


GOOD_POSES = PoseNoise()


def reconstruct(
    features: FrameFeatures,
    *,
    noise: PoseNoise = GOOD_POSES,
    bundle: bool = True,
    lens: bool = True,
    model: ModelViews | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> Reconstruction:
    """The points that the frames observe, and their poses adjusted within their uncertainty; as recorded without
    `bundle`, and with the lens as declared without `lens`, or where there are several. What the frames see of a COLMAP
    `model`, in pixels of the features' images, is adjusted to as well. Raises DatasetError for frames that share no
    points."""
    progress = progress or Silent()
    poses = features.map_from_camera
    pairs = covisible_pairs(features, noise.partners)
    _require_pairs(features, pairs)
    with progress.bar("matching") as advance:
        matches = match_pairs(features, poses, pairs, noise.radius_px, threads=threads, advance=advance)
    points = _triangulated(observations_of(unite(matches, features.frames), features), poses)
    _require_points(features, points, len(matches))
    if bundle:
        with progress.bar("bundle adjustment") as advance:
            observations = points.observations
            of_lens = lens_prior(observations.intrinsics) if lens and not features.of_rig else None
            prior, count = pose_prior(poses, noise.position_m, noise.rotation_rad), len(points.positions)
            everything, positions = observations, points.positions
            if model is not None:
                of_model, model_positions = model_observations(model, observations.intrinsics)
                everything = observations.joined(of_model)
                positions = np.concatenate([positions, model_positions])
            found = adjust(everything, poses, positions, prior, of_lens, advance=advance)
        poses, observations = found.map_from_camera, replace(observations, intrinsics=found.intrinsics)
        points = _pruned(observations, poses, found.positions[:count], found.information[:count])
    _require_points(features, points, len(matches))
    return _reconstruction(features, points, poses)


@dataclass(frozen=True, eq=False)
class _Points:
    """Positions (P, 3) and sigmas (P,) of the points of observations."""

    observations: Observations
    positions: Float
    sigmas: Float


def _triangulated(observations: Observations, poses: Float) -> _Points:
    return _pruned(observations, poses, *triangulate(observations, poses))


def _pruned(observations: Observations, poses: Float, positions: Float, information: Float) -> _Points:
    """Without observations that are off, and without points that are left with too few, or uncertain."""
    errors = reprojection_errors(observations, invert(poses), positions)
    kept, uncertain = observations.kept(errors <= MAX_ERROR_PX), sigmas(information)
    good = (kept.counts >= MIN_LENGTH) & (uncertain <= MAX_SIGMA_M) & np.isfinite(positions).all(axis=1)
    return _Points(kept.of_points(good), positions[good], uncertain[good])


def _require_pairs(features: FrameFeatures, pairs: NDArray[np.int32]) -> None:
    if len(features) < MIN_LENGTH:
        raise DatasetError(f"points: {len(features)} frames, a point must be seen by {MIN_LENGTH}")
    if not (features.depths > 0).any():
        raise DatasetError(f"points: no depth is known at any key point of the {len(features)} frames")
    if not len(pairs):
        raise DatasetError(f"points: no two of the {len(features)} frames see the same part of the place")


def _require_points(features: FrameFeatures, points: _Points, matches: int) -> None:
    if not len(points.positions):
        raise DatasetError(
            f"points: none that {MIN_LENGTH} of the {len(features)} frames agree on, {matches} matches of pairs: "
            "do depth and poses belong together?"
        )


def _reconstruction(features: FrameFeatures, points: _Points, poses: Float) -> Reconstruction:
    observations = points.observations
    return Reconstruction(
        positions=points.positions,
        sigmas=points.sigmas,
        frames=observations.frames,
        points=observations.points.astype(np.int32),
        rows=(observations.rows - features.starts[observations.frames]).astype(np.int32),
        pixels=observations.pixels,
        names=features.names,
        map_from_camera=poses,
        recorded=features.map_from_camera,
        camera=features.camera,
        lens=np.array([observations.intrinsics[0] / features.camera.fx, observations.intrinsics[4]]),
    )
