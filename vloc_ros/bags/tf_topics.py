"""Which topics of transforms belong to a camera: of several robots in one bag, each may have its own."""

import posixpath
from collections.abc import Sequence

from vloc_ros.bags.reader import STATIC_TF_TOPIC, TF, TF_TOPIC, Bag, Topic, listed
from vloc_ros.errors import DatasetError


def choose_tf(bag: Bag, image: str, asked: Sequence[str] = ()) -> tuple[Topic, ...]:
    """The topics that are `asked` for, or else those of the namespace of the topic `image`, or of the closest one above
    that has any; none where the bag has none.

    Trees of two robots are never merged: raises DatasetError with the candidates where others could be meant.
    """
    if asked:
        return tuple(bag.named(name, TF) for name in asked)
    topics = [topic for topic in bag.of_type(TF) if topic.name.endswith((TF_TOPIC, STATIC_TF_TOPIC))]
    above = [topic for topic in topics if _is_above(_namespace(topic), image)]
    kinds = [[topic for topic in above if topic.is_static_tf == is_static] for is_static in (False, True)]
    closest = tuple(max(kind, key=lambda topic: len(topic.name)) for kind in kinds if kind)
    if topics and not closest:
        raise DatasetError(f"{bag.path}: no TF in the namespace of {image}, {_advice(topics)}")
    if len({_namespace(topic) for topic in closest}) > 1 and len(topics) > len(closest):
        raise DatasetError(f"{bag.path}: which TF belongs to {image} is not clear, {_advice(topics)}")
    return closest


def _namespace(topic: Topic) -> str:
    return posixpath.dirname(topic.name)


def _is_above(namespace: str, name: str) -> bool:
    return posixpath.commonpath([namespace, name]) == namespace


def _advice(topics: Sequence[Topic]) -> str:
    return f"choose with --tf-topic TOPIC [TOPIC ...]; {listed(topics)}"
