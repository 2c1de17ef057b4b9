"""Where training runs: the device of this process, its settings, and the other processes."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import torch

from vloc_ros.errors import ConfigError

PATIENCE = timedelta(hours=12)  # of the other processes, while the first one makes surface and labels or measures


@dataclass(frozen=True)
class Workers:
    """This process among those that `torchrun` started; alone without it."""

    rank: int = 0
    count: int = 1

    @staticmethod
    def join() -> "Workers":
        """Join the other processes, over NCCL where there are GPUs, else over gloo."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return Workers()
        device = choose_device()
        if device.type == "cuda":
            torch.cuda.set_device(device)
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        return Workers(torch.distributed.get_rank(), torch.distributed.get_world_size())

    def leave(self) -> None:
        """Part from the other processes."""
        if self.count > 1:
            torch.distributed.destroy_process_group()

    def barrier(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            torch.distributed.barrier()

    def share_of(self, batches: int) -> int:
        """How many of the batches of a step are this process's. Raises ConfigError if they cannot be shared evenly."""
        if batches % self.count:
            raise ConfigError(
                f"training: {batches} batches a step cannot be shared evenly by {self.count} processes; "
                "use another number of processes, or another --accumulate"
            )
        return batches // self.count

    def of_first(self, value: float, device: torch.device) -> float:
        """The first process's value. Clocks differ, and processes that disagree on the learning rate or on when to stop
        would drift apart or wait for each other for ever."""
        if self.count == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=device)
        torch.distributed.broadcast(shared, 0)
        return float(shared)

    def average(self, tensors: list[torch.Tensor]) -> None:
        """Replace float tensors by their means over all processes."""
        if self.count == 1:
            return
        packed = torch.cat([tensor.flatten() for tensor in tensors])
        torch.distributed.all_reduce(packed)
        packed /= self.count
        for tensor, mean in zip(tensors, torch.split(packed, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))


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
