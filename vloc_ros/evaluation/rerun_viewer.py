"""A run in 3-D for the rerun viewer: map, camera where it was and where it is said to be, inliers, errors."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vloc_ros.core.types import LandmarkMap, PoseEstimate, Rejection
from vloc_ros.datasets.types import Frame
from vloc_ros.drawing.caption import GREEN, RED
from vloc_ros.drawing.overlay import side_by_side
from vloc_ros.errors import ConfigError
from vloc_ros.evaluation.evaluate import require_place
from vloc_ros.geometry.pose_error import pose_error
from vloc_ros.geometry.transforms import Matrix, to_quaternion
from vloc_ros.localizer import Localizer
from vloc_ros.methods.colors import label_colors
from vloc_ros.optional_packages import optional_packages, pip_install

JPEG_QUALITY = 80
TRUTH, ESTIMATE = "truth", "estimate"
TRUTH_COLOUR, ESTIMATE_COLOUR, VIEW_COLOUR = (160, 160, 160), (40, 140, 250), (110, 110, 110)
CAMERA_SIZE_M = 0.25  # of the frustum that is drawn
POINT_SHARE = 0.15  # a landmark's dot against its patch


def show_in_rerun(localizer: Localizer, frames: Iterable[Frame], save: Path | None) -> None:
    """Localize the frames and show what comes of them, or write it to the file `save` (.rrd) for later.

    Raises ConfigError where rerun is not installed, when the file cannot be written, and for frames of no place of the
    map's.
    """
    rr = _rerun()
    stream = rr.RecordingStream("vloc_ros")
    landmark_map = localizer.landmark_map
    places = landmark_map.manifest.result_places
    try:
        if save is None:
            stream.spawn(default_blueprint=_blueprint(places))
        else:
            stream.save(save, default_blueprint=_blueprint(places))
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{save or 'rerun'}: the recording cannot be started: {error}") from error
    for place in places:
        _log_map(rr, stream, _world(place), landmark_map.of_place(place))
    paths: dict[str, list[Matrix]] = defaultdict(list)
    before: str | None = None
    for index, frame in enumerate(frames):
        stream.set_time("frame", sequence=index)
        require_place(frame, landmark_map.manifest)
        of_frame = frame.place if len(places) > 1 else None
        world = _world(of_frame)
        if of_frame != before:
            for name in (TRUTH, ESTIMATE):
                stream.log(f"{_world(before)}/{name}", rr.Clear(recursive=True))
            before = of_frame
        result = localizer.localize(frame.query)
        _log_image(rr, stream, frame, result)
        paths[f"{world}/path/{TRUTH}"].append(frame.map_from_camera)
        _log_camera(rr, stream, f"{world}/{TRUTH}", frame, frame.map_from_camera, TRUTH_COLOUR)
        if isinstance(result, PoseEstimate) and result.place == of_frame:
            paths[f"{world}/path/{ESTIMATE}"].append(result.map_from_camera)
            _log_camera(rr, stream, f"{world}/{ESTIMATE}", frame, result.map_from_camera, ESTIMATE_COLOUR)
            _log_estimate(rr, stream, f"{world}/{ESTIMATE}", frame, result)
        else:
            why = result.detail if isinstance(result, Rejection) else f"taken for place {result.place}"
            stream.log("rejections", rr.TextLog(f"{frame.name}: {why}", level=rr.TextLogLevel.WARN))
            stream.log(f"{world}/{ESTIMATE}", rr.Clear(recursive=True))
    for entity, poses in paths.items():
        colour = TRUTH_COLOUR if entity.endswith(TRUTH) else ESTIMATE_COLOUR
        centres = [pose[:3, 3] for pose in poses]
        stream.log(entity, rr.LineStrips3D([centres], colors=[colour], radii=-1.0), static=True)
    stream.flush()


def _rerun() -> Any:
    with optional_packages("the view", pip_install("rerun-sdk")):
        import rerun
    return rerun


def _world(place: str | None) -> str:
    """Where a place's things are: each has a frame, and so a view, of its own."""
    return f"world/{place}" if place else "world"


def _blueprint(places: Sequence[str | None]) -> Any:
    from rerun import blueprint as rrb

    worlds = [rrb.Spatial3DView(origin=_world(place), name=place) for place in places]
    plots = [rrb.TimeSeriesView(origin=f"plots/{name}") for name in ("error", "confidence", "inliers")]
    image = rrb.Spatial2DView(origin="image")
    return rrb.Blueprint(
        rrb.Horizontal(
            rrb.Grid(*worlds),
            rrb.Vertical(image, *plots, rrb.TextLogView(origin="rejections"), row_shares=[3, 1, 1, 1, 1]),
            column_shares=[3, 2],
        ),
        collapse_panels=True,
    )


def _log_map(rr: Any, stream: Any, world: str, landmark_map: LandmarkMap) -> None:
    colours = label_colors(np.arange(1, len(landmark_map) + 1, dtype=np.int32))
    landmarks = rr.Points3D(landmark_map.positions, colors=colours, radii=POINT_SHARE * landmark_map.extents)
    stream.log(f"{world}/landmarks", landmarks, static=True)
    views = landmark_map.mapping_views[:, :3, 3]
    stream.log(f"{world}/mapping_views", rr.Points3D(views, colors=[VIEW_COLOUR], radii=-1.5), static=True)


def _log_image(rr: Any, stream: Any, frame: Frame, result: PoseEstimate | Rejection) -> None:
    """The undistorted images of all cameras, or the views that they were worked on as, side by side, with the landmarks
    that were voted for."""
    views = frame.query.in_pinhole_views().views
    undistorted = side_by_side([view.image.camera.undistort(view.image.rgb) for view in views])
    settings = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(undistorted, cv2.COLOR_RGB2BGR), settings)
    stream.log("image", rr.EncodedImage(contents=jpeg.tobytes(), media_type="image/jpeg"))
    solved = result if isinstance(result, PoseEstimate) else result.refused
    if solved is None:
        stream.log("image/landmarks", rr.Clear(recursive=False))
        return
    colours = np.where(solved.inliers[:, np.newaxis], GREEN, RED)
    pixels = solved.correspondences.pixels + 0.5  # rerun counts from the corner of the first pixel, not its centre
    left_edges = np.cumsum([0, *(view.image.camera.width for view in views)])
    pixels[:, 0] += left_edges[solved.correspondences.views]
    stream.log("image/landmarks", rr.Points2D(pixels, colors=colours, radii=-3.0))


def _log_camera(
    rr: Any, stream: Any, parent: str, frame: Frame, map_from_camera: Matrix, colour: tuple[int, int, int]
) -> None:
    """All cameras; `map_from_camera`: of the first."""
    stream.log(f"{parent}/others", rr.Clear(recursive=True))  # of a frame with more cameras
    for number, view in enumerate(frame.query.views):
        camera, entity = view.image.camera, f"{parent}/others/{number}" if number else f"{parent}/camera"
        map_from_this = map_from_camera @ view.rig_from_camera
        quaternion = rr.Quaternion(xyzw=to_quaternion(map_from_this[:3, :3]))
        stream.log(entity, rr.Transform3D(translation=map_from_this[:3, 3], quaternion=quaternion))
        pinhole = rr.Pinhole(
            image_from_camera=camera.matrix,
            resolution=(camera.width, camera.height),
            camera_xyz=rr.ViewCoordinates.RDF,
            image_plane_distance=CAMERA_SIZE_M,
            color=colour,
        )
        stream.log(entity, pinhole)


def _log_estimate(rr: Any, stream: Any, parent: str, frame: Frame, result: PoseEstimate) -> None:
    error = pose_error(result.map_from_camera, frame.map_from_camera)
    inliers = result.correspondences.points[result.inliers]
    gap = [frame.map_from_camera[:3, 3], result.map_from_camera[:3, 3]]
    stream.log(f"{parent}/inliers", rr.Points3D(inliers, colors=[GREEN], radii=-4.0))
    stream.log(f"{parent}/error", rr.LineStrips3D([gap], colors=[RED], radii=-2.0))
    stream.log("plots/error/cm", rr.Scalars(100 * error.translation_m))
    stream.log("plots/error/deg", rr.Scalars(math.degrees(error.rotation_rad)))
    stream.log("plots/confidence/confidence", rr.Scalars(result.confidence))
    stream.log("plots/inliers/inliers", rr.Scalars(result.inlier_count))
