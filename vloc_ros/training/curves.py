"""The curves of a training, as TensorBoard keeps them, thinned for the map."""

from pathlib import Path

import numpy as np

MOST_POINTS = 200

Curve = list[list[float]]


def read_curves(logs: Path) -> dict[str, Curve]:
    """Curves by tag, [iteration, value] each; where an interrupted run was taken up again, its last word counts.

    Empty without logs.
    """
    if not logs.is_dir():
        return {}
    # slow to import, and only maps of a training need it
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
