"""Where a map placed frames, and where they were."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vloc_ros.geometry.pose_error import NOT_WRONG_POSE, error_vector

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PosePairs:
    """Where a map placed N frames, `estimated` (N, 4, 4), and where they were, `true` (N, 4, 4); their `places` (N,),
    and `blocks` (N,): frames that follow each other have the same. `hidden` (N,): mapping views nearer than that (as
    `NearestView.view_distance`) were as if they had never been taken."""

    estimated: Float
    true: Float
    places: NDArray[np.int32]
    blocks: NDArray[np.int64]
    hidden: Float

    @staticmethod
    def of(rows: Sequence[tuple[Float, Float, int, int, float]]) -> "PosePairs":
        """Of (estimated, true, place, block, hidden) of each."""
        estimated, true, places, blocks, hidden = zip(*rows, strict=True) if rows else ((),) * 5
        return PosePairs(
            np.array(estimated).reshape(-1, 4, 4),
            np.array(true).reshape(-1, 4, 4),
            np.array(places, dtype=np.int32),
            np.array(blocks, dtype=np.int64),
            np.array(hidden, dtype=np.float64),
        )

    def __len__(self) -> int:
        return len(self.estimated)

    def __getitem__(self, rows: NDArray[np.bool_]) -> "PosePairs":
        return PosePairs(*(getattr(self, each.name)[rows] for each in fields(self)))

    def and_these(self, others: "PosePairs") -> "PosePairs":
        """Both, with blocks that differ."""
        shifted = replace(others, blocks=others.blocks + 1 + self.blocks.max(initial=0))
        parts = ((getattr(self, each.name), getattr(shifted, each.name)) for each in fields(self))
        return PosePairs(*(np.concatenate(pair) for pair in parts))

    @cached_property
    def steps(self) -> Float:
        """The steps (N, 6) from the estimated to the true poses."""
        return np.array([error_vector(*pair) for pair in zip(self.true, self.estimated, strict=True)]).reshape(-1, 6)

    def not_wrong(self) -> "PosePairs":
        """Without those that are in quite another place."""
        steps = self.steps
        near = np.linalg.norm(steps[:, :3], axis=1) <= NOT_WRONG_POSE.metres
        return self[near & (np.linalg.norm(steps[:, 3:], axis=1) <= math.radians(NOT_WRONG_POSE.degrees))]
