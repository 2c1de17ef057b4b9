"""What smaller images would save while the robot is tracked, and what they cost: the map's XFeat on images that are
scaled down or cut, globally and with a prior, in turn.

OMP_NUM_THREADS=1 python benchmark/smaller_images.py --map MAP --dataset seven_scenes --root DIR --split FRAMES

A prior is the true pose, off by what is drawn from its covariance: 2 cm and 1 deg in each axis. `scale WxH`: the whole
image, smaller; `cut WxH`: its middle, of full resolution.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from in_turn import some_of, threads
from inputs import data_of, opened, parser_of
from results import Results

from vloc_ros.core.query import Prior, Query
from vloc_ros.core.types import CameraImage, PoseEstimate
from vloc_ros.datasets.types import Frame
from vloc_ros.geometry.pose_error import pose_error
from vloc_ros.geometry.pose_refinement import perturb
from vloc_ros.inference import SessionOptions, open_sessions
from vloc_ros.localizer import Localizer
from vloc_ros.training.features.xfeat import export_xfeat

SIGMAS = np.repeat([0.02, np.radians(1.0)], 3)
KEY_POINTS = 512
VARIANTS = (("scale", 512, 384), ("scale", 320, 240), ("cut", 640, 240), ("cut", 480, 240), ("cut", 640, 160))
COLUMNS = {
    "images": "{name}",
    "CPU an image": "{ms:.1f} ms",
    "over today's": "{ratio:.2f}",
    "network": "{network_ms:.1f} ms",
    "median error": "{cm:.2f} cm",
    "p90": "{p90_cm:.2f} cm",
    "inliers": "{inliers:.0f}",
    "refused": "{refused} of {asked}",
}


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--images", type=int, default=25)
    options = parser.parse_args()
    torch.set_num_threads(1)
    localizer, frames = opened(options)
    frames = some_of(frames, options.images)
    asked = {"as today": (localizer, lambda image: image)}
    for kind, width, height in VARIANTS:
        asked[f"{kind} {width}x{height}"] = variant(localizer, kind, width, height)
    found: dict[tuple[str, bool], list[tuple[float, ...]]] = {}
    rng = np.random.default_rng(0)
    with threads():
        for each, _ in asked.values():
            each.warm_up()
        for number in range(len(frames)):
            frame = frames.frame(number)
            near = Prior(perturb(frame.map_from_camera, rng.standard_normal(6) * SIGMAS), np.diag(SIGMAS**2))
            todo = [(name, prior) for name in asked for prior in (None, near)]
            for name, prior in todo[number % len(todo) :] + todo[: number % len(todo)]:
                told = measured(*asked[name], frame, prior)
                found.setdefault((name, prior is not None), []).append(told)
    results = Results(data_of(options, len(frames)), COLUMNS)
    base_ms = float(np.median([row[0] for row in found["as today", False]]))
    for (name, with_prior), rows in found.items():
        results.add(name=f"{name}, prior" if with_prior else name, **figures(np.array(rows), base_ms))
    results.write(options.json)


def variant(
    localizer: Localizer, kind: str, width: int, height: int
) -> tuple[Localizer, Callable[[CameraImage], CameraImage]]:
    """The same map, asked with smaller images, and how an image becomes one."""
    manifest = localizer.landmark_map.manifest
    full_width, full_height = manifest.image_size
    scale = width / full_width if kind == "scale" else 1.0
    left, top = ((full_width - width) // 2, (full_height - height) // 2) if kind == "cut" else (0, 0)
    assert manifest.features is not None
    data, spec = export_xfeat(width, height, KEY_POINTS)
    sessions = open_sessions({"extractor": {"float32": data}}, {"extractor": spec}, SessionOptions(threads=1))
    lenses = {
        name: replace(
            lens,
            fx=lens.fx * scale,
            fy=lens.fy * scale,
            cx=(lens.cx + 0.5) * scale - 0.5 - left,
            cy=(lens.cy + 0.5) * scale - 0.5 - top,
        )
        for name, lens in manifest.lenses.items()
    }
    smaller = replace(
        manifest,
        image_size=(width, height),
        models={**manifest.models, "extractor": spec},
        features=replace(manifest.features, key_points=KEY_POINTS),
        lenses=lenses,
    )

    def cut(image: CameraImage) -> CameraImage:
        if kind == "scale":
            return image
        camera = image.camera
        part = image.rgb[top : top + height, left : left + width]
        seen = replace(camera, width=width, height=height, cx=camera.cx - left, cy=camera.cy - top, cropped=True)
        return CameraImage(np.ascontiguousarray(part), seen, image.stamp_ns)

    return replace(localizer, landmark_map=replace(localizer.landmark_map, manifest=smaller), sessions=sessions), cut


def measured(
    localizer: Localizer, cut: Callable[[CameraImage], CameraImage], frame: Frame, prior: Prior | None
) -> tuple[float, ...]:
    """Milliseconds of the processor, those of the network, cm (infinite where refused), inliers."""
    image = cut(frame.image)
    start = time.process_time()
    result = localizer.localize(Query.of(image, prior))
    ms = 1e3 * (time.process_time() - start)
    network_ms = result.timings_ms["network"]
    if not isinstance(result, PoseEstimate):
        return ms, network_ms, np.inf, 0.0
    cm = 100 * pose_error(result.map_from_camera, frame.map_from_camera).translation_m
    return ms, network_ms, cm, float(result.inlier_count)


def figures(rows: np.ndarray, base_ms: float) -> dict[str, object]:
    ms, network_ms, cm, inliers = np.median(rows, axis=0)
    return {
        "ms": ms,
        "ratio": ms / base_ms,
        "network_ms": network_ms,
        "cm": None if np.isinf(cm) else cm,
        "p90_cm": None if np.isinf(p90 := np.sort(rows[:, 2])[int(0.9 * len(rows))]) else p90,
        "inliers": inliers,
        "refused": int(np.isinf(rows[:, 2]).sum()),
        "asked": len(rows),
    }


if __name__ == "__main__":
    main()
