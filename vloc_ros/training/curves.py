"""The curves of a training, as TensorBoard keeps them, thinned for the map."""

from pathlib import Path

from vloc_ros.core.arrays import evenly_spread

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
        chosen = evenly_spread(len(steps), MOST_POINTS)
        curves[tag] = [[steps[i], float(f"{values[steps[i]]:.5g}")] for i in chosen]
    return curves
