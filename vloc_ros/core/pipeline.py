"""One image in, one pose or one reason why not out; or many, as fast as they can be done."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from vloc_ros.core.calibration import calibrated
from vloc_ros.core.gate import gate
from vloc_ros.core.grey import color_doubt
from vloc_ros.core.manifest import GateThresholds
from vloc_ros.core.model_spec import NETWORK, GridSpec
from vloc_ros.core.places import likeliest_place
from vloc_ros.core.pnp import PnpSettings, solve_pnp
from vloc_ros.core.prefetch import prefetch
from vloc_ros.core.session import Sessions, Tensors, row, run_one
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.types import CameraImage, Correspondences, LandmarkMap, PoseEstimate, Rejection

T = TypeVar("T")


class Method(Protocol):
    """What a localization method has to offer: from an image to correspondences with the map."""

    @property
    def outputs(self) -> Mapping[str, str]:
        """What it needs of a network, as `GridSpec.outputs`."""
        ...

    @property
    def pnp(self) -> PnpSettings:
        """How a pose is found in its correspondences."""
        ...

    def preload(self) -> None:
        """Load what it will need, whatever the map: compiled code, which takes a while."""
        ...

    def prepare(self, image: CameraImage, spec: GridSpec) -> NDArray[np.uint8]:
        """The network's input, RGB (spec.height, spec.width, 3). Raises ConfigError for an image that does not suit."""
        ...

    def correspond(
        self, outputs: Tensors, image: CameraImage, landmark_map: LandmarkMap, stopwatch: Stopwatch
    ) -> Correspondences:
        """From the network's outputs, without batch axis. Pixels are those of the undistorted image of `image.camera`.
        Times its stages on `stopwatch`. Raises ModelError for outputs that are not what the map promises."""
        ...

    def colors(self, outputs: Tensors, landmark_map: LandmarkMap) -> NDArray[np.uint8]:
        """RGB (h, w, 3) of what each cell shows, for people; black for nothing. Tensors without batch axis."""
        ...


def localize(
    image: CameraImage,
    landmark_map: LandmarkMap,
    method: Method,
    sessions: Sessions,
    thresholds: GateThresholds | None = None,
) -> PoseEstimate | Rejection:
    """Where the image was taken, in the frame of the map, or why that cannot be said. `thresholds`: instead of the
    map's own.

    `timings_ms` of the result: preprocess, network, the method's stages (vsnet: voting), pnp, and total.
    Raises ConfigError for an image that does not suit the map, ModelError for a network that does not.
    """
    stopwatch = Stopwatch()
    with stopwatch.stage("total"):
        with stopwatch.stage("preprocess"):
            grid = sessions[NETWORK].spec.grid
            pixels = method.prepare(image, grid)
        with stopwatch.stage("network"):
            outputs = run_one(sessions[NETWORK], {grid.input_name: pixels})
        result = _solve(outputs, image, landmark_map, method, thresholds, stopwatch)
    return _timed(result, stopwatch)


def localize_all(
    images: Iterable[CameraImage],
    landmark_map: LandmarkMap,
    method: Method,
    sessions: Sessions,
    batch: int,
    thresholds: GateThresholds | None = None,
) -> Iterator[PoseEstimate | Rejection]:
    """`localize` of each image in order, up to `batch` of them at once through the network, all else in threads.

    For throughput: the network works on a batch while poses of the one before are solved. A stage's time is what it
    took one image, the network's its share of the batch, total their sum. Errors as `localize`, in their image's place.
    """

    session = sessions[NETWORK]
    grid = session.spec.grid

    def prepared(image: CameraImage) -> tuple[CameraImage, NDArray[np.uint8], Stopwatch]:
        stopwatch = Stopwatch()
        with stopwatch.stage("preprocess"):
            return image, method.prepare(image, grid), stopwatch

    def run(inputs: Iterator[tuple[CameraImage, NDArray[np.uint8], Stopwatch]]) -> Iterator[Any]:
        for taken in _batches(inputs, batch):
            with (watch := Stopwatch()).stage("network"):
                outputs = session.run({grid.input_name: np.stack([pixels for _, pixels, _ in taken])})
            for index, (image, _, stopwatch) in enumerate(taken):
                stopwatch.timings_ms["network"] = watch.timings_ms["network"] / len(taken)
                yield row(outputs, index), image, stopwatch

    def solved(item: tuple[Tensors, CameraImage, Stopwatch]) -> PoseEstimate | Rejection:
        outputs, image, stopwatch = item
        result = _solve(outputs, image, landmark_map, method, thresholds, stopwatch)
        stopwatch.timings_ms["total"] = sum(stopwatch.timings_ms.values())
        return _timed(result, stopwatch)

    threads, window = os.cpu_count() or 1, 2 * batch
    return prefetch(run(prefetch(iter(images), prepared, threads, window)), solved, threads, window)


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


def _solve(
    outputs: Tensors,
    image: CameraImage,
    landmark_map: LandmarkMap,
    method: Method,
    thresholds: GateThresholds | None,
    stopwatch: Stopwatch,
) -> PoseEstimate | Rejection:
    correspondences = method.correspond(outputs, image, landmark_map, stopwatch)
    with stopwatch.stage("pnp"):
        place, correspondences = likeliest_place(correspondences, landmark_map)
        result = replace(solve_pnp(correspondences, image.camera.undistorted(), method.pnp), place=place)
        if isinstance(result, PoseEstimate):
            manifest = landmark_map.manifest
            result = calibrated(result, manifest.calibration, landmark_map.views_of(place))
            result = gate(result, thresholds or manifest.gate, landmark_map.extent_of(place))
    if isinstance(result, Rejection) and (doubt := color_doubt(image.rgb, landmark_map.manifest)):
        result = replace(result, detail=f"{result.detail}; {doubt}")
    return result


def _timed(result: PoseEstimate | Rejection, stopwatch: Stopwatch) -> PoseEstimate | Rejection:
    return replace(result, timings_ms=MappingProxyType(stopwatch.timings_ms))
