"""`vloc map`: posed images to a map directory, in stages that an interrupted run does not repeat."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timezone

import numpy as np
import torch

from vloc_ros.core.grey import IMAGES, kind_of_images
from vloc_ros.core.manifest import FIELD_OF_VIEW, Manifest
from vloc_ros.core.model_spec import NETWORK
from vloc_ros.core.types import LandmarkMap
from vloc_ros.datasets import Dataset, open_dataset
from vloc_ros.datasets.grayscale import PartlyGrayscale
from vloc_ros.datasets.joined_places import place_parts
from vloc_ros.datasets.subset import Subset, split_held_out
from vloc_ros.errors import ConfigError, DatasetError
from vloc_ros.evaluation.evaluate import Evaluation, evaluate
from vloc_ros.inference import SessionOptions, open_session
from vloc_ros.localizer import Localizer
from vloc_ros.mapping.depth_calibration import DepthCorrection
from vloc_ros.maps import require_replaceable, write_map
from vloc_ros.methods import get_method
from vloc_ros.training.calibrate import OPEN_GATE, collect_samples, fit_calibration, fit_gate
from vloc_ros.training.curves import read_curves
from vloc_ros.training.deploy import TorchSession, deployed_spec
from vloc_ros.training.device import Workers, arithmetic, choose_device
from vloc_ros.training.device_batches import make_source
from vloc_ros.training.export import export_onnx
from vloc_ros.training.frames import TrainingFrames, build_frames, open_frames
from vloc_ros.training.map_options import MapOptions
from vloc_ros.training.method_options import load_recipe
from vloc_ros.training.parity import check_networks
from vloc_ros.training.preview import draw_preview
from vloc_ros.training.progress import TrainingBar, bar, describe, say
from vloc_ros.training.recipe import Recipe
from vloc_ros.training.scene import Place, Scene, load_scene, save_scene
from vloc_ros.training.trainer import LOGS, Trainer
from vloc_ros.training.views import (
    calibration_views,
    default_novel_views,
    frames_of_scenes,
    require_movable,
    training_views,
)
from vloc_ros.training.workdir import claim, settled

MIN_FRAMES = 10
SCENE_FILE = "scene.npz"
VALIDATIONS = 8  # measurements on held-out frames over the whole budget
CHECKED_COLORS = 50  # of the training images, whether they have any
CHECKED_IMAGES = 4  # of what is exported


def build_map(options: MapOptions) -> None:
    """Surface, landmarks, labels, training, export, check: from posed images to the map directory `options.out`.

    Ctrl-C leaves a checkpoint; the same call goes on from it. Raises VlocError for bad input.
    """
    torch.manual_seed(options.training.seed)
    workers = Workers.join()
    dataset = open_dataset(options.dataset, options.root, options.split, options.poses)
    if len(dataset) < MIN_FRAMES:
        raise DatasetError(
            f"{options.root or options.dataset}: {len(dataset)} frames are too few to learn a map from, "
            f"at least {MIN_FRAMES}"
        )
    training, kept_back = split_held_out(dataset)
    held_out = PartlyGrayscale(kept_back, options.grey) if options.grey else kept_back
    recipe: Recipe = load_recipe(options.method)
    require_movable(options.novel_views, recipe, training)
    novel_views = default_novel_views(recipe, training)
    if workers.rank == 0:
        require_replaceable(options.out)
        options = settled(options, workers, novel_views)
        claim(options)
        _prepare(options, recipe, training)
    workers.barrier()
    options = settled(replace(options, fresh=False), workers, novel_views)  # the others: as was claimed
    scene = load_scene(options.workdir / SCENE_FILE)
    frames = open_frames(options.workdir / "frames")
    trainer = _make_trainer(options, recipe, scene, frames, workers)
    blank = _blank_map(options, recipe, scene, frames, training)
    _train(trainer, blank, held_out, workers)
    workers.leave()
    if workers.rank == 0:
        _finish(options, recipe, trainer, blank, held_out)


def _prepare(options: MapOptions, recipe: Recipe, training: Subset) -> None:
    """Landmarks and labelled frames, unless an earlier run made them."""
    scene_path, frames_path = options.workdir / SCENE_FILE, options.workdir / "frames"
    if scene_path.exists() and frames_path.exists():
        return
    parts = frames_of_scenes(options, recipe, training)
    if options.mesh is not None and len(parts) > 1:
        raise ConfigError(f"{options.mesh}: one mesh for {len(parts)} scenes")
    places = [Place(name, part, options.mesh) for name, part in parts.items()]
    if not scene_path.exists():
        save_scene(scene_path, recipe.make_scene(places))
    if not frames_path.exists():
        scene = load_scene(scene_path)
        size = options.input_size(training.camera(0).width, training.camera(0).height)
        with bar("labels") as progress:
            views = [view for part in parts.values() for view in training_views(part, options, recipe, size)]
            build_frames(views, list(parts), recipe.labeller(scene), *size, frames_path, progress)


def _make_trainer(
    options: MapOptions, recipe: Recipe, scene: Scene, frames: TrainingFrames, workers: Workers
) -> Trainer:
    training, augmentation = options.training, replace(recipe.augmentation, grey=options.grey)
    source = make_source(
        frames, options.method.stride, training.batch_size, augmentation, training.seed, choose_device()
    )
    trainer = Trainer(recipe.objective(scene), source, training, options.workdir, workers)
    if trainer.resume() and workers.rank == 0:
        say(f"going on from iteration {trainer.progress.iteration}, {100 * trainer.fraction:.0f} % done")
    if training.compile and (fault := trainer.compile()) is not None:
        say(f"torch.compile does not work here, training goes on without it ({fault})")
    return trainer


def _blank_map(
    options: MapOptions, recipe: Recipe, scene: Scene, frames: TrainingFrames, training: Dataset
) -> LandmarkMap:
    """The map as it is before anything was learned, with a gate that lets everything through."""
    name, stride = options.method.method, options.method.stride
    parts = [part for _, part in place_parts(training)]
    views = [part.map_from_camera(index) for part in parts for index in range(len(part))]
    fields_of_view = [part.camera(index).field_of_view_deg for part in parts for index in range(len(part))]
    grid = deployed_spec(frames.camera(0), stride, training.camera(0), recipe.outputs)
    manifest = Manifest(
        method=name,
        frame_id=options.frame_id,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        image_size=grid.image_size,
        models=grid.models,
        gate=OPEN_GATE,
        training={
            FIELD_OF_VIEW: [min(fields_of_view), max(fields_of_view)],
            IMAGES: kind_of_images(frames.images[:: max(1, len(frames) // CHECKED_COLORS)], options.grey),
        },
        places=tuple(filter(None, scene.names)),
    )
    return LandmarkMap(
        ids=np.arange(len(scene.positions), dtype=np.int32),
        positions=scene.positions,
        normals=scene.of_landmarks("normals"),
        extents=scene.of_landmarks("extents"),
        observations=scene.of_landmarks("observations"),
        manifest=manifest,
        mapping_views=np.stack(views),
        places=scene.scene_of_landmark,
        view_places=np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts]),
    )


def _train(trainer: Trainer, blank: LandmarkMap, held_out: Dataset, workers: Workers) -> None:
    session = TorchSession(trainer.objective, blank.manifest.models[NETWORK].grid)
    localizer = Localizer(blank, get_method(blank.manifest.method), {NETWORK: session})

    def validate() -> Mapping[str, float]:
        session.update()
        return _figures(evaluate(localizer, held_out))

    with TrainingBar(trainer, enabled=workers.rank == 0) as display:
        trainer.train(display.report, display.announced(validate), VALIDATIONS)


def _finish(options: MapOptions, recipe: Recipe, trainer: Trainer, blank: LandmarkMap, held_out: Dataset) -> None:
    """Export, check the export against torch, calibrate the gate, measure, write."""
    say("exporting and checking")
    method, spec = get_method(blank.manifest.method), blank.manifest.models[NETWORK].grid
    networks = {name: export_onnx(trainer.objective, spec, name) for name in ("float32", *options.precisions)}
    checked = range(0, len(held_out), max(1, len(held_out) // CHECKED_IMAGES))
    inputs = ((held_out.names[index], method.prepare(held_out.frame(index).image, blank.manifest)) for index in checked)
    check_networks(networks, recipe, trainer.objective, spec, inputs)
    sessions = {NETWORK: open_session(networks, spec.model, SessionOptions("onnxruntime"))}
    moved = calibration_views(options, recipe, held_out, (spec.width, spec.height))
    with bar("calibration") as progress:
        samples = collect_samples(Localizer(blank, method, sessions), held_out, moved, progress)
    calibration = fit_calibration(samples)
    gate = fit_gate(samples, calibration, options.false_positive_rate)
    gated = replace(blank, manifest=replace(blank.manifest, calibration=calibration, gate=gate))
    evaluation = evaluate(Localizer(gated, method, sessions), held_out)
    figures = _figures(evaluation)
    manifest = replace(
        gated.manifest,
        accuracy={"held_out_frames": len(held_out), **figures},
        training={**gated.manifest.training, **_training_summary(options, recipe, trainer)},
    )
    preview = draw_preview(Localizer(gated, method, sessions), held_out.frame(len(held_out) // 2).image)
    mapping = {
        "curves": read_curves(options.workdir / LOGS),
        "held_out": [record.to_json() for record in evaluation.records],
    }
    write_map(options.out, replace(gated, manifest=manifest), {NETWORK: networks}, preview, mapping)
    say(f"{options.out}: {describe(figures)} on {len(held_out)} held-out frames")


def _figures(evaluation: Evaluation) -> dict[str, float]:
    """The accuracy among an evaluation's figures; a median that does not exist is left out."""
    summary = evaluation.summary()
    return {
        n: v for n, v in summary.items() if isinstance(v, int | float) and n.startswith(("median", "recall", "rej"))
    }


def _training_summary(options: MapOptions, recipe: Recipe, trainer: Trainer) -> dict[str, object]:
    training = options.training
    depth = {
        path.stem.replace("depth", "depth_correction", 1): asdict(DepthCorrection.load(path))
        for path in sorted(options.workdir.glob("depth*.json"))
    }
    return {
        **depth,
        "dataset": options.dataset,
        "split": options.split,
        **recipe.summary(),
        "moved_views": options.novel_views,
        "iterations": trainer.progress.iteration,
        "minutes": round(trainer.progress.seconds / 60, 2),
        "batch_size": training.batch_size,
        "accumulate": training.accumulate,
        "arithmetic": str(arithmetic(trainer.objective.device)).removeprefix("torch."),
        "parameters": sum(p.numel() for p in trainer.objective.parameters()),
    }
