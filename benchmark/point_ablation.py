"""What each part of a map of points is worth, on frames that are held out and far from those that are mapped.

python benchmark/point_ablation.py --workdir MAP.work [--sift SIFT.work] [--stretches 1] [--gap 10] [--images 60]
                                   [--landmarks 64 128 256 [--minutes 1]]

MAP.work is a work directory of `vloc map --method pram` for one place: key points and depth are read from it, no image
is. The last third of its frames is held out or, with `--stretches N`, that of each of N parts of the recording; so are
`--gap` frames before and behind these. Every row changes one thing of the base: 10,000 points of tracks and bundle
adjustment with the lens, means of descriptors in 8 bits, guided matching, no recognition, no correction field.
`--sift`: the work directory of a map with `--features sift`, of the same frames. `--landmarks`: recognition of so many,
trained for `--minutes` each. One thread, the same gate for all (MIN_INLIERS); times are without the extractor.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
from fused_points import fused
from in_turn import ask_in_turn, by_image, some_of, threads
from inputs import add_counts, plain_parser
from mapping_frames import USED_KEY_POINTS, MappingFrames, far_apart, mapping_frames
from numpy.typing import NDArray
from results import MEDIAN, RECALLS, Results

from vloc_ros.cli.progress_bar import TerminalProgress
from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.feature_spec import EXTRACTOR, SIFT, FeatureSpec
from vloc_ros.core.manifest import GateThresholds, Manifest
from vloc_ros.core.method import Observation
from vloc_ros.core.nearest_view import nearest_view
from vloc_ros.core.points import Points
from vloc_ros.core.session import Session, Tensors
from vloc_ros.core.stopwatch import Stopwatch
from vloc_ros.core.types import CameraImage, LandmarkMap, PoseEstimate
from vloc_ros.datasets.subset import split_held_out
from vloc_ros.evaluation.evaluate import evaluate
from vloc_ros.features.cache import FeatureCache
from vloc_ros.inference import SessionOptions, open_session
from vloc_ros.localizer import Localizer
from vloc_ros.mapping.depth_calibration import DepthCorrection
from vloc_ros.mapping.frame_features import FeatureSource, FrameFeatures, read_frame_features
from vloc_ros.mapping.hidden_views import observed_points
from vloc_ros.mapping.place_regions import PlaceRegions, Regions
from vloc_ros.mapping.point_regions import PointRegions, divide_points, of_points, pruned
from vloc_ros.mapping.point_selection import chosen_points, select_points
from vloc_ros.mapping.reconstruct import reconstruct
from vloc_ros.mapping.reconstruction import Reconstruction
from vloc_ros.maps.points_npz import encode_points
from vloc_ros.methods.pram.method import RECOGNIZER, SHOWN
from vloc_ros.training.cached_frames import CachedFrames, CachedImage, CachedPRAM
from vloc_ros.training.correction import fitted_correction
from vloc_ros.training.hidden_samples import HiddenViews
from vloc_ros.training.map_options import TrainingOptions
from vloc_ros.training.pram.deploy import export_recognizer
from vloc_ros.training.pram.network import Recognizer
from vloc_ros.training.pram.recognition import recognizer_of, train_recognizer
from vloc_ros.training.pram.recognition_frames import recognition_frames
from vloc_ros.training.samples import pairs_of
from vloc_ros.training.stages.untrained_map import landmark_map_of
from vloc_ros.training.workers import Workers

MIN_INLIERS = 30

COLUMNS = {
    "map": "{map}",
    "points": "{points:,}",
    "size": "{size_kb:.0f} kB",
    "images": "{frames}",
    "median": MEDIAN,
    **RECALLS,
    "rejected; wrong accepted": "{rejected}; {wrong_accepted}",
    "matching": "{matching_p50_ms:.1f} ms",
    "all without the extractor, p50 / p90": "{total_p50_ms:.1f} / {total_p90_ms:.1f} ms",
}

Geometry = Literal["fused", "tracks", "declared", "adjusted"]


@dataclass(frozen=True)
class Variant:
    """A map of points, and how it is asked."""

    geometry: Geometry = "adjusted"
    count: int = 10_000
    dtype: type[np.int8] | type[np.float16] = np.int8
    medoid: bool = False
    pruning: bool = False
    field: bool = False
    guided: bool = True
    landmarks: int = 128


VARIANTS: Mapping[str, Variant] = {
    "base": Variant(),
    "points by fusing": Variant(geometry="fused"),
    "points of tracks, no bundle adjustment": Variant(geometry="tracks"),
    "bundle adjustment, lens as declared": Variant(geometry="declared"),
    "correction field": Variant(field=True),
    **{f"{count:,} points": Variant(count=count) for count in (2_000, 5_000, 20_000)},
    "descriptors in float16": Variant(dtype=np.float16),
    "descriptor nearest to all others (paper)": Variant(medoid=True),
    "pruning by covisibility (paper)": Variant(pruning=True),
    "no guided matching": Variant(guided=False),
}


def main() -> None:
    parser = plain_parser(__doc__)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--sift", type=Path, metavar="WORKDIR")
    parser.add_argument("--stretches", type=int, default=1)
    parser.add_argument("--gap", type=int, default=10, help="frames")
    parser.add_argument("--images", type=int, default=60)
    add_counts(parser, "--landmarks", [], help="of recognizers")
    parser.add_argument("--minutes", type=float, default=1.0, help="that each recognizer is trained for")
    parser.add_argument("--only", nargs="+", choices=tuple(VARIANTS), default=tuple(VARIANTS))
    options = parser.parse_args()
    with threads(1):
        frames, depth = mapping_frames(options.workdir)
        mapping, held_out = far_apart(len(frames), options.stretches, options.gap)
        asked = some_of(frames[held_out], options.images)
        made = dict(localizers(MappedPlace.of(frames[mapping], depth), mapping, options))
        answers = ask_in_turn({name: by_image(localizer) for name, localizer in made.items()}, asked)
    views = [nearest_view(frames.poses[mapping], asked.map_from_camera(index)) for index in range(len(asked))]
    metres, degrees = np.median([(view.distance_m, view.angle_deg) for view in views if view], axis=0).tolist()
    results = Results(
        f"Data: {len(asked)} held-out frames of {options.workdir.name}, {len(mapping)} mapped; the nearest mapped "
        f"camera is {100 * metres:.0f} cm, {degrees:.0f} deg away (medians)",
        COLUMNS,
    )
    for name, localizer in made.items():
        results.add(map=name, **described(localizer), **answers[name].figures())
    results.write(options.json)


@dataclass(frozen=True, eq=False)
class MappedPlace:
    """Frames of which maps are made, and such as `vloc map` holds out itself, for the correction field."""

    mapping: MappingFrames
    beside: MappingFrames
    depth: DepthCorrection

    @staticmethod
    def of(frames: MappingFrames, depth: DepthCorrection) -> "MappedPlace":
        mapping, beside = (np.array(part.indices) for part in split_held_out(frames, share=0.1))
        return MappedPlace(frames[mapping], frames[beside], depth)

    @cached_property
    def features(self) -> FrameFeatures:
        return read_frame_features(self.mapping, self.mapping, self.depth)

    @cached_property
    def fused(self) -> Reconstruction:
        return fused(self.features)

    @cached_property
    def tracks(self) -> Reconstruction:
        return reconstruct(self.features, bundle=False, progress=TerminalProgress())

    @cached_property
    def declared(self) -> Reconstruction:
        return reconstruct(self.features, lens=False, progress=TerminalProgress())

    @cached_property
    def adjusted(self) -> Reconstruction:
        return reconstruct(self.features, progress=TerminalProgress())

    def localizer(self, variant: Variant, recognizer: Recognizer | None = None) -> Localizer:
        """With its map, of one place."""
        divided = divide_points(getattr(self, variant.geometry), variant.landmarks)
        points = chosen(divided, self.mapping, variant)
        regions = Regions((PlaceRegions("", divided.landmarks),), points=points)
        manifest = manifest_of(self.mapping.cache, divided.reconstruction)
        made = landmark_map_of(regions, manifest, [divided.reconstruction.map_from_camera])
        sessions = {} if recognizer is None else {RECOGNIZER: opened(recognizer)}
        localizer = Localizer(made, WithoutExtractor(is_guided=variant.guided), sessions)
        if variant.field:
            shape, cache = divided.reconstruction, self.mapping.own_cache
            frames = CachedFrames(self.mapping, (cache,), USED_KEY_POINTS)
            hidden = HiddenViews(frames, [observed_points(points, shape, cache, self.depth)]).samples(localizer)
            beside = evaluate(localizer, self.beside).records
            fitted = fitted_correction(localizer, self.mapping, beside, pairs_of(hidden))
            print(fitted.report.describe() if fitted else "correction field: too few frames", file=sys.stderr)
            made = replace(made, correction=fitted.field if fitted else None)
        return replace(localizer, landmark_map=made)

    def recognizer(self, variant: Variant, minutes: float) -> Recognizer:
        """Trained on all points, as `vloc map` does."""
        divided = divide_points(getattr(self, variant.geometry), variant.landmarks)
        frames, training = (
            recognition_frames([(divided, self.mapping)], USED_KEY_POINTS),
            TrainingOptions(minutes=minutes),
        )
        with TemporaryDirectory() as directory:
            progress = TerminalProgress()
            return recognizer_of(train_recognizer(frames, "small", training, Path(directory), Workers(), progress))


def localizers(
    place: MappedPlace, rows: NDArray[np.intp], options: argparse.Namespace
) -> Iterator[tuple[str, Localizer]]:
    """All that are asked, by their names; `rows`: which of the frames are mapped."""
    for name in options.only:
        yield named(name, place.localizer(VARIANTS[name]))
    for count in options.landmarks:
        variant = Variant(landmarks=count)
        yield f"{count} landmarks recognised", place.localizer(variant, place.recognizer(variant, options.minutes))
    if options.sift:
        frames, depth = mapping_frames(options.sift)
        assert frames.cache.names == place.mapping.cache.names
        sift = MappedPlace.of(frames[rows], depth)
        for name in ("base", "correction field"):
            yield named(f"RootSIFT: {name}", sift.localizer(VARIANTS[name]))


def named(name: str, localizer: Localizer) -> tuple[str, Localizer]:
    """A field that does not help frames beside the mapped ones is not kept."""
    missing = "field" in name and localizer.landmark_map.correction is None
    return f"{name}, not kept" if missing else name, localizer


def chosen(divided: PointRegions, features: FeatureSource, variant: Variant) -> Points:
    """The points of the map, in their landmarks."""
    shape, regions = divided.reconstruction, divided.regions
    if variant.pruning:
        kept = pruned(shape, regions)
        shape, regions = of_points(shape, kept), regions[kept]
    kept = np.isin(np.arange(len(shape)), chosen_points(shape, variant.count))
    points = select_points(of_points(shape, kept), features, variant.count, medoid=variant.medoid, dtype=variant.dtype)
    return replace(points, regions=regions[kept])


def manifest_of(cache: FeatureCache, shape: Reconstruction) -> Manifest:
    """Of a map with these features, whose extractor is not asked, and the lens that was found."""
    found, size = cache.features, cache.size
    spec = FeatureSpec(found.name, USED_KEY_POINTS, found.dimensions, found.extractor_sha256)
    models = {} if found.name == SIFT else {EXTRACTOR: spec.model(*size)}
    gate, lens = GateThresholds(MIN_INLIERS, 0, math.inf, 0), shape.lens_correction(cache.camera(0))
    return Manifest("pram", "map", "", size, models, features=spec, gate=gate, lenses={"map": lens})


@dataclass(frozen=True)
class WithoutExtractor(CachedPRAM):
    """Finds no key points in images, with which a localizer is warmed up; `is_guided`: whether poses are refined."""

    is_guided: bool = field(default=True, kw_only=True)

    def prepare(self, image: CameraImage, manifest: Manifest, scale: float) -> Tensors:
        if isinstance(image, CachedImage):
            return super().prepare(image, manifest, scale)
        assert manifest.features is not None
        outputs = manifest.features.model(*manifest.image_size).outputs
        nothing = {name: np.zeros(tensor.shape, dtype=np.float32) for name, tensor in outputs.items()}
        return {**nothing, SHOWN: np.array(manifest.image_size, dtype=np.int32)}

    def refine(
        self, estimate: PoseEstimate, observation: Observation, landmark_map: LandmarkMap, stopwatch: Stopwatch
    ) -> Correspondences | None:
        return super().refine(estimate, observation, landmark_map, stopwatch) if self.is_guided else None


def opened(network: Recognizer) -> Session:
    content, spec = export_recognizer(network, USED_KEY_POINTS)
    return open_session({"float32": content}, spec, SessionOptions("onnxruntime", "float32", threads=1))


def described(localizer: Localizer) -> dict[str, float]:
    """Number of points, and the size of their file."""
    points = localizer.landmark_map.points
    assert points is not None
    return {"points": len(points), "size_kb": len(encode_points(points)) / 1e3}


if __name__ == "__main__":
    main()
