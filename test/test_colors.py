"""What cells look like to people: labels, places, each method's outputs, and the map's preview of them."""

from pkgutil import resolve_name

import numpy as np
import pytest

from vloc_ros.core.manifest import Manifest
from vloc_ros.core.model_spec import GridSpec
from vloc_ros.core.session import Tensors
from vloc_ros.core.types import CameraImage, LandmarkMap
from vloc_ros.geometry.camera import Camera
from vloc_ros.localizer import Localizer
from vloc_ros.methods import METHODS, get_method
from vloc_ros.methods.colors import DARKEST, label_colors, position_colors

ROWS, COLUMNS = 10, 16
IMAGE = CameraImage(np.full((160, 256, 3), 90, np.uint8), Camera(256, 160, 200.0, 200.0, 127.5, 79.5))
OUTPUTS: dict[str, dict[str, np.ndarray]] = {
    "vsnet": {"labels": np.arange(ROWS * COLUMNS, dtype=np.int32).reshape(ROWS, COLUMNS)},
    "hscnet": {
        "coordinates": np.random.default_rng(0).uniform(-1, 3, (ROWS, COLUMNS, 3)).astype(np.float32),
        "confidences": np.linspace(0, 1, ROWS * COLUMNS, dtype=np.float32).reshape(ROWS, COLUMNS),
    },
}


def make_map(method: str, spec: GridSpec) -> LandmarkMap:
    positions = np.array([[0.0, 0, 0], [2, 2, 2], [1, 2, 0]])
    return LandmarkMap(
        ids=np.arange(3, dtype=np.int32),
        positions=positions,
        normals=np.tile((0.0, 0.0, 1.0), (3, 1)),
        extents=np.full(3, 0.5),
        observations=np.full(3, 5, dtype=np.int32),
        manifest=Manifest(method, "map", "2026-01-02T03:04:05Z", spec.image_size, spec.models),
    )


def specs(method: str) -> GridSpec:
    return GridSpec(128, 80, 8, resolve_name(METHODS[method].method).outputs)


def test_labels_are_bright_and_neighbours_far_apart() -> None:
    colors = label_colors(np.arange(1000, dtype=np.int32)).astype(int)
    assert (colors[0] == 0).all()
    assert (colors[1:].max(axis=1) > 200).all()
    assert np.abs(np.diff(colors[1:], axis=0)).max(axis=1).min() > 60


def test_places_go_from_dark_to_bright_along_each_axis() -> None:
    within = np.array([[0.0, -2, 5], [4, 2, 5]])  # flat along z
    points = np.array([[0.0, -2, 5], [4, 2, 5], [2, 0, 5], [-9, 9, 5]])
    colors = position_colors(points, within)
    assert colors.dtype == np.uint8
    assert colors[0].tolist() == [DARKEST] * 3
    assert colors[1].tolist() == [255, 255, DARKEST]
    assert colors[2, :2].tolist() == [(DARKEST + 255) // 2] * 2
    assert colors[3].tolist() == [DARKEST, 255, DARKEST]


def test_vsnets_cells_have_the_colour_of_their_landmark() -> None:
    colors = get_method("vsnet").visualize(OUTPUTS["vsnet"], IMAGE, make_map("vsnet", specs("vsnet"))).colors
    np.testing.assert_array_equal(colors, label_colors(OUTPUTS["vsnet"]["labels"]))


def test_hscnets_cells_have_the_colour_of_their_place_where_it_is_sure() -> None:
    outputs, landmark_map = OUTPUTS["hscnet"], make_map("hscnet", specs("hscnet"))
    lost = outputs["coordinates"].copy()
    lost[0] = np.nan
    colors = get_method("hscnet").visualize({**outputs, "coordinates": lost}, IMAGE, landmark_map).colors
    assert colors is not None
    shown = colors.any(axis=-1)
    np.testing.assert_array_equal(shown, outputs["confidences"] >= 0.05)
    expected = position_colors(outputs["coordinates"], landmark_map.positions)
    np.testing.assert_array_equal(colors[shown][COLUMNS:], expected[shown][COLUMNS:])


class FakeSession:
    """Says the same of every image."""

    backend, max_batch = "fake", 1

    def __init__(self, method: str) -> None:
        self.spec = specs(method).model
        self._outputs = OUTPUTS[method]

    def run(self, inputs: Tensors) -> dict[str, np.ndarray]:
        return {name: np.stack([output] * len(inputs["image"])) for name, output in self._outputs.items()}


@pytest.mark.parametrize("method", OUTPUTS)
@pytest.mark.needs("torch")
def test_a_preview_is_the_input_beside_what_is_seen_in_it(method: str) -> None:
    from vloc_ros.training.preview import HEIGHT, draw_preview

    spec = specs(method)
    localizer = Localizer(make_map(method, spec), get_method(method), {"network": FakeSession(method)})
    picture = draw_preview(localizer, IMAGE)
    width = round(spec.width * HEIGHT / spec.height)
    assert picture.shape == (HEIGHT, 2 * width, 3)
    assert (picture[:, : width - 1] == 90).all()
    seen = picture[:, width + 1 :].astype(int)
    assert seen.std() > 10
    lit = localizer.method.visualize(OUTPUTS[method], IMAGE, localizer.landmark_map).colors
    assert lit is not None
    assert not lit[0, 0].any()
    assert (seen[2, 2] == 36).all()  # 0.4 of the input, of a cell that shows nothing
