"""The curves of a training: written for TensorBoard, and read from that again, thinned for the map."""

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from vloc_ros.files import write_errors

MOST_POINTS = 200

Curve = list[list[float]]


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


def read_curves(logs: Path) -> dict[str, Curve]:
    """Curves by tag, [iteration, value] each; where an interrupted run was taken up again, its last word counts.

    Empty without logs.
    """
    if not logs.is_dir():
        return {}
    # slow to import, and only the end of a training needs it
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(logs), size_guidance={"scalars": 0})
    accumulator.Reload()
    curves = {}
    for tag in accumulator.Tags()["scalars"]:
        values = {event.step: event.value for event in accumulator.Scalars(tag)}
        steps = sorted(values)
        chosen = np.unique(np.linspace(0, len(steps) - 1, min(MOST_POINTS, len(steps))).round().astype(int))
        curves[tag] = [[steps[i], float(f"{values[steps[i]]:.5g}")] for i in chosen]
    return curves
