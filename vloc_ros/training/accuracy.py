"""How accurate a map is on held-out frames, for its manifest and for people."""

from collections.abc import Mapping

from vloc_ros.evaluation.evaluate import Evaluation
from vloc_ros.evaluation.metrics import RIGHT_RECALL
from vloc_ros.geometry.pose_error import RIGHT_POSE

ENOUGH = 0.5  # of the held-out frames, to say nothing


def accuracy_of(evaluation: Evaluation) -> dict[str, float]:
    """The accuracy among an evaluation's figures; a median that does not exist is left out."""
    summary = evaluation.summary()
    return {
        n: v for n, v in summary.items() if isinstance(v, int | float) and n.startswith(("median", "recall", "rej"))
    }


def doubt(figures: Mapping[str, float]) -> str | None:
    """What to tell somebody whose map localizes few of the held-out frames; None where it localizes enough."""
    if figures[RIGHT_RECALL] >= ENOUGH:
        return None
    return (
        f"warning: only {100 * figures[RIGHT_RECALL]:.0f} % of the held-out frames are localized within {RIGHT_POSE}; "
        "no robot should use this map. Poses that jump, a wrong calibration or depth of another unit are usual causes: "
        "`vloc inspect MAP --report FILE` shows where it fails"
    )


def describe(figures: Mapping[str, float]) -> str:
    """A person's line of held-out accuracy, by the names that `Evaluation.summary` uses."""
    recall = f"{100 * figures[RIGHT_RECALL]:.0f} % within {RIGHT_POSE}"
    if "median_translation_m" not in figures:
        return f"{recall}, less than half localized"
    return f"{100 * figures['median_translation_m']:.2f} cm, {figures['median_rotation_deg']:.2f} deg, {recall}"
