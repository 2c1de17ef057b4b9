"""A rendered room through a fisheye lens: five pinhole images, put together."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.fisheye import FisheyeCamera
from vloc_ros.geometry.transforms import Matrix
from vloc_ros.synthetic.faces import Faces, Lightmaps, Pyramids
from vloc_ros.synthetic.render import render

FINER = 1.5  # than the fisheye image at its centre
MARGIN = 4  # pixels beyond 90 degrees, for the interpolation
AHEAD, RIGHT, DOWN = np.eye(3)[2], np.eye(3)[0], np.eye(3)[1]
AXES = ((RIGHT, DOWN), (-AHEAD, DOWN), (AHEAD, DOWN), (RIGHT, -AHEAD), (RIGHT, AHEAD))  # x and y of each image


def render_fisheye(
    faces: Faces, pyramids: Pyramids, lightmaps: Lightmaps, camera: FisheyeCamera, map_from_camera: Matrix
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """RGB (H, W, 3), and depth (H, W) along the camera's axis in metres, 0 beyond 90 degrees from it, where the image
    is black."""
    focal = FINER * max(camera.fx, camera.fy)
    side = 2 * (round(focal) + MARGIN)
    cube = Camera(side, side, focal, focal, (side - 1) / 2, (side - 1) / 2)
    pixels = np.stack(np.meshgrid(np.arange(float(camera.width)), np.arange(float(camera.height))), -1).reshape(-1, 2)
    rays = camera.directions(pixels)
    axes = [np.stack([x, y, np.cross(x, y)]) for x, y in AXES]
    nearest = np.argmax(np.stack([rays @ each[2] for each in axes]), axis=0)
    ahead = rays[:, 2] > 1e-3  # False of NaN
    shape = camera.height, camera.width
    rgb, depth = np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.float32)
    for index, view_from_camera in enumerate(axes):
        own = (ahead & (nearest == index)).reshape(shape)
        if not own.any():
            continue
        turned = np.eye(4)
        turned[:3, :3] = view_from_camera.T
        image, distances = render(faces, pyramids, lightmaps, cube, map_from_camera @ turned)
        seen = rays @ view_from_camera.T
        x, y = np.nan_to_num(cube.project(seen)[0], nan=-1.0).astype(np.float32).T.reshape(2, *shape)
        rgb[own] = cv2.remap(image, x, y, cv2.INTER_LINEAR)[own]
        along = cv2.remap(distances, x, y, cv2.INTER_NEAREST)
        factor = np.divide(rays[:, 2], seen[:, 2], out=np.zeros(len(rays)), where=ahead & (nearest == index))
        depth[own] = (along * factor.reshape(shape))[own]
    return rgb, depth
