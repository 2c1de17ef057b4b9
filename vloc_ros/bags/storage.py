"""The files that bags consist of, MCAP and SQLite3: what is in one, and its serialized messages.

What such a file says of itself is all that counts: nothing depends on metadata.yaml, which may have been edited, nor on
the profile, the schemas and the quality of service that the recorder has noted down. The errors are those of the
libraries; `Bag` makes one line of them.
"""

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

ROS2_ENCODING = "cdr"
MCAP_MAGIC, SQLITE_MAGIC = b"\x89MCAP0\r\n", b"SQLite format 3\0"
MAX_RECORD_BYTES = 2**30  # of MCAP: a length beyond is damage


class Channel(NamedTuple):
    """What the messages of a topic are: a type, in an encoding."""

    topic: str
    msgtype: str
    encoding: str


Raw = tuple[Channel, int, bytes]  # with the time of recording in nanoseconds


class Storage(Protocol):
    """An open file of a bag."""

    @property
    def counts(self) -> Mapping[Channel, int]:
        """How many messages each channel has."""
        ...

    def messages(self, channels: Collection[Channel]) -> Iterator[Raw]:
        """The messages of these channels in the order of recording."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class McapStorage:
    """An MCAP file, whatever its profile; where it has no index, its messages come in the order of the file."""

    def __init__(self, path: Path) -> None:
        from mcap import reader

        self._file = path.open("rb")
        limits: Any = {"validate_crcs": True, "record_size_limit": MAX_RECORD_BYTES}
        try:
            self._file.seek(-len(MCAP_MAGIC), 2)
            if self._file.read() != MCAP_MAGIC:
                raise ValueError("it has no end")
            self._file.seek(0)
            self._indexed = reader.SeekingReader(self._file, **limits)
            self._in_order = partial[Any](reader.NonSeekingReader, self._file, **limits)
            self._summary = _complete_summary(self._indexed)
            self.counts = self._counted()
        except BaseException:
            self._file.close()
            raise

    def _counted(self) -> Mapping[Channel, int]:
        counts = Counter[Channel]()
        if self._summary:
            numbers = self._summary.statistics.channel_message_counts
            for channel in self._summary.channels.values():
                counts[_channel(self._summary.schemas.get(channel.schema_id), channel)] += numbers.get(channel.id, 0)
        else:
            counts.update(_channel(schema, channel) for schema, channel, _ in self._records(None))
        return counts

    def _records(self, topics: Collection[str] | None) -> Iterator[tuple[Any, Any, Any]]:
        """Schema, channel and message; one after the other where sorting would need the whole file in memory."""
        if self._summary:
            return self._indexed.iter_messages(topics)
        self._file.seek(0)
        records: Iterator[Any] = self._in_order().iter_messages(topics, log_time_order=False)
        return records

    def messages(self, channels: Collection[Channel]) -> Iterator[Raw]:
        for schema, channel, message in self._records({channel.topic for channel in channels}):
            if (found := _channel(schema, channel)) in channels:
                yield found, message.log_time, message.data

    def close(self) -> None:
        self._file.close()


def _complete_summary(reader: Any) -> Any:
    """The summary of an MCAP file if it is enough to find every message by; else None."""
    summary = reader.get_summary()
    if summary is None or summary.statistics is None or not summary.chunk_indexes:
        return None
    used = {number for chunk in summary.chunk_indexes for number in chunk.message_index_offsets}
    has_all = used <= set(summary.channels) and all(c.message_index_offsets for c in summary.chunk_indexes)
    return summary if has_all and _schemas_of(summary) <= {0, *summary.schemas} else None


def _schemas_of(summary: Any) -> set[int]:
    return {channel.schema_id for channel in summary.channels.values()}


def _channel(schema: Any, channel: Any) -> Channel:
    return Channel(channel.topic, schema.name if schema else "", channel.message_encoding)


class SqliteStorage:
    """An SQLite3 file, as rosbag2 has written them since its first version."""

    def __init__(self, path: Path) -> None:
        log = path.with_name(f"{path.name}-wal")  # what a recorder that was killed has not moved into the file
        options = "mode=ro" if log.exists() and log.stat().st_size else "mode=ro&immutable=1"  # as on a read-only disk
        where = f"{path.resolve().as_uri()}?{options}"
        self._database = sqlite3.connect(where, uri=True, check_same_thread=False)
        try:
            topics = self._database.execute("SELECT id, name, type, serialization_format FROM topics")
            self._channels = {number: Channel(*words) for number, *words in topics}
            self.counts: Mapping[Channel, int] = self._counted()
        except BaseException:
            self._database.close()
            raise

    def _counted(self) -> Mapping[Channel, int]:
        counts = Counter[Channel]()
        for number, count in self._database.execute("SELECT topic_id, COUNT(*) FROM messages GROUP BY topic_id"):
            counts[self._channels[number]] += count
        return counts

    def messages(self, channels: Collection[Channel]) -> Iterator[Raw]:
        numbers = [number for number, channel in self._channels.items() if channel in channels]
        wanted = f"topic_id IN ({','.join('?' * len(numbers))})"
        query = f"SELECT topic_id, timestamp, data FROM messages WHERE {wanted} ORDER BY timestamp, id"
        for number, recorded_ns, raw in self._database.execute(query, numbers):
            if not isinstance(recorded_ns, int) or not isinstance(raw, bytes):
                raise ValueError(f"a message of {self._channels[number].topic} that is none")
            yield self._channels[number], recorded_ns, raw

    def close(self) -> None:
        self._database.close()
