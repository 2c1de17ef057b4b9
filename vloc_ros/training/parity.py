"""Whether what is exported does what was learned: compared on images, before a map is written."""

from collections.abc import Iterable, Mapping

import torch

from vloc_ros.core.model_spec import GridSpec, Precision
from vloc_ros.core.session import Session, Tensors, run_one
from vloc_ros.errors import ModelError
from vloc_ros.inference import SessionOptions, open_session
from vloc_ros.training.deploy import TorchSession
from vloc_ros.training.objective import Objective
from vloc_ros.training.recipe import DenseRecipe


def check_networks(
    networks: Mapping[Precision, bytes],
    recipe: DenseRecipe,
    objective: Objective,
    spec: GridSpec,
    inputs: Iterable[tuple[str, Tensors]],
) -> None:
    """Compare every network with what was learned, on inputs of named images, all on the CPU: GPUs round differently.

    ONNX Runtime's CPU computes float16 networks in float32, and cannot run bfloat16 ones: what their arithmetic does is
    seen in torch. Raises ModelError for the first image on which they are too far apart.
    """
    cpu = torch.device("cpu")
    reference = TorchSession(objective, spec, cpu)
    sessions: list[tuple[Precision, Session]] = []
    for precision in networks:
        if precision != "bfloat16":
            options = SessionOptions("onnxruntime", precision)
            sessions.append((precision, open_session(networks, spec.model, options)))
        if precision != "float32":
            sessions.append((precision, TorchSession(objective, spec, cpu, precision)))
    for name, given in inputs:
        expected = run_one(reference, given)
        for precision, session in sessions:
            if fault := recipe.disagreement(expected, run_one(session, given), spec, precision):
                raise ModelError(f"export: {session.backend}, on {name}: differs from what was learned: {fault}")
