"""From key points, poses and depth of a place's frames to its points: pairs, matches, tracks, triangulation, bundle
adjustment."""

import numpy as np
from numpy.typing import NDArray

from vloc_ros.errors import DatasetError
from vloc_ros.geometry.transforms import invert
from vloc_ros.mapping.bundle_adjustment import Bundle, PosePrior, adjust, pose_prior
from vloc_ros.mapping.covisibility import covisible_pairs
from vloc_ros.mapping.frame_features import FrameFeatures
from vloc_ros.mapping.observations import Observations, observations_of, reprojection_errors
from vloc_ros.mapping.pair_matching import match_pairs
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.mapping.tracks import MIN_LENGTH, unite
from vloc_ros.mapping.triangulation import sigmas, triangulate
from vloc_ros.progress import Progress, Silent

Float = NDArray[np.float64]

MAX_ERROR_PX = 4.0
MAX_SIGMA_M = 0.08  # stricter limits empty small rooms


def reconstruct(
    features: FrameFeatures, *, bundle: bool = True, threads: int = 1, progress: Progress | None = None
) -> Reconstruction:
    """The points that the frames observe, and their poses adjusted within their uncertainty; as recorded without
    `bundle`. Raises DatasetError for frames that share no points."""
    progress = progress or Silent()
    pairs = covisible_pairs(features)
    _require_pairs(features, pairs)
    with progress.bar("matching") as advance:
        matches = match_pairs(features, features.map_from_camera, pairs, threads=threads, advance=advance)
    tracks = unite(matches, features.frames)
    observations = observations_of(tracks, features)
    poses = features.map_from_camera
    positions, information = triangulate(observations, poses)
    observations, positions, information = _pruned(observations, poses, positions, information)
    _require_points(features, len(positions), len(matches))
    if bundle:
        with progress.bar("bundle adjustment") as advance:
            adjusted = _adjust(observations, poses, positions, pose_prior(poses), advance)
        poses, positions, information = adjusted.map_from_camera, adjusted.positions, adjusted.information
        observations, positions, information = _pruned(observations, poses, positions, information)
        _require_points(features, len(positions), len(matches))
    return _reconstruction(features, observations, poses, positions, information)


def _adjust(observations: Observations, poses: Float, positions: Float, prior: PosePrior, advance) -> Bundle:  # type: ignore[no-untyped-def]
    return adjust(observations, poses, positions, prior, advance=advance)


def _pruned(
    observations: Observations, poses: Float, positions: Float, information: Float
) -> tuple[Observations, Float, Float]:
    """Without observations that are off, and without points that are left with too few, or uncertain."""
    errors = reprojection_errors(observations, invert(poses), positions)
    kept = observations.kept(errors <= MAX_ERROR_PX)
    good = (kept.counts >= MIN_LENGTH) & (sigmas(information) <= MAX_SIGMA_M) & np.isfinite(positions).all(axis=1)
    return kept.of_points(good), positions[good], information[good]


def _require_pairs(features: FrameFeatures, pairs: NDArray[np.int32]) -> None:
    if len(features) < MIN_LENGTH:
        raise DatasetError(f"points: {len(features)} frames, a point must be seen by {MIN_LENGTH}")
    if not (features.depths > 0).any():
        raise DatasetError(f"points: no depth is known at any key point of the {len(features)} frames")
    if not len(pairs):
        raise DatasetError(f"points: no two of the {len(features)} frames see the same part of the place")


def _require_points(features: FrameFeatures, points: int, matches: int) -> None:
    if not points:
        raise DatasetError(
            f"points: none that {MIN_LENGTH} of the {len(features)} frames agree on, {matches} matches of pairs: "
            "do depth and poses belong together?"
        )


def _reconstruction(
    features: FrameFeatures, observations: Observations, poses: Float, positions: Float, information: Float
) -> Reconstruction:
    return Reconstruction(
        positions=positions,
        sigmas=sigmas(information),
        frames=observations.frames,
        points=observations.points.astype(np.int32),
        rows=(observations.rows - features.starts[observations.frames]).astype(np.int32),
        pixels=observations.pixels,
        names=features.names,
        map_from_camera=poses,
        recorded=features.map_from_camera,
        camera=features.camera,
    )
