"""What each stage is told, as it follows from what the user set: settings, each with what its stage depends on."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vloc_ros.core.model_spec import Precision
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera import Camera
from vloc_ros.training.map_options import BASE_BATCH, GPU_BATCH, SIZE_MULTIPLE, MapOptions, TrainingOptions
from vloc_ros.training.method_options import MethodOptions, described
from vloc_ros.training.pram.options import PRAMOptions
from vloc_ros.training.stages.stage_records import Records

EXTRACTOR_MULTIPLE = 4  # pixels: of both sides of the images that key points are found in
# What a training may be changed in while it is continued: a map that is not good enough yet can be trained for longer.
MAY_CHANGE = ("minutes", "epochs", "compile")


@dataclass(frozen=True)
class SourceSettings:
    """Which frames a map is made from; as `datasets.open_dataset` has it."""

    dataset: str
    root: Path | None
    split: str
    poses: str | None

    @property
    def description(self) -> str:
        """For people."""
        return str(self.root or self.dataset)

    def inputs(self) -> dict[str, Any]:
        values = asdict(self)
        return {**values, "root": self.root and self.root.resolve()}  # the same, wherever the command is given


@dataclass(frozen=True)
class SampleSettings:
    """What is learned from: images of that `width`, and so many `novel_views` for each frame, drawn with `seed`."""

    width: int
    novel_views: float
    seed: int

    def size(self, camera: Camera) -> tuple[int, int]:
        """Width and height of the network's input for images of that camera."""
        return input_size(self.width, camera.width, camera.height)

    def inputs(self) -> dict[str, Any]:
        return {"width": self.width, "novel_views": self.novel_views, "training.seed": self.seed}


@dataclass(frozen=True)
class FeatureSettings:
    """In which images key points are found: of that `width`, or as wide as they were recorded, if that is less."""

    width: int

    def size(self, camera: Camera) -> tuple[int, int]:
        """Width and height of these images for those of that camera."""
        width = min(self.width, camera.width) // EXTRACTOR_MULTIPLE * EXTRACTOR_MULTIPLE
        return width, EXTRACTOR_MULTIPLE * max(1, round(width * camera.height / camera.width / EXTRACTOR_MULTIPLE))

    def inputs(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class TrainingSettings:
    """How the network learns: `options` with nothing left open; `grey` is the share of images without colours."""

    options: TrainingOptions
    grey: float

    def inputs(self) -> dict[str, Any]:
        values = {name: value for name, value in asdict(self.options).items() if name not in MAY_CHANGE}
        return {"grey": self.grey, **{f"training.{name}": value for name, value in values.items()}}


@dataclass(frozen=True)
class ExportSettings:
    """`precisions`: of the networks, float32 first."""

    precisions: tuple[Precision, ...]

    def inputs(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class CalibrationSettings:
    """Where the map goes, the name of its frame, the share of wrong poses that its gate may pass, and whether it is in
    no unit."""

    out: Path
    frame_id: str
    false_positive_rate: float
    unknown_scale: bool = False

    def inputs(self) -> dict[str, Any]:
        values = {**asdict(self), "out": self.out.resolve()}
        return {name: value for name, value in values.items() if name != "unknown_scale" or value}


@dataclass(frozen=True)
class Settings:
    """Of all stages of a dense method that have some; those of geometry and regions are the method's
    (`training.recipe`)."""

    sources: SourceSettings
    samples: SampleSettings
    training: TrainingSettings
    export: ExportSettings
    calibration: CalibrationSettings


def input_size(width: int, image_width: int, image_height: int) -> tuple[int, int]:
    """Width and height of a network's input of that width, for images of that size."""
    return width, SIZE_MULTIPLE * max(1, round(width * image_height / image_width / SIZE_MULTIPLE))


def settings_of(options: MapOptions, earlier: Records, novel_views: float, gpu: bool, processes: int) -> Settings:
    """What was left open is what it was in the run that is continued, `earlier`. In a new one there are so many
    `novel_views` for each frame, and batches have the size that suits the device and the number of processes."""
    trained, sampled = earlier.inputs_of("training"), earlier.inputs_of("samples")
    training = options.training.with_defaults(
        batch_size=trained.get("training.batch_size", GPU_BATCH if gpu else BASE_BATCH),
        accumulate=trained.get("training.accumulate", processes),
    )
    if options.novel_views is None:
        options = replace(options, novel_views=sampled.get("novel_views", novel_views))
    assert options.novel_views is not None
    return Settings(
        sources=source_settings(options),
        samples=SampleSettings(options.width or options.method.width, options.novel_views, training.seed),
        training=TrainingSettings(training, options.grey),
        export=ExportSettings(tuple(dict.fromkeys(("float32", *options.precisions)))),
        calibration=calibration_settings(options),
    )


def require_for_sparse(options: MapOptions) -> None:
    """Raise ConfigError for an option that sparse methods have no use for."""
    for name, given in (
        ("novel-views", options.novel_views),
        ("grey", options.grey),
        ("precision", " ".join(options.precisions)),
        ("mesh", options.mesh),
    ):
        if given:
            raise ConfigError(f"--{name} {given}: has no effect on a map of {described(options.method.method)}")


def require_landmarks(method: MethodOptions, places: int) -> None:
    """Raise ConfigError for a recognizer that would have nothing to tell apart."""
    if isinstance(method, PRAMOptions) and method.recognition == "trained" and method.landmarks * places < 2:
        raise ConfigError(
            f"--landmarks {method.landmarks}: with --recognition trained there must be 2 or more to tell apart"
        )


def feature_settings(options: MapOptions) -> FeatureSettings:
    return FeatureSettings(options.width or options.method.width)


def calibration_settings(options: MapOptions) -> CalibrationSettings:
    unknown_scale = options.photos is not None and options.photos.scale.none
    return CalibrationSettings(options.out, options.frame_id, options.false_positive_rate, unknown_scale)


def source_settings(options: MapOptions) -> SourceSettings:
    return SourceSettings(options.dataset, options.root, options.split, options.poses)
