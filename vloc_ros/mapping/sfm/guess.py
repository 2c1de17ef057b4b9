"""The focal length of images, before anything is known of their camera."""

from pathlib import Path

from vloc_ros.errors import reason_of

USUAL_FOCAL = 0.85  # of the longer side: between those of phones (0.75) and of webcams (1.0)


def guessed_camera(first: Path, size: tuple[int, int]) -> tuple[float, bool]:
    """Pixels of images that are scaled to `size` (width, height), and whether EXIF data of the `first` image say so.
    COLMAP knows the sensors of many cameras where EXIF tells millimetres alone."""
    import pycolmap

    longer = max(size)
    try:
        camera = pycolmap.infer_camera_from_image(str(first))
    except (ValueError, RuntimeError) as error:  # a video
        reason_of(error)
        return USUAL_FOCAL * longer, False
    if not camera.has_prior_focal_length:
        return USUAL_FOCAL * longer, False
    return float(camera.mean_focal_length()) * longer / max(camera.width, camera.height), True
