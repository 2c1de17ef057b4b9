"""How alike the errors of fixes are, by the way between their images: what `FixErrorModel` is fitted to.

python benchmark/fix_correlation.py --map MAP --dataset seven_scenes --root DIR --poses FILE --split HELD_OUT_BLOCKS

Errors are in the standard deviations that the map says; 1 is the same error again. The way is metres plus radians,
along consecutive frames. `with a covered one`: of an image and another one that is covered, in part; `two covered`: of
two such; beside what the model has for them. The last row is the fit, shared exp(-way / length).
"""

from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np
from in_turn import threads
from inputs import data_of, opened, parser_of
from results import Results
from tracking import COVERED, Drive, drives_of

from vloc_ros.geometry.pose_error import error_vector
from vloc_ros.geometry.transforms import Matrix, rotation_angle

BINS = (0, 0.01, 0.03, 0.06, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2)
COLUMNS = {
    "way": "{way}",
    "pairs": "{pairs}",
    "correlation": "{correlation:.2f}",
    "of positions": "{position:.2f}",
    "of rotations": "{rotation:.2f}",
    "with a covered one": "{one_covered:.2f}",
    "model": "{one_expected:.2f}",
    "two covered": "{two_covered:.2f}",
    "model ": "{two_expected:.2f}",
    "fit: shared": "{shared:.2f}",
    "length": "{length:.2f}",
}


def main() -> None:
    options = parser_of(__doc__).parse_args()
    localizer, frames = opened(options)
    with threads():
        clean, covered = (drives_of(localizer, frames, 10.0, hide) for hide in (0.0, COVERED))
    pairs, one, two = (
        np.concatenate([pairs_of(a, b) for a, b in zip(*drives, strict=True)])
        for drives in ((clean, clean), (clean, covered), (covered, covered))
    )
    shared, length = fitted(pairs)
    # What covering adds to a fix is its own: the slow part is a smaller share of its variance.
    smaller = np.exp(np.mean(np.log(deviations_of(clean))) - np.mean(np.log(deviations_of(covered))))
    results = Results(data_of(options, len(frames)), COLUMNS)
    for low, high in pairwise(BINS):
        inside, one_inside, two_inside = (
            found[(found[:, 0] >= low) & (found[:, 0] < high)] for found in (pairs, one, two)
        )
        if len(inside):
            expected = shared * np.exp(-inside[:, 0] / length).mean()
            results.add(
                way=f"{low:g} to {high:g}",
                pairs=len(inside),
                correlation=inside[:, 1:].mean(),
                position=inside[:, 1:4].mean(),
                rotation=inside[:, 4:].mean(),
                one_covered=one_inside[:, 1:].mean(),
                one_expected=smaller * expected,
                two_covered=two_inside[:, 1:].mean(),
                two_expected=smaller**2 * expected,
            )
    results.add(way="fit", shared=shared, length=length)
    results.write(options.json)


def pairs_of(drive: Drive, other: Drive) -> Matrix:
    """Of each two fixes, the second of the other drive along the same way, the way between them, and the products of
    their errors (6,)."""
    truth = drive.map_from_base
    steps = [np.linalg.norm(b[:3, 3] - a[:3, 3]) + rotation_angle(a, b) for a, b in pairwise(truth)]
    way = np.concatenate([[0.0], np.cumsum(steps)])
    ones, others = errors_of(drive), errors_of(other)
    found = [
        [way[b] - way[a], *(ones[a] * others[b])]
        for a, b in product(ones, others)
        if a < b and way[b] - way[a] < BINS[-1]
    ]
    return np.array(found).reshape(-1, 7)


def errors_of(drive: Drive) -> dict[int, Matrix]:
    """Of each fix (6,), in standard deviations, which are made true for the drive as a whole."""
    fixes = {k: fix for k, fix in enumerate(drive.fixes) if fix}
    errors = {k: error_vector(fix[0], drive.map_from_base[k]) / np.sqrt(np.diag(fix[1])) for k, fix in fixes.items()}
    scale = float(np.sqrt(np.mean(np.square(list(errors.values()))))) if errors else 1.0
    return {k: error / scale for k, error in errors.items()}


def deviations_of(drives: Sequence[Drive]) -> Matrix:
    """(N, 6), as the map says."""
    return np.array([np.sqrt(np.diag(fix[1])) for drive in drives for fix in drive.fixes if fix])


def fitted(pairs: Matrix) -> tuple[float, float]:
    """`shared` and `length` of least squares."""
    products = pairs[:, 1:].mean(axis=1)
    tried = list(product(np.arange(0.5, 1.0, 0.01), np.arange(0.05, 2.0, 0.01)))
    errors = [np.square(products - shared * np.exp(-pairs[:, 0] / length)).sum() for shared, length in tried]
    shared, length = tried[int(np.argmin(errors))]
    return float(shared), float(length)


if __name__ == "__main__":
    main()
