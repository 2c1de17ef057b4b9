"""The transforms of a bag, and chains of them from one frame to another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vloc_ros.bags.reader import Bag, Topic
from vloc_ros.errors import DatasetError
from vloc_ros.geometry.interpolation import Known, PoseLog, Stamps, Trajectory
from vloc_ros.geometry.stamps import join_stamp
from vloc_ros.geometry.transforms import Matrix, invert


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
    """The links above each frame that has one, by the frame's name: one for each parent that it has had.

    `topics`: where they come from. `self_transforms`: how many transforms were left out since they say nothing: of a
    frame to itself, or of one without a name; tf2 leaves them out too.
    """

    where: str
    topics: tuple[str, ...]
    links: Mapping[str, Sequence[Link]]
    self_transforms: int = 0

    def chain(self, target: str, source: str) -> Chain:
        """The links between two frames; what is not on the way may be as it likes.

        Raises DatasetError, with the frames there are, where nothing connects the two, or where a frame on the way
        changes its parent.
        """
        above_target, above_source = self._above(target), self._above(source)
        ancestors = [target, *(link.parent for link in above_target)]
        reached = [source, *(link.parent for link in above_source)]
        common = next((frame for frame in reached if frame in ancestors), None)
        if common is None:
            raise DatasetError(f"{self.where}: {self._gap(source, target, (reached[-1], ancestors[-1]))}")
        up, down = above_target[: ancestors.index(common)], above_source[: reached.index(common)]
        return Chain((*((link, True) for link in up), *((link, False) for link in reversed(down))))

    def _above(self, frame: str) -> list[Link]:
        """The links from a frame upwards, to one that has no parent or several, or to the first one of a loop."""
        links: list[Link] = []
        frames = [frame]
        while len(above := self.links.get(frames[-1], ())) == 1:
            if (parent := above[0].parent) in frames:
                return links[: frames.index(parent)]
            links.append(above[0])
            frames.append(parent)
        return links

    def _gap(self, source: str, target: str, ends: Sequence[str]) -> str:
        """Why two frames are not connected; `ends`: where the ways up from them end."""
        for end in ends:
            parents = [link.parent for link in self.links.get(end, ())]
            if len(parents) > 1:
                return f"TF gives frame {end!r} {len(parents)} parents: {', '.join(parents)}"
            if parents:
                return f"TF has a loop at frame {end!r}"
        frames = sorted({*self.links, *(link.parent for links in self.links.values() for link in links)})
        of = f" of {', '.join(self.topics)}" if self.topics else ""
        return f"TF{of} does not connect {source!r} with {target!r}; its frames are {', '.join(frames) or 'none'}"


def read_transforms(bag: Bag, topics: Sequence[Topic], moving: bool = True) -> TransformTree:
    """All transforms of these topics, or only those of the static ones. Raises DatasetError for a damaged bag."""
    topics = [topic for topic in topics if moving or topic.is_static_tf]
    static = {topic.name for topic in topics if topic.is_static_tf}
    logs: dict[tuple[bool, str, str], PoseLog] = {}
    self_transforms = 0
    for message in bag.messages(topics):
        for transform in bag.read(message).transforms:
            parent, child = transform.header.frame_id.lstrip("/"), transform.child_frame_id.lstrip("/")
            if parent == child or not parent or not child:
                self_transforms += 1
                continue
            log = logs.setdefault((message.topic not in static, child, parent), PoseLog())
            log.add(stamp_of(transform.header), *values_of(transform.transform))
    links: dict[str, dict[str, Link]] = {}
    for (is_moving, child, parent), log in sorted(logs.items(), key=lambda entry: entry[0]):  # what moves counts
        if trajectory := log.trajectory():
            links.setdefault(child, {})[parent] = Link(parent, child, trajectory, is_static=not is_moving)
    names = tuple(topic.name for topic in topics)
    by_child = {child: tuple(above.values()) for child, above in links.items()}
    return TransformTree(str(bag.path), names, by_child, self_transforms)


def stamp_of(header: Any) -> int:
    """Nanoseconds of a header's stamp."""
    return join_stamp(header.stamp.sec, header.stamp.nanosec)


def values_of(transform: Any) -> tuple[tuple[float, float, float], tuple[float, float, float, float]]:
    """Position and quaternion (xyzw) of a Transform or a Pose."""
    place = transform.translation if hasattr(transform, "translation") else transform.position
    turn = transform.rotation if hasattr(transform, "rotation") else transform.orientation
    return (place.x, place.y, place.z), (turn.x, turn.y, turn.z, turn.w)
