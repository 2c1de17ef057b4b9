"""Which images hang together, and why others have no pose."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from vloc_ros.errors import DatasetError
from vloc_ros.mapping.sfm.mapper import SMALLEST_MODEL

FEW_KEY_POINTS = 50
SECOND_SHARE = 0.05  # of the images: a smaller part is some images that were not registered
NAMED = 3  # images of a part, or with the same fault


def parts_of(count: int, pairs: NDArray[np.int32]) -> NDArray[np.int32]:
    """The part (F,) that each of so many images is in, the largest being 0: images of verified `pairs` (n, 2) are in
    one."""
    links = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (count, count))
    _, labels = connected_components(links, directed=False)
    sizes = np.bincount(labels)
    order = np.argsort(-sizes, kind="stable")
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return np.asarray(rank[labels])


def require_one_part(source: str, names: Sequence[str], parts: NDArray[np.int32], largest: bool) -> str | None:
    """What to say of a second part that is not small, where the largest is wanted; None where there is none. Raises
    DatasetError for one where nobody said so."""
    sizes = np.bincount(parts)
    limit = max(SMALLEST_MODEL, SECOND_SHARE * len(parts))
    large = [part for part, size in enumerate(sizes) if part == 0 or size >= limit]
    if len(large) == 1:
        return None
    told = "; ".join(
        f"{sizes[part]} images with '{names[rows[0]]}' to '{names[rows[-1]]}'"
        for part in large
        if len(rows := np.flatnonzero(parts == part))
    )
    what = f"{source}: the images are of {len(large)} places that no two images connect: {told}"
    if not largest:
        raise DatasetError(f"{what}; take images on the way between them, or --largest-part makes a map of the first")
    return f"warning: {what}; only the first becomes the map"


def unregistered(
    names: Sequence[str], key_points: NDArray[np.int64], pairs: NDArray[np.int32], registered: NDArray[np.bool_]
) -> dict[str, list[str]]:
    """Names of the images without a pose, by the reason."""
    parts = parts_of(len(names), pairs)
    matched = np.zeros(len(names), dtype=np.bool_)
    matched[pairs.ravel()] = True
    main = np.bincount(parts[registered]).argmax() if registered.any() else 0
    found: dict[str, list[str]] = {}
    for row in np.flatnonzero(~registered).tolist():
        if key_points[row] < FEW_KEY_POINTS:
            reason = f"fewer than {FEW_KEY_POINTS} key points"
        elif not matched[row]:
            reason = "no other image shows the same"
        elif parts[row] != main:
            reason = "they hang together with each other only"
        else:
            reason = "too few of their points are known from other images"
        found.setdefault(reason, []).append(names[row])
    return found


def describe_unregistered(reasons: dict[str, list[str]], count: int) -> list[str]:
    """Lines for people."""
    missing = sum(map(len, reasons.values()))
    lines = [f"{count - missing} of {count} images have a pose"]
    for reason, names in reasons.items():
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        lines.append(f"  {len(names)} have not: {reason}: {', '.join(names[:NAMED])}{more}")
    return lines
