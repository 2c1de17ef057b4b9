"""A user's own network for key points: what keeps the contract is used, anything else is one line that says why."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.brightest_pixels import brightest_pixels
from support.feature_frames import Frames

from vloc_ros.core.session import Tensors
from vloc_ros.errors import ConfigError, ModelError
from vloc_ros.features.extractor import Extractor
from vloc_ros.geometry.camera import Camera
from vloc_ros.mapping.place_geometry import Place
from vloc_ros.progress import Silent
from vloc_ros.training.features.extraction import try_extractor
from vloc_ros.training.features.opening import image_size_for, open_extractor
from vloc_ros.training.pram.options import PRAMOptions
from vloc_ros.training.stages.feature_stage import FeatureStage, features_of, used_key_points
from vloc_ros.training.stages.point_map import feature_spec
from vloc_ros.training.stages.settings import FeatureSettings
from vloc_ros.training.stages.source_stage import Sources
from vloc_ros.training.stages.sparse_export_stage import SparseExportStage

WIDTH, HEIGHT, K, D = 32, 24, 10, 3


def brightest(count: int = K, scale: float = 1.0) -> onnx.ModelProto:
    """The brightest pixels and their colours, as long as `scale` says."""
    nodes, constants = brightest_pixels(WIDTH, HEIGHT, count)
    nodes.append(helper.make_node("LpNormalization", ["colors"], ["unit"], axis=2, p=2))
    nodes.append(helper.make_node("Mul", ["unit", "scale"], ["descriptors"]))
    constants = {**constants, "scale": np.array(scale, np.float32)}
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ("batch", HEIGHT, WIDTH, 3))
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ("batch", *shape))
        for name, shape in (("key_points", (count, 2)), ("scores", (count,)), ("descriptors", (count, D)))
    ]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "brightest", [image], outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def written(path: Path, model: onnx.ModelProto) -> str:
    (path / "mine.onnx").write_bytes(model.SerializeToString())
    return str(path / "mine.onnx")


def picture() -> np.ndarray:
    return np.random.default_rng(1).integers(1, 256, (HEIGHT, WIDTH, 3), np.uint8)


def test_a_network_that_keeps_the_contract_is_used(tmp_path: Path) -> None:
    path = written(tmp_path, brightest())
    assert image_size_for(path, (640, 480)) == (WIDTH, HEIGHT)
    assert image_size_for("xfeat", (640, 480)) == (640, 480)
    extractor = open_extractor(path, (WIDTH, HEIGHT), 2048)
    assert (extractor.features.name, extractor.features.key_points, extractor.features.dimensions) == ("onnx", K, D)
    rgb = picture()
    try_extractor(extractor, rgb)
    found = extractor.key_points(rgb)
    brightness = rgb.sum(axis=2, dtype=np.int64)
    columns, rows = found.pixels.astype(int).T
    np.testing.assert_array_equal(found.scores, np.sort(brightness.ravel())[::-1][:K])
    np.testing.assert_array_equal(brightness[rows, columns], found.scores)


def output_type(model: onnx.ModelProto) -> None:
    model.graph.output[1].type.tensor_type.elem_type = TensorProto.DOUBLE


def output_shape(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.shape.dim[2].dim_value = 3


def free_shape(model: onnx.ModelProto) -> None:
    model.graph.output[2].type.tensor_type.shape.dim[1].dim_param = "many"


def grey_image(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 1


def input_name(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "picture"


def no_scores(model: onnx.ModelProto) -> None:
    del model.graph.output[1]


def wrong_size(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = K + 1
    model.graph.output[1].type.tensor_type.shape.dim[1].dim_value = K + 1
    model.graph.output[2].type.tensor_type.shape.dim[1].dim_value = K + 1


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (output_type, "'scores' is of another type than uint8, float32, int32"),
        (output_shape, r"'key_points' is float32\[10, 3\] instead of float32\[10, 2\]"),
        (free_shape, r"'descriptors' has the shape \['batch', 'many', 3\]; all but the first"),
        (grey_image, r"'image' is uint8\[24, 32, 1\] instead of uint8\[480, 640, 3\]"),
        (input_name, "its inputs are picture instead of image"),
        (no_scores, "its outputs are key_points, descriptors instead of key_points, scores, descriptors"),
        (wrong_size, "network: "),
    ],
)
def test_a_network_that_does_not_keep_it_is_one_line(
    tmp_path: Path, damage: Callable[[onnx.ModelProto], None], words: str
) -> None:
    damage(model := brightest())
    with pytest.raises(ConfigError, match=words) as caught:
        open_extractor(written(tmp_path, model), (WIDTH, HEIGHT), K)
    assert str(caught.value).startswith(f"{tmp_path}/mine.onnx: ")
    assert "\n" not in str(caught.value)


def test_more_key_points_than_can_be(tmp_path: Path) -> None:
    model = brightest()
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[1].dim_value = 5000
    with pytest.raises(ConfigError, match=r"mine.onnx: features: key_points is 5000, must be 1 to 2048"):
        open_extractor(written(tmp_path, model), (WIDTH, HEIGHT), K)


def test_images_of_another_size(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mine.onnx: takes images of 32x24 pixels, the map's are 640x480"):
        open_extractor(written(tmp_path, brightest()), (640, 480), K)


@pytest.mark.parametrize("content", [b"", b"no network", b"\x08\x09"])
def test_files_that_are_no_network(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine.onnx").write_bytes(content)
    with pytest.raises(ConfigError, match=r"mine.onnx: "):
        open_extractor(str(tmp_path / "mine.onnx"), (WIDTH, HEIGHT), K)


def test_a_file_that_is_not_there_and_a_name_that_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mine.onnx: No such file"):
        open_extractor(str(tmp_path / "mine.onnx"), (WIDTH, HEIGHT), K)
    with pytest.raises(ConfigError, match=r"features: 'surf' is unknown, known are xfeat, sift and FILE.onnx"):
        open_extractor("surf", (WIDTH, HEIGHT), K)


def test_descriptors_that_are_not_of_length_1_are_noticed_on_an_image(tmp_path: Path) -> None:
    extractor = open_extractor(written(tmp_path, brightest(scale=2.0)), (WIDTH, HEIGHT), K)
    with pytest.raises(ModelError, match=f"tried on an image, {K} of its descriptors have not the length 1"):
        try_extractor(extractor, picture())


@pytest.mark.parametrize("features", ["mine.onnx", "sift"])
def test_a_map_has_the_image_size_and_the_number_of_key_points_of_the_network(tmp_path: Path, features: str) -> None:
    """Those that are asked for are for features that can have any."""
    written(tmp_path, brightest())
    method = PRAMOptions(features=tmp_path / features if features == "mine.onnx" else features, key_points=500)
    camera = Camera(2 * WIDTH, 2 * HEIGHT, 50.0, 50.0, WIDTH - 0.5, HEIGHT - 0.5)
    frames = Frames(camera_=camera)
    sources = Sources("frames", frames, frames, (Place("", frames),))
    found = FeatureStage(FeatureSettings(48), method, sources).make(tmp_path, Silent())
    used = features_of(found)[0].size, used_key_points(method, found)
    assert used == (((WIDTH, HEIGHT), K) if features == "mine.onnx" else ((48, 36), 500))
    networks = SparseExportStage(method, found, None).make(tmp_path, Silent())
    assert list(networks) == (["extractor"] if features == "mine.onnx" else [])
    spec = feature_spec(features_of(found)[0].features, used[1], networks)
    assert (spec.name, spec.key_points) == (("onnx", K) if features == "mine.onnx" else ("sift", 500))


class Changed(Extractor):
    """Finds something else than it does."""

    change: Callable[[dict[str, np.ndarray]], None]

    def tensors(self, inputs: Tensors) -> Tensors:
        found = {name: tensor.copy() for name, tensor in super().tensors(inputs).items()}
        type(self).change(found)
        return found


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("scores", np.nan, "scores are not finite"),
        ("scores", -1.0, "scores are below 0"),
        ("scores", 1e6, "scores do not fall"),
        ("key_points", -1.0, "key points are outside the image"),
        ("key_points", np.nan, "key points are outside the image"),
        ("descriptors", np.nan, "descriptors have not the length 1"),
    ],
)
def test_what_else_is_noticed_on_an_image(tmp_path: Path, name: str, value: float, words: str) -> None:
    class Wrong(Changed):
        @staticmethod
        def change(found: dict[str, np.ndarray]) -> None:
            found[name][4] = value

    opened = open_extractor(written(tmp_path, brightest()), (WIDTH, HEIGHT), K)
    with pytest.raises(ModelError, match=words):
        try_extractor(Wrong(**vars(opened)), picture())
