"""Whether what is exported does what was learned: compared on images, before a map is written."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from vloc_ros.core.manifest import NetworkSpec, Precision
from vloc_ros.core.pipeline import Outputs, Session, run_one
from vloc_ros.errors import ModelError
from vloc_ros.inference import SessionOptions, open_session
from vloc_ros.training.deploy import TorchSession
from vloc_ros.training.objective import VSNetObjective

AWAY_CELLS = 2  # of the output, between a cell and its landmark
# Smallest share of equal labels and largest angle between votes, in degrees; bfloat16 has only 8 binary digits.
LIMITS: Mapping[Precision, tuple[float, float]] = {
    "float32": (0.99, 1.0),
    "float16": (0.99, 1.0),
    "bfloat16": (0.97, 2.0),
}


def check_networks(
    networks: Mapping[Precision, bytes],
    objective: VSNetObjective,
    spec: NetworkSpec,
    inputs: Iterable[tuple[str, NDArray[np.uint8]]],
) -> None:
    """Compare every network with what was learned, on named network inputs, all on the CPU: GPUs round differently.

    ONNX Runtime's CPU computes float16 networks in float32, and cannot run bfloat16 ones: what their arithmetic does is
    seen in torch. Raises ModelError for the first image on which they are too far apart.
    """
    cpu = torch.device("cpu")
    reference = TorchSession(objective, spec, cpu)
    sessions: list[tuple[Precision, Session]] = []
    for precision in networks:
        if precision != "bfloat16":
            options = SessionOptions("onnxruntime", precision)
            sessions.append((precision, open_session(networks, spec, options)))
        if precision != "float32":
            sessions.append((precision, TorchSession(objective, spec, cpu, precision)))
    for name, pixels in inputs:
        expected = run_one(reference, pixels)
        for precision, session in sessions:
            _require_parity(expected, run_one(session, pixels), spec, precision, f"{session.backend}, on {name}")


def _require_parity(expected: Outputs, found: Outputs, spec: NetworkSpec, precision: Precision, where: str) -> None:
    agreement, degrees = parity(expected, found, spec)
    least, most = LIMITS[precision]
    if not (agreement >= least and degrees <= most):  # not `<` and `>`: NaN has to fail too
        raise ModelError(
            f"export: {where}: differs from what was learned: {100 * agreement:.1f} % of the labels agree, votes are "
            f"{degrees:.2f} deg apart; at least {100 * least:.0f} % and at most {most:.0f} deg are wanted"
        )


def parity(reference: Outputs, other: Outputs, spec: NetworkSpec) -> tuple[float, float]:
    """Share of cells with the same label, and the 99th percentile of the angle between votes in degrees, of cells that
    are not beside their landmark: there any rounding turns a vote, and hardly moves its end."""
    agreement = float((reference["labels"] == other["labels"]).mean())
    cosine = (reference["votes"] * other["votes"]).sum(-1)
    sine = reference["votes"][..., 0] * other["votes"][..., 1] - reference["votes"][..., 1] * other["votes"][..., 0]
    away = ~(reference["distances"] <= AWAY_CELLS * spec.stride)  # not `>`: NaN has to be seen
    angles = np.abs(np.arctan2(sine, cosine))[away]
    return agreement, float(np.degrees(np.percentile(angles, 99))) if angles.size else 0.0
