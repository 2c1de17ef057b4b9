"""Writes the curves of a training for TensorBoard."""

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from vloc_ros.files import write_errors


class CurveWriter:
    """Writes a file of its own into `logs`. TensorBoard's SummaryWriter does so in a thread, where a full disk is an
    error that nobody can catch; here it raises ConfigError."""

    def __init__(self, logs: Path):
        self._path = logs / f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
        with write_errors(self._path):
            logs.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("wb", buffering=0)
        self._records = RecordWriter(self._file)
        self._add(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def write(self, group: str, figures: Mapping[str, float], iteration: int) -> None:
        """One point for each curve GROUP/NAME."""
        values = [Summary.Value(tag=f"{group}/{name}", simple_value=value) for name, value in figures.items()]
        self._add(Event(wall_time=time.time(), step=iteration, summary=Summary(value=values)))

    def close(self) -> None:
        self._file.close()

    def _add(self, event: Event) -> None:
        with write_errors(self._path):
            self._records.write(event.SerializeToString())
