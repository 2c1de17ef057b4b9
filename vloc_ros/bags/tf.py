"""The transforms of a bag's /tf and /tf_static, and chains of them from one frame to another."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vloc_ros.bags.reader import NS, TF, Bag
from vloc_ros.core.transforms import Matrix, invert
from vloc_ros.errors import DatasetError
from vloc_ros.evaluation.interpolation import Known, PoseLog, Stamps, Trajectory


@dataclass(frozen=True, eq=False)
class Link:
    """`parent_from_child`, at all times the same or by time."""

    parent: str
    child: str
    trajectory: Trajectory
    is_static: bool

    def at(self, stamps_ns: Stamps, max_gap_ns: int) -> tuple[Matrix, Known]:
        """`parent_from_child` (M, 4, 4) at the stamps (M,), and which are known; a static link is as last sent."""
        if not self.is_static:
            return self.trajectory.at(stamps_ns, max_gap_ns)
        pose, _ = self.trajectory.at(self.trajectory.stamps_ns[-1:], 0)
        return np.broadcast_to(pose, (len(stamps_ns), 4, 4)), np.ones(len(stamps_ns), dtype=bool)


@dataclass(frozen=True, eq=False)
class Chain:
    """`target_from_source` as the product of links, from left to right; `True` beside one that is inverted."""

    steps: tuple[tuple[Link, bool], ...]

    @property
    def moving(self) -> tuple[Link, ...]:
        return tuple(link for link, _ in self.steps if not link.is_static)

    def at(self, stamps_ns: Stamps, max_gap_ns: int) -> tuple[Matrix, Known]:
        """`target_from_source` (M, 4, 4) at the stamps (M,), and where all links are known (M,)."""
        known = np.ones(len(stamps_ns), dtype=bool)
        product = np.tile(np.eye(4), (len(stamps_ns), 1, 1))
        for link, is_inverted in self.steps:
            pose, pose_known = link.at(stamps_ns, max_gap_ns)
            product, known = product @ (invert(pose) if is_inverted else pose), known & pose_known
        return product, known


@dataclass(frozen=True, eq=False)
class TransformTree:
    """The link above each frame that has one, by the frame's name."""

    where: str
    links: Mapping[str, Link]

    def chain(self, target: str, source: str) -> Chain:
        """The links between two frames. Raises DatasetError, with the frames there are, where nothing connects them."""
        above_target, above_source = self._above(target), self._above(source)
        ancestors = [target, *(link.parent for link in above_target)]
        reached = [source, *(link.parent for link in above_source)]
        common = next((frame for frame in reached if frame in ancestors), None)
        if common is None:
            frames = sorted({*self.links, *(link.parent for link in self.links.values())})
            raise DatasetError(
                f"{self.where}: TF does not connect {source!r} with {target!r}; its frames are "
                f"{', '.join(frames) or 'none'}"
            )
        up, down = above_target[: ancestors.index(common)], above_source[: reached.index(common)]
        return Chain((*((link, True) for link in up), *((link, False) for link in reversed(down))))

    def _above(self, frame: str) -> list[Link]:
        links: list[Link] = []
        while frame in self.links:
            links.append(self.links[frame])
            frame = links[-1].parent
            if len(links) > len(self.links):
                raise DatasetError(f"{self.where}: TF has a loop at frame {frame!r}")
        return links


def read_transforms(bag: Bag, moving: bool = True) -> TransformTree:
    """All transforms of a bag, or only the static ones. Raises DatasetError for a frame with two parents."""
    topics = [topic for topic in bag.of_type(TF) if moving or topic.is_static_tf]
    static = {topic.name for topic in topics if topic.is_static_tf}
    logs: dict[tuple[bool, str, str], PoseLog] = {}
    for message in bag.messages(topics):
        for transform in bag.read(message).transforms:
            parent, child = transform.header.frame_id.lstrip("/"), transform.child_frame_id.lstrip("/")
            log = logs.setdefault((message.topic not in static, parent, child), PoseLog())
            log.add(stamp_of(transform.header), *values_of(transform.transform))
    links: dict[str, Link] = {}
    for (is_moving, parent, child), log in sorted(logs.items(), key=lambda entry: entry[0][0]):  # what moves counts
        if (trajectory := log.trajectory()) is None:
            continue
        if child in links and links[child].parent != parent:
            parents = f"{links[child].parent!r} and {parent!r}"
            raise DatasetError(f"{bag.path}: TF gives frame {child!r} two parents, {parents}")
        links[child] = Link(parent, child, trajectory, is_static=not is_moving)
    return TransformTree(str(bag.path), links)


def stamp_of(header: Any) -> int:
    """Nanoseconds of a header's stamp."""
    return int(header.stamp.sec) * NS + int(header.stamp.nanosec)


def values_of(transform: Any) -> tuple[tuple[float, float, float], tuple[float, float, float, float]]:
    """Position and quaternion (xyzw) of a Transform or a Pose."""
    place = transform.translation if hasattr(transform, "translation") else transform.position
    turn = transform.rotation if hasattr(transform, "rotation") else transform.orientation
    return (place.x, place.y, place.z), (turn.x, turn.y, turn.z, turn.w)
