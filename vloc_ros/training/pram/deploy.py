"""The recognizer as the robot runs it, as an ONNX file, and whether that does what was learned."""

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vloc_ros.core.feature_spec import DESCRIPTORS, KEY_POINTS, SCORES
from vloc_ros.core.model_spec import ModelSpec
from vloc_ros.core.session import Tensors
from vloc_ros.errors import ModelError
from vloc_ros.features.cache import FeatureCache
from vloc_ros.inference import SessionOptions, open_session
from vloc_ros.methods.pram.recognition import CONFIDENCES, LANDMARKS, TOP, recognizer_spec
from vloc_ros.training.export import export_network
from vloc_ros.training.pram.network import Recognizer
from vloc_ros.training.pram.recognition_frames import RecognitionFrames, stacked

RECOGNIZED = 512  # key points of an image, the best ones: as many as are matched with the whole map at first
CHECKED_FRAMES = 4
LEAST_AGREEMENT, MOST_APART = 0.99, 0.02  # share of equal landmarks, difference of their confidences


class DeployedRecognizer(nn.Module):
    """A copy of what was learned, for evaluation: what `recognizer_spec` says, for B images. Only the `recognized`
    first key points of each, which are the best ones, are asked; the others belong to none, with certainty."""

    def __init__(self, network: Recognizer, recognized: int = RECOGNIZED) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).cpu().float().eval()
        self.recognized = recognized

    def forward(self, key_points: Tensor, scores: Tensor, descriptors: Tensor) -> tuple[Tensor, Tensor]:
        batch, count = scores.shape
        asked = min(count, self.recognized)
        given = key_points[:, :asked], scores[:, :asked], descriptors[:, :asked]
        confidences, landmarks = self.network.probabilities(*given).topk(TOP, dim=-1)
        there = (scores[:, :asked] > 0).unsqueeze(-1)
        certain = torch.tensor([1.0] + [0.0] * (TOP - 1))
        confidences = torch.where(there, confidences, certain)
        rest = certain.expand(batch, count - asked, TOP)
        landmarks = F.pad(torch.where(there, landmarks, 0).to(torch.int32), (0, 0, 0, count - asked))
        return landmarks, torch.cat([confidences, rest], dim=1)


def export_recognizer(network: Recognizer, key_points: int, recognized: int = RECOGNIZED) -> tuple[bytes, ModelSpec]:
    """The recognizer for so many key points an image, of which the best are `recognized`, as one ONNX file, its weights
    in 16 bits, and what it takes and gives."""
    spec = recognizer_spec(key_points, network.dimensions)
    example = tuple(torch.ones(1, *tensor.shape) for tensor in spec.inputs.values())
    return export_network(DeployedRecognizer(network, recognized), example, spec), spec


def exported_recognizer(network: Recognizer, features: FeatureCache, key_points: int) -> bytes:
    """The same file alone, which says of some of the frames what was learned. Raises ModelError."""
    content, spec = export_recognizer(network, key_points)
    rows = range(0, len(features), max(1, len(features) // CHECKED_FRAMES))
    found = [features.key_points(row) for row in rows]
    parts = [(each, np.zeros(len(each), np.int32), 0) for each in found]  # their labels do not matter
    places = np.zeros(network.landmarks, np.int32)
    check_recognizer(content, spec, network, stacked(parts, key_points, places, features.size))
    return content


def check_recognizer(content: bytes, spec: ModelSpec, network: Recognizer, frames: RecognitionFrames) -> None:
    """Raise ModelError unless an exported recognizer says of some of the frames what was learned."""
    rows = np.linspace(0, len(frames) - 1, min(CHECKED_FRAMES, len(frames))).astype(np.intp)
    given = network_inputs(frames[rows], spec)
    with torch.no_grad():
        expected = DeployedRecognizer(network)(*(torch.from_numpy(tensor) for tensor in given.values()))
    options = SessionOptions("onnxruntime", "float32", max_batch=len(rows))
    found = open_session({"float32": content}, spec, options).run(given)
    agreement = float((found[LANDMARKS][..., 0] == expected[0][..., 0].numpy()).mean())
    apart = float(np.abs(found[CONFIDENCES] - expected[1].numpy()).max())
    if not (agreement >= LEAST_AGREEMENT and apart <= MOST_APART):  # NaN has to fail too
        raise ModelError(
            f"export: recognizer: {100 * agreement:.1f} % of the landmarks agree with what was learned, confidences "
            f"are up to {apart:.3f} apart; at least {100 * LEAST_AGREEMENT:.0f} % and at most {MOST_APART} are wanted"
        )


def network_inputs(frames: RecognitionFrames, spec: ModelSpec) -> Tensors:
    """What a recognizer is given of frames: so many of their key points as it takes."""
    count = spec.inputs[SCORES].shape[0]

    def fitted(values: np.ndarray) -> np.ndarray:
        missing = max(0, count - values.shape[1])
        padding = [(0, 0), (0, missing), *[(0, 0)] * (values.ndim - 2)]
        return np.pad(values[:, :count], padding).astype(np.float32)

    return {
        KEY_POINTS: fitted(frames.key_points),
        SCORES: fitted(frames.scores),
        DESCRIPTORS: fitted(frames.descriptors),
    }
