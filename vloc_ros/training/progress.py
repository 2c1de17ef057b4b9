"""What a person sees while a map is being made: one bar a stage, with the time that is left."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType

from tqdm import tqdm

from vloc_ros.evaluation.metrics import RIGHT_RECALL
from vloc_ros.geometry.pose_error import RIGHT_POSE
from vloc_ros.mapping import Progress
from vloc_ros.training.trainer import Trainer

BAR_FORMAT = "{desc:<12} {percentage:3.0f} % |{bar:24}| {elapsed} done, {remaining} left {postfix}"
SECONDS_BETWEEN_LINES = 0.5 if sys.stderr.isatty() else 30.0  # a log file wants fewer


def say(message: str) -> None:
    """A line for the person, clear of any bar."""
    tqdm.write(message, file=sys.stderr)


@contextmanager
def bar(name: str) -> Iterator[Progress]:
    """A progress callback that draws the bar of one stage."""
    with tqdm(desc=name, bar_format=BAR_FORMAT, mininterval=SECONDS_BETWEEN_LINES) as display:

        def progress(done: int, total: int) -> None:
            display.total = total
            display.update(done - display.n)

        yield progress


class TrainingBar:
    """The bar of the training, in parts per thousand of its budget, with the losses and the last held-out accuracy."""

    def __init__(self, trainer: Trainer, enabled: bool):
        self._bar = tqdm(
            desc="training",
            total=1000,
            initial=round(1000 * trainer.fraction),
            bar_format=BAR_FORMAT,
            mininterval=SECONDS_BETWEEN_LINES,
            disable=not enabled,
        )

    def report(self, trainer: Trainer, losses: Mapping[str, float]) -> None:
        """Show the state after an iteration."""
        figures = " ".join(f"{name} {value:.2f}" for name, value in losses.items() if name != "total")
        self._bar.set_postfix_str(f"{trainer.progress.iteration} iterations, {figures}", refresh=False)
        self._bar.update(round(1000 * trainer.fraction) - self._bar.n)

    def announced(self, validate: Callable[[], Mapping[str, float]]) -> Callable[[Trainer], Mapping[str, float]]:
        """`validate`, followed by a line that says what it gave."""

        def announcing(trainer: Trainer) -> Mapping[str, float]:
            figures = validate()
            say(f"{trainer.progress.seconds / 60:5.1f} min, held out: {describe(figures)}")
            return figures

        return announcing

    def __enter__(self) -> "TrainingBar":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()


def describe(figures: Mapping[str, float]) -> str:
    """A person's line of held-out accuracy, by the names that `Evaluation.summary` uses."""
    recall = f"{100 * figures[RIGHT_RECALL]:.0f} % within {RIGHT_POSE}"
    if "median_translation_m" not in figures:
        return f"{recall}, less than half localized"
    return f"{100 * figures['median_translation_m']:.2f} cm, {figures['median_rotation_deg']:.2f} deg, {recall}"
