"""What the relocalizer tells the world about a fix."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import Point, PoseStamped, PoseWithCovarianceStamped, Vector3
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import ColorRGBA, String
from tf2_ros import TransformBroadcaster
from visualization_msgs.msg import Marker

from vloc_ros.core.manifest import Manifest
from vloc_ros.core.places import in_map_frame
from vloc_ros.core.types import LandmarkMap, PoseEstimate, Rejection
from vloc_ros.drawing.overlay import draw_result
from vloc_ros.geometry.rig import RigCamera
from vloc_ros.geometry.transforms import Matrix, apply
from vloc_ros.ros.conversions import header, to_cloud, to_image, to_pose, to_stamped_pose, to_transform_stamped
from vloc_ros.ros.drift_broadcast import DriftBroadcast
from vloc_ros.ros.initialpose import InitialPose
from vloc_ros.ros.node import LATCHED, VlocNode
from vloc_ros.ros.odometry_feed import OdometryFeed
from vloc_ros.ros.parameters import MAP_TO_BASE, MAP_TO_CAMERA, RelocalizerParameters
from vloc_ros.ros.rig_images import RigImages
from vloc_ros.tracking.pose_tracker import PoseTracker
from vloc_ros.tracking.track import Fix, FixPlace

RELIABLE = QoSProfile(depth=10)
FRUSTUM_LENGTH_M = 0.15
FRUSTUMS_SHOWN = 200


@dataclass(frozen=True, eq=False)
class LocatedBase:
    """Where the robot's base was, and the pose of the camera that says so, in the frame `fix.map_frame`."""

    fix: Fix
    estimate: PoseEstimate

    @property
    def message(self) -> PoseWithCovarianceStamped:
        fix = self.fix
        assert fix.covariance is not None
        return to_stamped_pose(fix.map_from_base, fix.covariance, header(fix.stamp_ns, fix.map_frame))


def fix_place(manifest: Manifest, place: str | None, map_name: str) -> FixPlace:
    """The place of a pose: PLACE, or MAP or MAP/PLACE where the map is one of several. None stands for the only place
    of its map."""
    found = manifest.place_of(place)
    name = "/".join(filter(None, (map_name, found.name if place or not map_name else "")))
    return FixPlace(name, is_aligned=found.map_from_place is not None, in_map=found.name)


class Outputs:
    """The publishers of poses, transforms and pictures, for the time of `scope`."""

    def __init__(
        self,
        node: VlocNode[RelocalizerParameters],
        scope: ExitStack,
        tracker: PoseTracker,
        odometry: OdometryFeed,
        is_localized: Callable[[], bool],
    ) -> None:
        self._pose = node.publisher(scope, PoseWithCovarianceStamped, "~/pose", LATCHED)  # as AMCL's
        self._camera_pose = node.publisher(scope, PoseStamped, "~/camera_pose", RELIABLE)
        self._inliers = node.publisher(scope, PointCloud2, "~/inliers", RELIABLE)
        self._debug_image = node.publisher(scope, Image, "~/debug_image", RELIABLE)
        self._frustum = node.publisher(scope, Marker, "~/frustum", RELIABLE)
        self._broadcaster = TransformBroadcaster(node)
        scope.callback(node.destroy_publisher, self._broadcaster.pub_tf)
        self.drift = DriftBroadcast(node, scope, self._broadcaster, tracker, odometry)
        self.initialpose = InitialPose(node, scope, is_localized)
        self._place = node.publisher(scope, String, "~/place", LATCHED)
        self._last_place = ""
        self._frustums = 0

    def publish_fix(
        self,
        base: LocatedBase,
        camera_frame: str,
        parameters: RelocalizerParameters,
        is_news: bool,
    ) -> None:
        """All that an accepted fix means to others; `is_news`: it places the robot anew."""
        self._publish_place(base.fix.place)
        self._publish_pose(base)
        self._broadcast_fix(base, camera_frame, parameters)
        self.drift.send()
        self.initialpose.offer(base.message, is_news)

    def _publish_place(self, place: FixPlace | None) -> None:
        """Where it has changed, and before the first pose there."""
        if place is not None and place.name != self._last_place:
            self._last_place = place.name
            self._place.publish(String(data=place.name))

    def _publish_pose(self, base: LocatedBase) -> None:
        """`~/pose` of the base, `~/camera_pose`; inliers if somebody listens."""
        estimate, where = base.estimate, header(base.fix.stamp_ns, base.fix.map_frame)
        self._pose.publish(base.message)
        self._camera_pose.publish(PoseStamped(header=where, pose=to_pose(estimate.map_from_camera)))
        if self._inliers.get_subscription_count():
            inliers = estimate.correspondences[estimate.inliers]
            self._inliers.publish(to_cloud(where, inliers.points, inliers.landmark_ids))

    def publish_views(self, images: RigImages, result: PoseEstimate | Rejection, landmark_map: LandmarkMap) -> None:
        """The debug image and the frustums, each only if somebody looks."""
        manifest, query = landmark_map.manifest, images.query
        if isinstance(result, PoseEstimate) and self._frustum.get_subscription_count():
            self._frustums = (self._frustums + 1) % FRUSTUMS_SHOWN
            map_from_rig = in_map_frame(result, manifest).map_from_camera
            self._frustum.publish(
                Marker(
                    header=header(query.stamp_ns, manifest.frame_to_publish(result.place)),
                    ns="camera",
                    id=self._frustums,
                    type=Marker.LINE_LIST,
                    pose=to_pose(np.eye(4)),
                    scale=_uniform(0.005),
                    color=ColorRGBA(r=0.15, g=0.85, b=0.35, a=1.0),
                    points=[end for each in query.cameras for end in _frustum(each, map_from_rig)],
                )
            )
        if self._debug_image.get_subscription_count():
            picture = draw_result(query, result, landmark_map)
            self._debug_image.publish(to_image(header(query.stamp_ns, images.frame_id), picture))

    def _broadcast_fix(self, base: LocatedBase, camera_frame: str, parameters: RelocalizerParameters) -> None:
        """map -> base or map -> camera at the stamp of the image, where that is the mode."""
        if parameters.tf_mode == MAP_TO_BASE:
            child, pose = parameters.base_frame or camera_frame, base.fix.map_from_base
        elif parameters.tf_mode == MAP_TO_CAMERA:
            child, pose = camera_frame, base.estimate.map_from_camera
        else:
            return
        self._broadcaster.sendTransform(to_transform_stamped(pose, base.fix.map_frame, child, base.fix.stamp_ns))


def _uniform(size: float) -> Vector3:
    return Vector3(x=size, y=size, z=size)


def _frustum(each: RigCamera, map_from_rig: Matrix) -> list[Point]:
    """Ends of the eight edges of a small pyramid, in the map."""
    camera, map_from_camera = each.camera, each.map_from_camera(map_from_rig)
    u, v = [-0.5, camera.width - 0.5], [-0.5, camera.height - 0.5]
    corners = np.array([[x, y] for x, y in ((u[0], v[0]), (u[1], v[0]), (u[1], v[1]), (u[0], v[1]))])
    rays = np.column_stack([(corners - [camera.cx, camera.cy]) / [camera.fx, camera.fy], np.ones(4)]) * FRUSTUM_LENGTH_M
    tip, base = map_from_camera[:3, 3], apply(map_from_camera, rays)
    edges = [end for k in range(4) for end in (tip, base[k], base[k], base[(k + 1) % 4])]
    return [Point(x=float(x), y=float(y), z=float(z)) for x, y, z in edges]
