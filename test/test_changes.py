"""What has changed between two recordings of a room: a box that was moved, a picture that was exchanged."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from vloc_ros.features.types import KeyPoints
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import apply, invert
from vloc_ros.mapping.changes import Changes, PointState, find_changes, retired_views, without_retired
from vloc_ros.mapping.reconstruction import Reconstruction

CAMERA = Camera(160, 120, 120.0, 120.0, 79.5, 59.5)
FRAMES = 12  # of each recording
WALL, BOX_DEPTH = 4.0, 2.5
Float = NDArray[np.float64]


def poses() -> Float:
    """A camera that looks at the wall and moves along it."""
    found = np.tile(np.eye(4), (FRAMES, 1, 1))
    found[:, 0, 3] = np.linspace(-0.5, 0.5, FRAMES)
    return found


@dataclass(frozen=True)
class Room:
    """300 points of a wall, the last 50 of them behind where a box may stand, 60 of a picture on the wall and 80 of the
    box, with descriptors; `box_x`: where it stands. Each is visible from somewhere."""

    picture: int
    box_x: float

    def points(self) -> tuple[Float, Float]:
        rng = np.random.default_rng(0)
        heights = rng.uniform(0.6, 1.2, 250) * rng.choice([-1, 1], 250)
        x, y = (
            np.append(rng.uniform(-1.5, 1.5, 250), rng.uniform(0.2, 0.9, 50)),
            np.append(heights, rng.uniform(-0.4, 0.4, 50)),
        )
        wall = np.column_stack([x, y, np.full(300, WALL)])
        picture = np.column_stack([rng.uniform(1.0, 1.5, 60), rng.uniform(-0.4, 0.4, 60), np.full(60, WALL)])
        box = np.column_stack([rng.uniform(-0.3, 0.3, 80) + self.box_x, rng.uniform(-0.3, 0.3, 80),
                               np.full(80, BOX_DEPTH)])  # fmt: skip
        others = np.random.default_rng(self.picture)
        descriptors = np.concatenate(
            [rng.normal(size=(300, 64)), others.normal(size=(60, 64)), rng.normal(size=(80, 64))]
        )
        return np.concatenate([wall, picture, box]), descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True)

    def depth(self, pose: Float) -> NDArray[np.float32]:
        depth = np.full((CAMERA.height, CAMERA.width), WALL, np.float32)
        left, right = ((self.box_x + side - pose[0, 3]) / BOX_DEPTH * CAMERA.fx + CAMERA.cx for side in (-0.35, 0.35))
        top, bottom = (side / BOX_DEPTH * CAMERA.fy + CAMERA.cy for side in (-0.35, 0.35))
        depth[max(0, int(top)) : int(bottom) + 1, max(0, int(left)) : max(0, int(right) + 1)] = BOX_DEPTH
        return depth


@dataclass(frozen=True)
class Seen:
    """Two recordings: which points each frame sees, as a reconstruction of both would have them."""

    rooms: tuple[Room, Room]

    def frame(self, index: int) -> tuple[Room, Float]:
        return self.rooms[index // FRAMES], poses()[index % FRAMES]

    def visible(self, index: int) -> tuple[NDArray[np.int64], Float]:
        room, pose = self.frame(index)
        local = apply(invert(pose), room.points()[0])
        at = local[:, :2] / local[:, 2:] * CAMERA.fx + (CAMERA.cx, CAMERA.cy)
        inside = np.asarray((at >= 0).all(axis=1) & (at < (CAMERA.width - 1, CAMERA.height - 1)).all(axis=1))
        columns, rows = np.where(inside[:, None], at, 0).round().astype(int).T
        return np.flatnonzero(inside & (local[:, 2] < room.depth(pose)[rows, columns] + 0.05)), at

    def __len__(self) -> int:
        return 2 * FRAMES

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{index // FRAMES + 1}/{index}" for index in range(len(self)))

    def key_points(self, index: int) -> KeyPoints:
        rows, at = self.visible(index)
        descriptors = self.frame(index)[0].points()[1][rows].astype(np.float32)
        return KeyPoints(at[rows], np.ones(len(rows), np.float32), descriptors)

    def reconstruction(self, changed: NDArray[np.bool_]) -> Reconstruction:
        """Points that are `changed` (440,) are other ones in the second recording."""
        positions = np.concatenate([self.rooms[0].points()[0], self.rooms[1].points()[0][changed]])
        second = np.arange(len(changed))
        second[changed] = len(changed) + np.arange(changed.sum())
        observed = []
        for index in range(len(self)):
            rows, at = self.visible(index)
            numbers = rows if index < FRAMES else second[rows]
            observed += [
                (number, index, row, *at[point]) for row, (number, point) in enumerate(zip(numbers, rows, strict=True))
            ]
        table = np.array(sorted(observed))
        both = np.concatenate([poses(), poses()])
        return Reconstruction(
            positions, np.full(len(positions), 0.01), table[:, 1].astype(np.int32), table[:, 0].astype(np.int32),
            table[:, 2].astype(np.int32), table[:, 3:], self.names, both, both, CAMERA,
        )  # fmt: skip

    def changes(self, changed: NDArray[np.bool_]) -> Changes:
        numbers = np.repeat([1, 2], FRAMES).astype(np.int32)

        def depth_at(index: int) -> NDArray[np.float32]:
            room, pose = self.frame(index)
            return room.depth(pose)

        return find_changes(self.reconstruction(changed), self, numbers, depth_at)


BOX, PICTURE = np.arange(440) >= 360, (np.arange(440) >= 300) & (np.arange(440) < 360)


@pytest.fixture(scope="module")
def moved() -> tuple[Seen, Changes]:
    """The box stands elsewhere, and another picture hangs on the wall."""
    seen = Seen((Room(1, -0.8), Room(2, 0.0)))
    return seen, seen.changes(BOX | PICTURE)


def test_a_box_that_was_moved_is_gone_and_is_new_elsewhere(moved: tuple[Seen, Changes]) -> None:
    _, changes = moved
    assert (changes.states[:440][BOX] == PointState.GONE).mean() > 0.8
    assert not (changes.states[:440][BOX] == PointState.KEPT).any()
    assert (changes.states[440:] == PointState.NEW).all()


def test_another_picture_is_seen_on_its_surface_but_is_not_what_it_was(moved: tuple[Seen, Changes]) -> None:
    _, changes = moved
    states = changes.states[:440][PICTURE]
    assert (states == PointState.UNSEEN).mean() > 0.5
    assert set(states.tolist()) <= {PointState.UNSEEN, PointState.UNVISITED}


def test_the_wall_stays_and_what_the_box_hides_now_is_not_held_against_it(moved: tuple[Seen, Changes]) -> None:
    _, changes = moved
    states = changes.states[:300]
    assert set(states.tolist()) <= {PointState.KEPT, PointState.UNVISITED}
    assert (states == PointState.KEPT).mean() > 0.7


def test_landmarks_say_what_changed(moved: tuple[Seen, Changes]) -> None:
    seen, changes = moved
    box, wall = [-0.8, 0.0, BOX_DEPTH], [0.0, 0.0, WALL]
    rows = changes.by_landmark(np.array([wall, box]))
    assert [row["landmark"] for row in rows if row["changed"]] == [1]
    assert rows[0]["gone"] > 60
    assert sum(changes.counts().values()) == len(changes.states)
    kept = without_retired(seen.reconstruction(BOX | PICTURE), changes)
    assert len(kept) == (~changes.retired).sum()
    assert set(kept.points.tolist()) <= set(range(len(kept)))


def test_views_of_what_is_gone_are_retired_with_it(moved: tuple[Seen, Changes]) -> None:
    seen, changes = moved
    numbers = np.repeat([1, 2], FRAMES).astype(np.int32)
    whole = seen.reconstruction(BOX | PICTURE)
    assert not retired_views(whole, changes, numbers), "every view sees enough of the wall"
    of_box = np.flatnonzero(BOX[np.minimum(whole.points, 439)] | (whole.frames > 2))  # these three see nothing else
    names = ("frames", "points", "rows", "pixels")
    close = replace(whole, **{name: getattr(whole, name)[of_box] for name in names})
    views = retired_views(close, changes, numbers)
    assert [view["view"] for view in views] == ["1/0", "1/1", "1/2"]
    assert all(0 < 0.5 * view["points"] <= view["retired"] <= view["points"] <= 80 for view in views)
    assert not retired_views(close, changes, np.ones(2 * FRAMES, np.int32)), "the newest recording is right"


def test_where_nothing_changed_nothing_is_retired() -> None:
    changes = Seen((Room(1, -0.8), Room(1, -0.8))).changes(np.zeros(440, dtype=bool))
    assert not changes.retired.any()
    assert not changes.by_landmark(np.zeros((1, 3)))


def test_where_everything_looks_different_depth_alone_decides() -> None:
    """As by night: nothing is recognised, and what stands where it stood stays in the map."""
    seen = Seen((Room(1, -0.8), Room(1, -0.8)))
    dark = [KeyPoints(np.zeros((0, 2)), np.zeros(0, np.float32), np.zeros((0, 64), np.float32))] * FRAMES
    numbers = np.repeat([1, 2], FRAMES).astype(np.int32)
    shape = seen.reconstruction(np.ones(440, dtype=bool))  # no track goes on

    class Dark(Seen):
        def key_points(self, index: int) -> KeyPoints:
            return dark[0] if index >= FRAMES else super().key_points(index)

    changes = find_changes(
        shape, Dark(seen.rooms), numbers, lambda index: seen.frame(index)[0].depth(seen.frame(index)[1])
    )
    assert not changes.retired.any()
