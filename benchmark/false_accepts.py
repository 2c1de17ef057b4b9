"""False accepts: how many images that show no part of a map get a pose.

python benchmark/false_accepts.py --map MAP [MAP ...] --images FOLDER [FOLDER ...] [--places FILE --split test]

Of other places: the JPEGs of the folders. With `--places`, a list of joined places (docs/datasets.md) of which the
first is that of the first map and so on, also the frames of the other places, and the frames of the map's own place
mirrored and shuffled: the same textures where there is no such place. Images of other places are cropped about their
centres to the aspect ratio of the map's images and given the focal length of a 60 degree lens: only the content may
tell that it is another place. At most `--most` frames of a place are asked, and all images of the folders.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from in_turn import some_of, threads
from inputs import add_maps, plain_parser
from numpy.typing import NDArray
from results import Results

from vloc_ros.cli.progress_bar import TerminalProgress
from vloc_ros.core.types import CameraImage, PoseEstimate
from vloc_ros.datasets import Dataset
from vloc_ros.datasets.dataset_files import read_image
from vloc_ros.datasets.joined_places import open_joined
from vloc_ros.datasets.types import Frame
from vloc_ros.evaluation.corruptions import Corrupted, mirrored, shuffled
from vloc_ros.geometry.camera import Camera
from vloc_ros.inference import SessionOptions
from vloc_ros.localizer import Localizer, load_localizer

FIELD_OF_VIEW_DEG = 60.0

COLUMNS = {
    "map": "{map}",
    "images": "{images}",
    "asked": "{asked}",
    "accepted": "{accepted}",
    "most inliers": "{most_inliers}",
    "rejected": "{rejected}",
}


def main() -> None:
    parser = plain_parser(__doc__)
    add_maps(parser)
    parser.add_argument("--images", type=Path, nargs="+", required=True)
    parser.add_argument("--places", type=Path, metavar="FILE", help="the places of the maps, in their order")
    parser.add_argument("--split", default="test", help="of the places (default: %(default)s)")
    parser.add_argument("--most", type=int, default=200, help="frames of a place (default: %(default)s)")
    options = parser.parse_args()
    places = open_joined(options.places, options.split).places if options.places else ()
    if places and len(places) != len(options.map):
        parser.error(f"{options.places} lists {len(places)} places, there are {len(options.map)} maps")
    frames = {place.label: some_of(place, options.most) for place in places}
    folders = {folder.name: sorted(folder.glob("*.jpg")) for folder in options.images}
    results = Results(f"Data: images of {', '.join([*folders, *frames])}", COLUMNS)
    with threads(1):
        for number, path in enumerate(options.map):
            localizer = load_localizer(path, SessionOptions("onnxruntime", threads=1))
            own = places[number].label if places else ""
            for name, count, images in strange_images(localizer, own, folders, frames):
                results.add(map=path.name, images=name, **asked(localizer, count, images))
    results.write(options.json)


def strange_images(
    localizer: Localizer, own: str, folders: Mapping[str, list[Path]], frames: Mapping[str, Dataset]
) -> Iterator[tuple[str, int, Iterator[CameraImage]]]:
    """All that a map is asked of: what they are called, how many, and each; `own`: the map's place."""
    size = localizer.landmark_map.manifest.image_size
    for name, paths in folders.items():
        yield name, len(paths), (cropped(read_image(path), size) for path in paths)
    for name, part in frames.items():
        if name != own:
            yield name, len(part), (cropped(frame.image.rgb, size) for frame in each_of(part))
    if own in frames:
        for degrade in (mirrored, shuffled):
            part = Corrupted(frames[own], degrade)
            yield f"{own}, {degrade.__name__}", len(part), (frame.image for frame in each_of(part))


def each_of(dataset: Dataset) -> Iterator[Frame]:
    return (dataset.frame(index) for index in range(len(dataset)))


def asked(localizer: Localizer, count: int, images: Iterator[CameraImage]) -> dict[str, int | str]:
    """How many are accepted, for what reasons the others are not, and the most inliers of any pose."""
    reasons, most_inliers, accepted = Counter[str](), 0, 0
    with TerminalProgress(leave=False).bar("images") as advance:
        for done, image in enumerate(images, start=1):
            result = localizer.localize(image)
            solved = result if isinstance(result, PoseEstimate) else result.refused
            most_inliers = max(most_inliers, solved.inlier_count if solved else 0)
            if isinstance(result, PoseEstimate):
                accepted += 1
            else:
                reasons[result.reason.value] += 1
            advance(done, count)
    rejected = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common())
    return {"asked": count, "accepted": accepted, "most_inliers": most_inliers, "rejected": rejected}


def cropped(rgb: NDArray[np.uint8], size: tuple[int, int]) -> CameraImage:
    """The largest centred part of the image with the aspect ratio of `size`, width and height."""
    height, width = rgb.shape[:2]
    scale = min(width / size[0], height / size[1])
    w, h = round(size[0] * scale), round(size[1] * scale)
    y, x = (height - h) // 2, (width - w) // 2
    focal = 0.5 * w / math.tan(math.radians(FIELD_OF_VIEW_DEG / 2))
    camera = Camera(w, h, focal, focal, (w - 1) / 2, (h - 1) / 2)
    return CameraImage(np.ascontiguousarray(rgb[y : y + h, x : x + w]), camera)


if __name__ == "__main__":
    main()
