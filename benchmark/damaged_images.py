"""How much of the damage of JPEGs is detected, what the check costs, and whether intact images are refused.

python benchmark/damaged_images.py [--count 600] [--right FOLDER]
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from results import Results, add_json

from vloc_ros.datasets.synthetic_room import open_synthetic_room
from vloc_ros.errors import ImageError
from vloc_ros.images import decode_rgb, jpeg

Rgb = NDArray[np.uint8]
KINDS: dict[str, list[int]] = {
    "quality 90": [cv2.IMWRITE_JPEG_QUALITY, 90],
    "with restart markers": [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_RST_INTERVAL, 8],
    "progressive": [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
}
OFF, MUCH = 8, 0.01  # grey levels; share of the pixels
REPEATS = 50
DETECTED, REFUSED, OTHER_SIZE = "damage detected", "refused otherwise", "other size"
UNHARMED, LITTLE, MUCH_OFF = (
    f"taken - no pixel off by more than {OFF}",
    f"taken - less than {MUCH:.0%} of the pixels off",
    f"taken - more than {MUCH:.0%} of the pixels off",
)
OUTCOMES = (DETECTED, REFUSED, OTHER_SIZE, UNHARMED, LITTLE, MUCH_OFF)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=600, help="damaged images of each kind, one byte changed in each")
    parser.add_argument("--right", type=Path, help="a folder with intact JPEGs")
    add_json(parser)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"simplejpeg {'is' if find_spec('simplejpeg') else 'is NOT'} installed")
    rgb = open_synthetic_room(None, "small").frame(0).image.rgb
    columns = {"image": "{kind}", **{outcome: f"{{{outcome}}}" for outcome in OUTCOMES}}
    columns |= {"decoding with the check": "{decoding_ms:.2f} ms", "the check": "{check_ms:.2f} ms"}
    results = Results(f"Data: {options.count} damaged copies of a JPEG of the synthetic room, 640x480", columns)
    for kind, flags in KINDS.items():
        image = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), flags)[1].tobytes()
        found = damage(image, options.count)
        results.add(
            kind=kind,
            decoding_ms=milliseconds(decode_rgb, image),
            check_ms=milliseconds(jpeg.check_damage, image),
            **{outcome: found[outcome] for outcome in OUTCOMES},
        )
    results.write(options.json)
    if options.right:
        print(f"{options.right}: {dict(refusals(options.right))}")


def damage(image: bytes, count: int) -> Counter[str]:
    """What becomes of an image with one byte changed, each time another, the same ones in every run."""
    rng, right, found = np.random.default_rng(0), decode_rgb(image), Counter[str]()
    for _ in range(count):
        at = int(rng.integers(len(image)))
        changed = bytes([(image[at] + int(rng.integers(1, 256))) % 256])
        found[_outcome(image[:at] + changed + image[at + 1 :], right)] += 1
    return found


def _outcome(data: bytes, right: Rgb) -> str:
    try:
        rgb = decode_rgb(data)
    except ImageError as error:
        return DETECTED if "damaged: " in str(error) else REFUSED
    if rgb.shape != right.shape:
        return OTHER_SIZE
    off = cv2.absdiff(rgb, right).max(axis=2) > OFF
    if not off.any():
        return UNHARMED
    return MUCH_OFF if off.mean() > MUCH else LITTLE


def milliseconds(function: Callable[[bytes], object], image: bytes) -> float:
    """The fastest call: other programs only ever add."""
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        function(image)
        times.append(1e3 * (time.perf_counter() - begin))
    return min(times)


def refusals(folder: Path) -> Counter[str]:
    found = Counter[str]()
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in (".jpg", ".jpeg"):
            try:
                decode_rgb(path.read_bytes())
                found["taken"] += 1
            except ImageError as error:
                found[f"refused: {error}"] += 1
    return found


if __name__ == "__main__":
    main()
