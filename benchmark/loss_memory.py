"""Peak memory of the segmentation losses, forward and backward, beyond embeddings, labels and prototypes.

python benchmark/loss_memory.py [--width 640 --height 480 --landmarks 5000 --embedding 16 --active 150]

Each loss runs in a process of its own; what is reported is by how much the loss raised that process's peak resident
memory. Cross-entropy over 5,000 classes at 640x480 needs about 20 GB: it is refused if the machine has not that much.
"""

import argparse
import multiprocessing
import resource

import torch
from results import Results, add_json

from vloc_ros.training.vsnet.losses import segmentation_loss
from vloc_ros.training.vsnet.options import SegmentationLoss, SegmentationLossName

LOSSES: tuple[SegmentationLossName, ...] = ("triplet", "softmax", "cross_entropy")


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(name: SegmentationLossName, options: argparse.Namespace, result: "multiprocessing.Queue[float]") -> None:
    """Put the peak in megabytes into `result`."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    loss = SegmentationLoss(name)
    # One small run first: what torch itself loads for a backward pass is not the loss's memory.
    run(loss, 256, options.landmarks, options.embedding, 8)
    pixels = options.width * options.height
    embeddings = torch.randn(pixels, options.embedding, requires_grad=True)
    prototypes = torch.randn(options.landmarks, options.embedding, requires_grad=True)
    active = torch.randperm(options.landmarks)[: options.active]
    labels = active[torch.randint(options.active, (pixels,))]
    images = torch.zeros(pixels, dtype=torch.long)
    before = peak_bytes()
    torch.autograd.backward(segmentation_loss(loss, embeddings, labels, images, prototypes))
    result.put((peak_bytes() - before) / 1e6)


def run(loss: SegmentationLoss, pixels: int, landmarks: int, embedding: int, active: int) -> None:
    embeddings = torch.randn(pixels, embedding, requires_grad=True)
    prototypes = torch.randn(landmarks, embedding, requires_grad=True)
    labels = torch.randint(active, (pixels,))
    images = torch.zeros(pixels, dtype=torch.long)
    torch.autograd.backward(segmentation_loss(loss, embeddings, labels, images, prototypes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--landmarks", type=int, default=5000)
    parser.add_argument("--embedding", type=int, default=16)
    parser.add_argument("--active", type=int, default=150)
    add_json(parser)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    data = (
        f"Data: {options.width}x{options.height} pixels, {options.landmarks} landmarks, {options.active} of them active"
    )
    results = Results(data, {"loss": "{loss}", "peak beyond the inputs": "{peak_mb:,.0f} MB"})
    for name in LOSSES:
        result = context.Queue()
        process = context.Process(target=measure, args=(name, options, result))
        process.start()
        process.join()
        if process.exitcode:
            print(f"{name}: stopped with exit code {process.exitcode}, is there enough memory?")
            continue
        results.add(loss=name, peak_mb=result.get())
    results.write(options.json)


if __name__ == "__main__":
    main()
