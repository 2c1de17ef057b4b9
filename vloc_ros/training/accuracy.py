"""How accurate a map is on held-out frames, for its manifest and for people."""

from collections.abc import Mapping

from vloc_ros.evaluation.evaluate import Evaluation
from vloc_ros.evaluation.metrics import RIGHT_RECALL
from vloc_ros.geometry.pose_error import RIGHT_POSE


def accuracy_of(evaluation: Evaluation) -> dict[str, float]:
    """The accuracy among an evaluation's figures; a median that does not exist is left out."""
    summary = evaluation.summary()
    return {
        n: v for n, v in summary.items() if isinstance(v, int | float) and n.startswith(("median", "recall", "rej"))
    }


def describe(figures: Mapping[str, float]) -> str:
    """A person's line of held-out accuracy, by the names that `Evaluation.summary` uses."""
    recall = f"{100 * figures[RIGHT_RECALL]:.0f} % within {RIGHT_POSE}"
    if "median_translation_m" not in figures:
        return f"{recall}, less than half localized"
    return f"{100 * figures['median_translation_m']:.2f} cm, {figures['median_rotation_deg']:.2f} deg, {recall}"
