"""From posed images to landmarks and labels: surface, supervoxels, landmarks, labels (offline)."""

from collections.abc import Callable

Progress = Callable[[int, int], None]  # progress(done, total)


def no_progress(done: int, total: int) -> None:
    """The progress callback that reports nothing."""
