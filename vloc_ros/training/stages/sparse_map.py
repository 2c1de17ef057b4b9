"""The stages of a method that matches key points with the points of a place, in their order.

PyTorch is loaded only where a recognizer is trained, and where XFeat was never exported before.
"""

from dataclasses import replace

from vloc_ros.mapping.geometry_kinds import GeometryKind
from vloc_ros.progress import Progress
from vloc_ros.training.map_options import MapOptions
from vloc_ros.training.recipe import SparseRecipe
from vloc_ros.training.stages.calibration_stage import CalibrationStage
from vloc_ros.training.stages.feature_stage import FeatureStage
from vloc_ros.training.stages.geometry_stage import GeometryStage
from vloc_ros.training.stages.point_map import hidden_views, point_map
from vloc_ros.training.stages.pose_stage import PoseStage
from vloc_ros.training.stages.recordings import recordings_of
from vloc_ros.training.stages.region_stage import RegionStage
from vloc_ros.training.stages.retirement import retire_points
from vloc_ros.training.stages.settings import calibration_settings, feature_settings, source_settings
from vloc_ros.training.stages.source_stage import Sources, SourceStage
from vloc_ros.training.stages.sparse_export_stage import SparseExportStage
from vloc_ros.training.stages.summary import depth_summary, point_summary, pose_summary
from vloc_ros.training.stages.surface_stage import SurfaceStage
from vloc_ros.training.stages.work_directory import WorkDirectory
from vloc_ros.training.training_files import RECOGNITION_LOGS


def sparse_map(
    work: WorkDirectory,
    options: MapOptions,
    recipe: SparseRecipe,
    kind: GeometryKind,
    opened: Sources,
    progress: Progress,
) -> None:
    """Make the map of points, or what the work directory is to stop behind."""
    method = recipe.options

    sources = work.run(SourceStage(source_settings(options), opened))
    sources = work.run(FeatureStage(feature_settings(options), method, sources))
    poses = work.run(PoseStage(method, kind.reads_depth, sources))
    sources = poses.applied(sources)
    current = retire_points(sources, work.run(GeometryStage(kind, sources)), progress)
    geometry = current.geometry
    regions = work.run(RegionStage(method, recipe, sources, geometry))
    trained = None
    if "training" in method.stages:
        from vloc_ros.training.stages.recognition_stage import RecognitionStage  # loads PyTorch

        trained = work.run(RecognitionStage(options.training, recipe, sources, geometry))
    networks = work.run(SparseExportStage(method, sources, trained.network if trained else None))
    uncalibrated = point_map(method, options.frame_id, sources, geometry, regions, networks)
    if options.surface:
        uncalibrated = replace(uncalibrated, surface=work.run(SurfaceStage(sources, geometry)))
    summary = {
        **depth_summary(geometry),
        **pose_summary(poses),
        **point_summary(source_settings(options), recipe, geometry),
        **current.summary(regions),
    }
    if trained is not None:
        summary |= trained.summary()
    hidden = hidden_views(uncalibrated, sources, geometry)
    calibration, mapping, held_out = calibration_settings(options), hidden.frames, sources.held_out
    seen = recordings_of(sources, geometry)
    stage = CalibrationStage(
        calibration, uncalibrated, networks, mapping, held_out, (), summary, RECOGNITION_LOGS, hidden, seen
    )
    work.run(stage)
