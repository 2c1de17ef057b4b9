"""The recognizer's loss: a cross-entropy that weighs key points with and without a landmark alike (equation 9)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from vloc_ros.training.objective import Objective
from vloc_ros.training.pram.key_point_batches import KeyPointBatch
from vloc_ros.training.pram.network import Recognizer, RecognizerSettings
from vloc_ros.training.pram.prototypes import landmark_prototypes
from vloc_ros.training.pram.recognition_frames import RecognitionFrames


class RecognitionObjective(Objective):
    """A recognizer of the landmarks of `frames`, and its loss."""

    network: Recognizer

    def __init__(self, frames: RecognitionFrames, settings: RecognizerSettings) -> None:
        there = frames.scores > 0
        none_share = float((there & (frames.labels == 0)).sum() / max(1, there.sum()))
        network = Recognizer(frames.landmarks, frames.descriptors.shape[2], frames.size, settings, none_share)
        if settings.prototypes:
            network.start_from(torch.from_numpy(landmark_prototypes(frames, settings.prototypes)))
        super().__init__(network, settings.learning_rate)

    def forward(self, batch: KeyPointBatch) -> dict[str, Tensor]:  # type: ignore[override]
        """The loss, and which share of the key points with a landmark has that as its likeliest one."""
        logits = self.network(batch.key_points, batch.scores, batch.descriptors)
        with torch.autocast(logits.device.type, enabled=False):
            loss = recognition_loss(logits.float(), batch.labels, batch.scores > 0)
            shown = batch.labels > 0
            right = (logits[..., 1:].argmax(-1) + 1 == batch.labels) & shown
            return {"recognition": loss, "precision": right.sum() / shown.sum().clamp_min(1), "total": loss}


def recognition_loss(logits: Tensor, labels: Tensor, there: Tensor) -> Tensor:
    """Equation 9, the mean over B images: logits (B, K, L + 1), labels (B, K), 0 for none; `there` (B, K): which are
    key points at all. Of an image's m key points, m0 have the label 0: these weigh 1 - m0 / m, the others m0 / m."""
    count = there.sum(1, keepdim=True).clamp_min(1)
    none_share = ((labels == 0) & there).sum(1, keepdim=True) / count
    weights = torch.where(labels > 0, none_share, 1 - none_share) * there
    entropy = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(weights)
    return ((weights * entropy).sum(1, keepdim=True) / count).mean()
