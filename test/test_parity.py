"""What is exported is compared with what was learned, in every precision, whatever the method."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from support.training_scenes import SMALL, coarse_images, objective_with_statistics

from vloc_ros.core.model_spec import GridSpec, Precision
from vloc_ros.core.session import Tensors
from vloc_ros.errors import ModelError
from vloc_ros.mapping.hierarchy import build_hierarchy
from vloc_ros.methods.hscnet.method import HSCNetMethod
from vloc_ros.training.export import export_onnx
from vloc_ros.training.hscnet.network import Branch
from vloc_ros.training.hscnet.objective import HSCNetObjective
from vloc_ros.training.hscnet.options import HSCNetOptions
from vloc_ros.training.hscnet.recipe import HSCNetRecipe
from vloc_ros.training.objective import Objective
from vloc_ros.training.parity import check_networks
from vloc_ros.training.recipe import DenseRecipe
from vloc_ros.training.vsnet.options import VSNetOptions
from vloc_ros.training.vsnet.recipe import VSNetRecipe

HIERARCHY = build_hierarchy(np.random.default_rng(0).uniform(0, 2, (500, 3)), (4, 5))
SPECS = {"vsnet": SMALL, "hscnet": GridSpec(128, 80, 8, HSCNetMethod.outputs)}
RECIPES: Mapping[str, DenseRecipe] = {"vsnet": VSNetRecipe(VSNetOptions()), "hscnet": HSCNetRecipe(HSCNetOptions())}


def untrained(method: str, seed: int = 0) -> Objective:
    if method == "vsnet":
        return objective_with_statistics("mobile", seed)
    torch.manual_seed(seed)
    objective = HSCNetObjective(HSCNetOptions(), HIERARCHY)
    with torch.no_grad():
        for branch in objective.network.classifiers:
            assert isinstance(branch, Branch)
            branch.output.weight.mul_(30)  # so that rounding changes no region
        assert isinstance(objective.network.regressor, Branch)
        objective.network.regressor.output.weight.mul_(0.02)  # untrained residuals are metres
    return objective


@pytest.fixture(scope="module", params=SPECS)
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def objective(method: str) -> Objective:
    return untrained(method)


@pytest.fixture(scope="module")
def inputs() -> list[tuple[str, Tensors]]:
    return [("first.png", {"image": coarse_images(1, SMALL.width, SMALL.height)[0]})]


def test_networks_that_agree_are_let_through_in_every_precision(
    method: str, objective: Objective, inputs: list[tuple[str, Tensors]]
) -> None:
    names: tuple[Precision, ...] = ("float32", "float16")
    networks = {name: export_onnx(objective, SPECS[method], name) for name in names}
    check_networks(networks, RECIPES[method], objective, SPECS[method], inputs)


def test_another_network_is_named_with_the_image(
    method: str, objective: Objective, inputs: list[tuple[str, Tensors]]
) -> None:
    other = export_onnx(untrained(method, seed=1), SPECS[method])
    with pytest.raises(ModelError, match=r"float32, on first.png: differs .* % of the (labels|regions) agree"):
        check_networks({"float32": other}, RECIPES[method], objective, SPECS[method], inputs)


def test_a_network_that_says_nothing_is_not_let_through(method: str, inputs: list[tuple[str, Tensors]]) -> None:
    objective = untrained(method)
    network = export_onnx(objective, SPECS[method])
    with torch.no_grad():
        list(objective.network.parameters())[-1].fill_(torch.nan)
    with pytest.raises(ModelError, match="differs"):
        check_networks({"float32": network}, RECIPES[method], objective, SPECS[method], inputs)
