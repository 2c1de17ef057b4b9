"""How alike the errors of fixes are, by the way between their images: what `FixErrorModel` is fitted to.

python benchmark/fix_correlation.py --map MAP --dataset seven_scenes --root DIR --poses FILE --split HELD_OUT_BLOCKS

Errors are in the standard deviations that the map says; 1 is the same error again. The way is metres plus radians,
along consecutive frames. The last row is the fit, shared exp(-way / length).
"""

from itertools import pairwise, product

import numpy as np
from in_turn import threads
from inputs import data_of, opened, parser_of
from results import Results
from tracking import Drive, drives_of

from vloc_ros.geometry.pose_error import error_vector
from vloc_ros.geometry.transforms import Matrix, rotation_angle

BINS = (0, 0.01, 0.03, 0.06, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2)
COLUMNS = {
    "way": "{way}",
    "pairs": "{pairs}",
    "correlation": "{correlation:.2f}",
    "of positions": "{position:.2f}",
    "of rotations": "{rotation:.2f}",
    "fit: shared": "{shared:.2f}",
    "length": "{length:.2f}",
}


def main() -> None:
    options = parser_of(__doc__).parse_args()
    localizer, frames = opened(options)
    with threads():
        pairs = np.concatenate([pairs_of(drive) for drive in drives_of(localizer, frames, 10.0, 0.0)])
    results = Results(data_of(options, len(frames)), COLUMNS)
    for low, high in pairwise(BINS):
        inside = pairs[(pairs[:, 0] >= low) & (pairs[:, 0] < high), 1:]
        if len(inside):
            position, rotation = inside[:, :3].mean(), inside[:, 3:].mean()
            correlation = inside.mean()
            results.add(way=f"{low:g} to {high:g}", pairs=len(inside), correlation=correlation, position=position,
                        rotation=rotation)  # fmt: skip
    shared, length = fitted(pairs)
    results.add(way="fit", shared=shared, length=length)
    results.write(options.json)


def pairs_of(drive: Drive) -> Matrix:
    """Of each two fixes the way between them, and the products of their errors (6,)."""
    truth = drive.map_from_base
    steps = [np.linalg.norm(b[:3, 3] - a[:3, 3]) + rotation_angle(a, b) for a, b in pairwise(truth)]
    way = np.concatenate([[0.0], np.cumsum(steps)])
    errors = {k: error_vector(fix[0], truth[k]) / np.sqrt(np.diag(fix[1])) for k, fix in enumerate(drive.fixes) if fix}
    scale = 1.0 if not errors else float(np.sqrt(np.mean(np.square(list(errors.values())))))
    found = [
        [way[b] - way[a], *(errors[a] * errors[b] / scale**2)]
        for a, b in product(errors, errors)
        if a < b and way[b] - way[a] < BINS[-1]
    ]
    return np.array(found).reshape(-1, 7)


def fitted(pairs: Matrix) -> tuple[float, float]:
    """`shared` and `length` of least squares."""
    products = pairs[:, 1:].mean(axis=1)
    tried = list(product(np.arange(0.5, 1.0, 0.01), np.arange(0.05, 2.0, 0.01)))
    errors = [np.square(products - shared * np.exp(-pairs[:, 0] / length)).sum() for shared, length in tried]
    shared, length = tried[int(np.argmin(errors))]
    return float(shared), float(length)


if __name__ == "__main__":
    main()
