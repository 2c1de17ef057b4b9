"""What became of one mutant, and what counts as a defect."""

from dataclasses import dataclass

TIMEOUT_S = 20.0  # of processor time, or of waiting for an answer
MAX_PEAK_MB = 2000


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: "taken", "refused", or one of DEFECTS; `text` of the refusal or the defect."""

    index: int
    kind: str
    text: str = ""
    peak_mb: float = 0.0


def whole_lines(log: bytes) -> bytes:
    """What a log has but for a last line that is still being written: tf2 writes its warnings in parts."""
    return log[: log.rfind(b"\n") + 1]
