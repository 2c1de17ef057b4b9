"""Where training runs: the device of this process, and its settings."""

import os
from collections.abc import Mapping

import torch

from vloc_ros.errors import ConfigError


def choose_device() -> torch.device:
    """The GPU of this process, or the CPU. Raises ConfigError when there are more processes than GPUs."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    rank, gpus = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if rank >= gpus:
        raise ConfigError(f"training: process {rank + 1} has no GPU of its own, there are {gpus}")
    return torch.device("cuda", rank)


def set_up(device: torch.device) -> None:
    """Settings of a GPU: the images of all batches have one size, so that it pays to search for the fastest
    convolutions, and what is not bfloat16 anyway may be TF32."""
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")


def arithmetic(device: torch.device) -> torch.dtype:
    """What the network computes in while it is trained: bfloat16, which needs no scaling of the loss, on GPUs and on
    CPUs that have instructions for it; float32 on the others, which would emulate it. Versions of PyTorch that cannot
    tell what a CPU has are taken to say no."""
    capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return torch.bfloat16 if device.type == "cuda" or capabilities.get("avx512_bf16") else torch.float32


def precision(device: torch.device) -> torch.autocast:
    """Within this, `arithmetic` is what networks compute in."""
    return torch.autocast(device.type, torch.bfloat16, enabled=arithmetic(device) is torch.bfloat16)
