"""What making a map of PRAM can be told."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

from vloc_ros.core.feature_spec import MAX_KEY_POINTS, SIFT, XFEAT
from vloc_ros.errors import ConfigError
from vloc_ros.training.method_options import SPARSE_STAGES, StageName, option, require_known, require_preset

Preset = Literal["small", "paper"]
Recognition = Literal["none", "trained"]
Loops = Literal["auto", "off"]
MINUTES: Mapping[Preset, float] = {"small": 2.0, "paper": 120.0}  # of training


def parse_features(text: str) -> str | Path:
    """One of the names, or a file. Raises ConfigError."""
    if text in (XFEAT, SIFT):
        return text
    if not text.endswith(".onnx"):
        raise ConfigError(f"features '{text}' are unknown, known are {XFEAT}, {SIFT} and FILE.onnx")
    return Path(text)


@dataclass(frozen=True)
class PRAMOptions:
    """How a map of PRAM is made.

    `features`: xfeat, sift, or the ONNX file of an extractor (`core.feature_spec.extractor_spec`). `key_points`: so
    many of an image at most, at run time. `loops`: auto, poses are adjusted where they contradict what frames of the
    same place show, as those of odometry do; off, poses are not doubted. `colmap`: the directory of a model of the
    frames. `points` of a place and its `landmarks`, at most. `recognition`: trained, key points are matched with the
    points of the landmarks that a network recognises, whose size is the `preset`; none, with the whole map. Raises
    ConfigError for values that make no sense.
    """

    method: ClassVar[str] = "pram"
    width: ClassVar[int] = 640

    preset: Preset = option("small", "the recognizer: small is for CPUs, paper the paper's", choices=get_args(Preset))
    features: str | Path = option(
        XFEAT, f"local features: {XFEAT}, {SIFT} or an extractor of your own", parse=parse_features,
        metavar="NAME|FILE.onnx", stage="features",
    )  # fmt: skip
    key_points: int = option(1024, "of an image, at most", parse=int, metavar="COUNT", stage="export")
    loops: Loops = option(
        "auto", "whether poses that drift are adjusted, where frames show the same", choices=get_args(Loops),
        stage="poses",
    )  # fmt: skip
    colmap: Path | None = option(
        None, "make points with this COLMAP model of the frames, in place of depth", parse=Path, metavar="DIR",
        stage="geometry",
    )  # fmt: skip
    points: int = option(10_000, "of a place, at most", parse=int, metavar="COUNT", stage="regions")
    landmarks: int = option(128, "of a place, at most", parse=int, metavar="COUNT", stage="regions")
    recognition: Recognition = option(
        "none", "whether a network learns to recognise landmarks", choices=get_args(Recognition)
    )

    def __post_init__(self) -> None:
        require_preset(self.method, self.preset, get_args(Preset))
        require_known("loops", self.loops, get_args(Loops))
        require_known("recognition", self.recognition, get_args(Recognition))
        if self.recognition == "none" and self.preset != "small":
            raise ConfigError(f"training: preset '{self.preset}' is of a recognizer, recognition is none")
        for name in ("points", "landmarks"):
            if getattr(self, name) < 1:
                raise ConfigError(f"pram: {getattr(self, name)} {name} are too few")
        if not 1 <= self.key_points <= MAX_KEY_POINTS:
            raise ConfigError(f"pram: {self.key_points} key points of an image must be 1 to {MAX_KEY_POINTS}")

    @property
    def minutes(self) -> float:
        """Of training."""
        return MINUTES[self.preset]

    @property
    def stages(self) -> tuple[StageName, ...]:
        """Without a recognizer nothing is trained."""
        return tuple(stage for stage in SPARSE_STAGES if self.recognition != "none" or stage != "training")
