"""Robustness to wrong calibrations: how many images are refused, rejected, or get a wrong pose.

python benchmark/wrong_calibrations.py --map MAP --dataset KIND --root PATH [--every N]

"Not refused" is with the check of the principal point left out, so that the later checks show.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from inputs import data_of, parser_of
from results import Results

from vloc_ros.core.types import CameraImage, PoseEstimate, RejectionReason
from vloc_ros.datasets import Frame, open_dataset
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.pose_error import NOT_WRONG_POSE, pose_error
from vloc_ros.localizer import Localizer, load_localizer

WRONG: dict[str, Callable[[Camera], dict[str, float]]] = {
    "right": lambda c: {},
    "K of twice the size": lambda c: scaled(c, 2),
    "K of 3/2 the size": lambda c: scaled(c, 1.5),
    "K of 3/4 the size": lambda c: scaled(c, 0.75),
    "K of half the size": lambda c: scaled(c, 0.5),
    "centre ten times too far": lambda c: {"cx": 10 * c.cx, "cy": 10 * c.cy},
    "centre of 0.5, 0.5": lambda c: {"cx": 0.5, "cy": 0.5},
    "focal length doubled": lambda c: {"fx": 2 * c.fx, "fy": 2 * c.fy},
    "focal length halved": lambda c: {"fx": c.fx / 2, "fy": c.fy / 2},
}


def scaled(camera: Camera, factor: float) -> dict[str, float]:
    """The intrinsics of the image made larger by this factor."""
    centre = {"cx": (camera.cx + 0.5) * factor - 0.5, "cy": (camera.cy + 0.5) * factor - 0.5}
    return {"fx": factor * camera.fx, "fy": factor * camera.fy, **centre}


def is_refused(camera: Camera, changes: dict[str, float]) -> bool:
    try:
        replace(camera, **changes)  # type: ignore[arg-type]
    except ConfigError:
        return True
    return False


def outcome(localizer: Localizer, frame: Frame, changes: dict[str, float]) -> str:
    """accepted, wrong, outside_map or rejected."""
    camera = replace(frame.image.camera, cropped=True, **changes)  # type: ignore[arg-type]
    result = localizer.localize(CameraImage(frame.image.rgb, camera))
    if isinstance(result, PoseEstimate):
        return (
            "accepted" if pose_error(result.map_from_camera, frame.map_from_camera).within(NOT_WRONG_POSE) else "wrong"
        )
    return "outside_map" if result.reason is RejectionReason.OUTSIDE_MAP else "rejected"


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth frame")
    options = parser.parse_args()
    localizer = load_localizer(options.map)
    dataset = open_dataset(options.dataset, options.root, options.split, options.poses)
    frames = [dataset.frame(index) for index in range(0, len(dataset), options.every)]
    columns = {
        "calibration": "{calibration}",
        "refused": "{refused}",
        "not refused: right pose accepted": "{accepted}",
        "wrong pose accepted": "{wrong}",
        "`outside_map`": "{outside_map}",
        "else rejected": "{rejected}",
    }
    results = Results(data_of(options, len(frames)), columns)
    for name, change in WRONG.items():
        refused = sum(is_refused(frame.image.camera, change(frame.image.camera)) for frame in frames)
        counts = Counter(outcome(localizer, frame, change(frame.image.camera)) for frame in frames)
        kinds = {kind: counts[kind] for kind in ("accepted", "wrong", "outside_map", "rejected")}
        results.add(calibration=name, refused=refused, **kinds)
    results.write(options.json)


if __name__ == "__main__":
    main()
