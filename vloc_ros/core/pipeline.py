"""One query in, one pose or one reason why not out; or many, as fast as they can be done."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from types import MappingProxyType
from typing import TypeVar

from vloc_ros.core.calibration import calibrated
from vloc_ros.core.correction import corrected
from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.gate import gate, magnification_of
from vloc_ros.core.grey import color_mismatch
from vloc_ros.core.keyframe import MIN_SHARE
from vloc_ros.core.manifest import GateThresholds, Manifest
from vloc_ros.core.method import Method, Observation
from vloc_ros.core.places import likeliest_place
from vloc_ros.core.pnp import solve_near, solve_pnp, too_few
from vloc_ros.core.prefetch import prefetch
from vloc_ros.core.query import Query
from vloc_ros.core.session import Sessions, Tensors, max_batch_of, row, stack
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.types import LandmarkMap, PoseEstimate, Rejection
from vloc_ros.cores import core_count

T = TypeVar("T")
ROUNDS = 2  # of guided matching: the first poses of views that are far from all mapping views are pixels off
NOTHING = too_few(0)  # of a method that proposes nothing


def localize(
    query: Query, landmark_map: LandmarkMap, method: Method, sessions: Sessions, thresholds: GateThresholds
) -> PoseEstimate | Rejection:
    """Where the query's views were taken, in the frame of the map, or why that cannot be said.

    The points of the prior's keyframe, where it has one, are followed first; the networks run only where that gives no
    pose that is believed, and in the next of the method's scales only where the one before gave none. `timings_ms` of
    the result: flow, preprocess, network, the method's stages (vsnet: voting), pnp, and total.
    Raises ConfigError for an image that does not suit the map, ModelError for a network that does not.
    """
    stopwatch = Stopwatch()
    with stopwatch.stage("total"):
        result = followed(query, landmark_map, method, thresholds, stopwatch)
        if not isinstance(result, PoseEstimate):
            looks = observations(query.searched, landmark_map.manifest, method, sessions, stopwatch)
            result = first_located(looks, landmark_map, method, thresholds, stopwatch)
    return timed(result, stopwatch)


def followed(
    query: Query, landmark_map: LandmarkMap, method: Method, thresholds: GateThresholds, stopwatch: Stopwatch
) -> PoseEstimate | Rejection | None:
    """The pose that the points of the prior's keyframe give, by no more evidence than is left of the keyframe's; None
    where there is no keyframe, or too few of its points are seen."""
    prior = query.prior
    if prior is None or (keyframe := prior.keyframe) is None:
        return None
    with stopwatch.stage("flow"):
        query = query.in_pinhole_views()
        found = keyframe.followed(query, prior.map_from_rig)
    needed = MIN_SHARE * len(keyframe.points)
    if len(found) < needed:
        return None
    with stopwatch.stage("pnp"):
        result = solve_pnp(found, query.cameras, method.pnp)
        if isinstance(result, Rejection) or (count := int(result.inliers.sum())) < needed:
            return None
        left = keyframe.estimate.evidence.part(count / len(keyframe.points))
        place = keyframe.estimate.place if len(landmark_map.manifest.places) > 1 else None
        result = replace(result, place=place, unguided=left, is_followed=True)
        return _believed(result, query, landmark_map, thresholds)


def observations(
    query: Query,
    manifest: Manifest,
    method: Method,
    sessions: Sessions,
    stopwatch: Stopwatch,
    scales: Sequence[float] | None = None,
) -> Iterator[Observation]:
    """What is seen in the query's views in each of the method's `scales`, once it is asked for. Raises ConfigError,
    ModelError as `localize`."""
    for scale in method.scales if scales is None else scales:
        with stopwatch.stage("preprocess"):
            prepared, inputs = prepare_all(query.scaled(scale), method, manifest)
        with stopwatch.stage("network"):
            tensors = observe_all(inputs, method, sessions)
        yield Observation(prepared, tuple(tensors))


def first_located(
    looks: Iterable[Observation],
    landmark_map: LandmarkMap,
    method: Method,
    thresholds: GateThresholds,
    stopwatch: Stopwatch,
) -> PoseEstimate | Rejection:
    """The first pose that `locate` finds in one of these, or the rejection that came nearest to one."""
    refused: list[Rejection] = []
    for observation in looks:
        result = locate(observation, landmark_map, method, thresholds, stopwatch)
        if isinstance(result, PoseEstimate):
            return result
        refused.append(result)
    return _nearest(refused)


def locate(
    observation: Observation,
    landmark_map: LandmarkMap,
    method: Method,
    thresholds: GateThresholds,
    stopwatch: Stopwatch,
) -> PoseEstimate | Rejection:
    """What `localize` says of what was observed: the pose of the first proposal that passes the gate, or the rejection
    of the one that came nearest to it."""
    refused: list[Rejection] = []
    for proposal in method.propose(observation, landmark_map, stopwatch):
        result = _judge(proposal, observation, landmark_map, method, thresholds, stopwatch)
        if isinstance(result, PoseEstimate):
            return result
        refused.append(result)
    return _with_color_mismatch(_nearest(refused), observation.query, landmark_map.manifest)


def _nearest(refused: Sequence[Rejection]) -> Rejection:
    """The one that came nearest to a pose, the first of several."""
    return max(refused or [NOTHING], key=lambda each: each.refused.inlier_count if each.refused else -1)


def _judge(
    proposal: Correspondences,
    observation: Observation,
    landmark_map: LandmarkMap,
    method: Method,
    thresholds: GateThresholds,
    stopwatch: Stopwatch,
) -> PoseEstimate | Rejection:
    """What comes of one proposal: solve, refine, correct, calibrate, gate."""
    query = observation.query
    with stopwatch.stage("pnp"):
        place, found = likeliest_place(proposal, landmark_map)
        result = replace(solve_pnp(found, query.cameras, method.pnp), place=place)
    if isinstance(result, PoseEstimate):
        if result.inlier_count >= thresholds.min_inliers:  # or else it is refused, however it is refined
            result = _refined(result, observation, landmark_map, method, stopwatch)
        with stopwatch.stage("pnp"):
            return _believed(result, query, landmark_map, thresholds)
    return result


def _believed(
    solved: PoseEstimate, query: Query, landmark_map: LandmarkMap, thresholds: GateThresholds
) -> PoseEstimate | Rejection:
    """The pose of a place corrected and calibrated, or why it does not pass the gate."""
    manifest, cameras, place = landmark_map.manifest, query.cameras, solved.place
    result = corrected(solved, landmark_map.correction_of(place), cameras)
    result = calibrated(result, manifest.calibration, landmark_map.views_of(place), cameras)
    return gate_in(result, query, landmark_map, thresholds)


def gate_in(
    estimate: PoseEstimate, query: Query, landmark_map: LandmarkMap, thresholds: GateThresholds
) -> PoseEstimate | Rejection:
    """What the gate says of a calibrated pose of the query in a map."""
    magnification = magnification_of(query.cameras, landmark_map.manifest)
    return gate(estimate, thresholds, landmark_map.extent_of(estimate.place), magnification)


def _refined(
    estimate: PoseEstimate, observation: Observation, landmark_map: LandmarkMap, method: Method, stopwatch: Stopwatch
) -> PoseEstimate:
    """The estimate after ROUNDS of guided matching, each around the pose of the one before; without points, itself."""
    for _ in range(ROUNDS):
        more = method.refine(estimate, observation, landmark_map, stopwatch)
        if more is None:
            break
        with stopwatch.stage("pnp"):
            found = solve_near(estimate, more, observation.query.cameras, method.pnp)
        if found is estimate:
            break
        estimate = replace(found, place=estimate.place)
    return estimate


def _with_color_mismatch(rejection: Rejection, query: Query, manifest: Manifest) -> Rejection:
    """The rejection with the reason why the map may not know such images, if there is one."""
    doubts = (color_mismatch(view.image.rgb, manifest) for view in query.views)
    doubt = next(filter(None, doubts), None)
    return replace(rejection, detail=f"{rejection.detail}; {doubt}") if doubt else rejection


def prepare_all(query: Query, method: Method, manifest: Manifest) -> tuple[Query, list[Tensors]]:
    """The query in pinhole views, as it is worked on, and what the models need to see of each view. Raises ConfigError
    for an image that does not suit the map."""
    query = query.in_pinhole_views()
    return query, [method.prepare(view.image, manifest, view.scale) for view in query.views]


def observe_all(inputs: Sequence[Tensors], method: Method, sessions: Sessions) -> list[Tensors]:
    """What the models say of each view's inputs, as many of them at once as the sessions take."""
    found: list[Tensors] = []
    for batch in _batches(iter(inputs), max_batch_of(sessions)):
        outputs = method.observe(stack(batch), sessions)
        found.extend(row(outputs, index) for index in range(len(batch)))
    return found


def localize_all(
    queries: Iterable[Query],
    landmark_map: LandmarkMap,
    method: Method,
    sessions: Sessions,
    thresholds: GateThresholds,
) -> Iterator[PoseEstimate | Rejection]:
    """`localize` of each query in order, as many of them at once as the sessions take views, all else in threads.

    For throughput: the network works on a batch while poses of the one before are solved. A stage's time is what it
    took one query, the network's its share of the batch, total their sum. Errors as `localize`, in their query's place.
    """
    batch = max_batch_of(sessions)

    def prepared(query: Query) -> tuple[Query, list[Tensors], Stopwatch]:
        stopwatch = Stopwatch()
        with stopwatch.stage("preprocess"):
            return *prepare_all(query, method, landmark_map.manifest), stopwatch

    def run(items: Iterator[tuple[Query, list[Tensors], Stopwatch]]) -> Iterator[tuple[Observation, Stopwatch]]:
        for taken in _batches(items, batch):
            with (watch := Stopwatch()).stage("network"):
                tensors = iter(observe_all([each for _, inputs, _ in taken for each in inputs], method, sessions))
            for query, inputs, stopwatch in taken:
                stopwatch.timings_ms["network"] = watch.timings_ms["network"] / len(taken)
                yield Observation(query, tuple(islice(tensors, len(inputs)))), stopwatch

    def solved(item: tuple[Observation, Stopwatch]) -> PoseEstimate | Rejection:
        (observation, stopwatch), manifest = item, landmark_map.manifest
        more = observations(observation.query, manifest, method, sessions, stopwatch, method.scales[1:])
        result = first_located(chain([observation], more), landmark_map, method, thresholds, stopwatch)
        stopwatch.timings_ms["total"] = sum(stopwatch.timings_ms.values())
        return timed(result, stopwatch)

    threads, window = core_count(), 2 * batch
    return prefetch(run(prefetch(iter(queries), prepared, threads, window)), solved, threads, window)


def _batches(items: Iterator[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one shorter. Should taking an item raise, those before it come first."""
    error: Exception | None = None
    while error is None:
        batch: list[T] = []
        try:
            batch.extend(islice(items, size))
        except Exception as raised:
            error = raised
        if batch:
            yield batch
        elif error is None:
            return
    raise error


def timed(result: PoseEstimate | Rejection, stopwatch: Stopwatch) -> PoseEstimate | Rejection:
    """The result with the times of its stages."""
    return replace(result, timings_ms=MappingProxyType(stopwatch.timings_ms))
