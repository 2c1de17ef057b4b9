"""What a map says of its networks: tensors as text and back, a grid of cells as tensors and back, several inputs."""

import numpy as np
import pytest
from support.map_files import make_map
from support.tiny_networks import SPEC

from vloc_ros.core.manifest import Manifest
from vloc_ros.core.model_spec import GridSpec, ModelSpec, TensorSpec
from vloc_ros.core.session import Tensors, max_batch_of, row, stack
from vloc_ros.core.visualization import Visualization
from vloc_ros.errors import ConfigError, ModelError
from vloc_ros.inference.checks import check_inputs

IMAGE = TensorSpec("uint8", (8, 16, 3))


@pytest.mark.parametrize("text", ["float32[60, 80, 2]", "int32", "uint8[240, 320, 3]", "float32[1]"])
def test_a_tensor_is_its_text(text: str) -> None:
    assert str(TensorSpec.parse(text)) == text


@pytest.mark.parametrize("text", ["float64", "float32[]", "float32[0]", "float32[-1]", "float32[2", "", "float32[a]"])
def test_texts_that_are_no_tensor(text: str) -> None:
    with pytest.raises(ConfigError, match="is no tensor"):
        TensorSpec.parse(text)


def test_tensors_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="elements can be"):
        TensorSpec("float32", (10**5, 10**5))
    with pytest.raises(ConfigError, match="is no tensor"):
        TensorSpec("float32", (3, 0))
    for inputs, outputs in (({}, {"a": IMAGE}), ({"a": IMAGE}, {})):
        with pytest.raises(ConfigError, match=r"has no (inputs|outputs)"):
            ModelSpec(inputs, outputs)


def test_a_grid_is_its_tensors() -> None:
    assert SPEC.model.grid == SPEC
    assert SPEC.model.outputs["votes"] == TensorSpec("float32", (2, 4, 2))
    assert SPEC.model.inputs == {"image": IMAGE}
    assert GridSpec(16, 8, 8, {"all": "int32[7]"}, "picture").model.grid.input_name == "picture"


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ({"image": IMAGE, "more": IMAGE}, {"labels": TensorSpec("int32", (2, 4))}),
        ({"image": TensorSpec("float32", (8, 16, 3))}, {"labels": TensorSpec("int32", (2, 4))}),
        ({"image": IMAGE}, {"labels": TensorSpec("int32", (3, 4))}),
        ({"image": IMAGE}, {"labels": TensorSpec("int32", (2, 4)), "scores": TensorSpec("float32", (4, 8))}),
        ({"image": IMAGE}, {"key_points": TensorSpec("float32", (5,))}),
    ],
)
def test_networks_that_fill_no_grid(inputs: dict[str, TensorSpec], outputs: dict[str, TensorSpec]) -> None:
    with pytest.raises(ConfigError, match=r"grid of cells|does not divide"):
        _ = ModelSpec(inputs, outputs).grid


def test_a_maps_images_are_of_one_size() -> None:
    manifest = make_map().manifest
    with pytest.raises(ConfigError, match=r"network: its input 'image' is uint8\[240, 320, 3\], .* 640x480"):
        Manifest("vsnet", "map", "now", (640, 480), manifest.models)
    with pytest.raises(ConfigError, match="images of 0x5 pixels"):
        Manifest("vsnet", "map", "now", (0, 5), manifest.models)


def test_inputs_by_name_are_checked_together() -> None:
    spec = ModelSpec({"image": IMAGE, "scores": TensorSpec("float32", (5,))}, {"labels": TensorSpec("int32")})
    images, scores = np.zeros((2, 8, 16, 3), np.uint8), np.zeros((2, 5), np.float32)
    assert check_inputs({"image": images, "scores": scores}, spec, 2) == 2
    wrongs: list[tuple[Tensors, str]] = [
        ({"image": images}, r"given \['image'\], its inputs are \['image', 'scores'\]"),
        ({"image": images, "scores": scores[:1]}, "given 1 and 2 images at once"),
        ({"image": images, "scores": scores.astype(float)}, "given float64 .* as 'scores'"),
    ]
    for wrong, words in wrongs:
        with pytest.raises(ModelError, match=words):
            check_inputs(wrong, spec, 2)
    with pytest.raises(ModelError, match="given 2 images at once, it takes 1 to 1"):
        check_inputs({"image": images, "scores": scores}, spec, 1)


def test_rows_of_a_batch_are_what_was_stacked() -> None:
    rows = [{"a": np.full(3, i), "b": np.full((2, 2), -i)} for i in range(4)]
    batch = stack(rows)
    assert batch["b"].shape == (4, 2, 2)
    for index, expected in enumerate(rows):
        for name, value in row(batch, index).items():
            np.testing.assert_array_equal(value, expected[name])
    assert np.shares_memory(stack(rows[:1])["a"], rows[0]["a"])
    assert max_batch_of({}) == 1


def test_what_cannot_be_drawn() -> None:
    colors = np.zeros((2, 3, 3), np.uint8)
    assert len(Visualization(colors, np.zeros((2, 3, 2), np.float32)).key_points) == 0
    with pytest.raises(ConfigError, match="colors"):
        Visualization(np.zeros((2, 3), np.uint8))
    with pytest.raises(ConfigError, match="directions"):
        Visualization(colors, np.zeros((3, 3, 2), np.float32))
    with pytest.raises(ConfigError, match="key points"):
        Visualization(key_points=np.zeros((5, 3)))
