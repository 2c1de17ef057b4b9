"""The processes that train together. PyTorch is loaded where there are several: maps are made without it, too."""

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from vloc_ros.errors import ConfigError

if TYPE_CHECKING:
    import torch

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
        import torch

        from vloc_ros.training.device import choose_device

        device = choose_device()
        if device.type == "cuda":
            torch.cuda.set_device(device)
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        return Workers(torch.distributed.get_rank(), torch.distributed.get_world_size())

    def leave(self) -> None:
        """Part from the other processes."""
        if self.count > 1:
            import torch

            torch.distributed.destroy_process_group()

    def barrier(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            import torch

            torch.distributed.barrier()

    def share_of(self, batches: int) -> int:
        """How many of the batches of a step are this process's. Raises ConfigError if they cannot be shared evenly."""
        if batches % self.count:
            raise ConfigError(
                f"training: {batches} batches a step cannot be shared evenly by {self.count} processes; "
                "use another number of processes, or another --accumulate"
            )
        return batches // self.count

    def of_first(self, value: float, device: "torch.device") -> float:
        """The first process's value. Clocks differ, and processes that disagree on the learning rate or on when to stop
        would drift apart or wait for each other for ever."""
        if self.count == 1:
            return value
        import torch

        shared = torch.tensor(value, dtype=torch.float64, device=device)
        torch.distributed.broadcast(shared, 0)
        return float(shared)

    def average(self, tensors: "list[torch.Tensor]") -> None:
        """Replace float tensors by their means over all processes."""
        if self.count == 1:
            return
        import torch

        packed = torch.cat([tensor.flatten() for tensor in tensors])
        torch.distributed.all_reduce(packed)
        packed /= self.count
        for tensor, mean in zip(tensors, torch.split(packed, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))
