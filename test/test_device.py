"""What training finds out about the device that it runs on."""

import pytest
import torch

from vloc_ros.training.device import arithmetic, precision


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [({"avx512_bf16": True}, torch.bfloat16), ({"avx512_bf16": False}, torch.float32), ({}, torch.float32)],
)
def test_a_cpu_computes_in_bfloat16_if_it_has_the_instructions(
    capabilities: dict[str, bool], expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert arithmetic(torch.device("cpu")) is expected
    with precision(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is expected
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert arithmetic(torch.device("cpu")) is torch.float32
