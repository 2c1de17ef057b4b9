"""Several places as one data set: which frame is of which, through every wrapper, and lists that cannot be."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from vloc_ros.datasets import Dataset, open_dataset
from vloc_ros.datasets.joined_places import JoinedPlaces, place_parts
from vloc_ros.datasets.subset import Subset, split_held_out
from vloc_ros.errors import DatasetError
from vloc_ros.evaluation.corruptions import Corrupted, mirrored
from vloc_ros.training.stages.settings import SourceSettings
from vloc_ros.training.stages.source_stage import open_sources

SIZES = {"hall": (64, 48), "attic": (32, 24), "closet": (32, 24)}
COUNTS = {"hall": 12, "attic": 8, "closet": 1}


def write_folder(root: Path, name: str, depth: bool) -> None:
    """A `folder` data set whose images are as bright, and whose poses as far to the right, as their number."""
    width, height = SIZES[name]
    lines = []
    for index in range(COUNTS[name]):
        for part, kind in (("images", np.uint8), ("depth", np.uint16))[: 1 + depth]:
            (root / part).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / part / f"{index:02d}.png"), np.full((height, width), index + 1, kind))
        lines.append(f"{index:02d} {index} 0 0 0 0 0 1\n")
    (root / "camera.txt").write_text(f"{width} {height} 50 50 {width / 2} {height / 2}\n")
    (root / "poses.txt").write_text("".join(lines))
    (root / "split_test.txt").write_text("03\n05\n")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """The file of a hall, whose depth is known, and an attic, whose is not."""
    for name, depth in (("hall", True), ("attic", False)):
        write_folder(tmp_path / "data" / name, name, depth)
    (tmp_path / "better.txt").write_text("03 30 0 0 0 0 0 1\n05 50 0 0 0 0 0 1\n")
    return listed(
        tmp_path,
        """
        - {name: hall, dataset: folder, root: data/hall}
        - name: attic
          dataset: folder
          root: data/attic
        """,
    )


def listed(folder: Path, text: str) -> Path:
    path = folder / "house.yaml"
    path.write_text(text)
    return path


def opened(path: Path, split: str = "all") -> Dataset:
    return open_dataset("joined", path, split)


def test_frames_of_all_places_one_after_the_other(house: Path) -> None:
    dataset = opened(house)
    assert len(dataset) == len(dataset.names) == len(set(dataset.names)) == 20
    for index in range(20):
        place, own = ("hall", index) if index < 12 else ("attic", index - 12)
        frame = dataset.frame(index)
        assert dataset.names[index] == frame.name == f"{place}/{own:02d}"
        assert dataset.place(index) == frame.place == place
        assert (frame.image.rgb == own + 1).all()
        assert frame.map_from_camera[0, 3] == dataset.map_from_camera(index)[0, 3] == own
        camera = dataset.camera(index)
        assert (camera.width, camera.height) == SIZES[place]
    with pytest.raises(IndexError):
        dataset.frame(20)


def test_the_split_is_that_of_every_place_and_poses_are_found_beside_the_file(house: Path) -> None:
    assert opened(house, "test").names == ("hall/03", "hall/05", "attic/03", "attic/05")
    better = "[{name: hall, dataset: folder, root: data/hall, poses: better.txt}]"
    dataset = opened(listed(house.parent, better), "test")
    assert [dataset.map_from_camera(index)[0, 3] for index in range(2)] == [30, 50]


def test_places_pass_through_what_wraps_them(house: Path) -> None:
    dataset = opened(house)
    kept, held_out = split_held_out(dataset, share=0.5)
    for part in (kept, held_out, Corrupted(held_out, mirrored)):
        assert {part.place(index) for index in range(len(part))} == {"hall", "attic"}
        for index in range(len(part)):
            assert part.frame(index).place == part.place(index) == part.names[index].split("/")[0]


def test_parts_are_the_places_in_order_of_their_first_frames(house: Path) -> None:
    dataset = opened(house)
    backwards = Subset(Subset(dataset, [19, 3, 12, 0]), [0, 1, 2])
    parts = dict(place_parts(backwards))
    assert list(parts) == ["attic", "hall"]
    assert (parts["attic"].names, parts["hall"].names) == (("attic/07", "attic/00"), ("hall/03",))
    assert parts["attic"].frame(0).place == parts["attic"].place(1) == "attic"
    assert {name for name, _ in place_parts(Corrupted(backwards, mirrored))} == {"attic", "hall"}
    ((name, whole),) = place_parts(open_dataset("folder", house.parent / "data" / "hall", "all"))
    assert (name, len(whole), whole.frame(0).place) == ("", 12, "")


def test_each_part_knows_whether_it_has_depth(house: Path) -> None:
    dataset = opened(house)
    parts = dict(place_parts(dataset))
    assert (dataset.has_depth, parts["hall"].has_depth, parts["attic"].has_depth) == (False, True, False)
    depth = parts["hall"].frame(2, depth=True).depth
    assert depth is not None
    assert depth[0, 0] == pytest.approx(0.003)
    with pytest.raises(DatasetError):
        parts["attic"].frame(2, depth=True)


def test_a_place_whose_frames_are_all_held_out_is_refused(tmp_path: Path) -> None:
    for name in COUNTS:
        write_folder(tmp_path / name, name, depth=False)
    rows = (f"- {{name: {name}_{number}, dataset: folder, root: {name}}}\n" for number, name in enumerate(
        ("hall", "closet", "hall")))  # fmt: skip
    path = listed(tmp_path, "".join(rows))
    with pytest.raises(DatasetError) as error:
        open_sources(SourceSettings("joined", path, "all", None))
    assert str(error.value) == (
        f"{path}: all frames of place 'closet_1' (1) are kept back to measure with: it needs more, or has to be left "
        "out"
    )


def test_places_without_files(tmp_path: Path) -> None:
    text = "[{name: a, dataset: synthetic_room}, {name: b, dataset: synthetic_room}]"
    dataset = opened(listed(tmp_path, text), "small")
    assert isinstance(dataset, JoinedPlaces)
    assert dataset.has_depth
    assert len(dataset) == 48
    assert dataset.names[24:] == tuple(name.replace("a/", "b/", 1) for name in dataset.names[:24])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a list of places"),
        ("places: 3", "expected a list of places"),
        ("[", "not valid YAML in line 1"),
        ("- hall", "place 1 is 'hall', expected name, dataset"),
        ("- {name: hall, dataset: folder, rot: data}", "place 1: unknown key 'rot', known are name"),
        ("- {dataset: folder}", "place 1: name is missing"),
        ("- {name: hall}", "place 1: dataset is missing"),
        ("- {name: 3, dataset: folder}", "place 1: name is 3, expected a text"),
        ("- {name: hall, dataset: folder, root: }", "place 1: root is None, expected a text"),
        ("- {name: the hall, dataset: folder}", "'the hall' is not made of at most 64 letters"),
        ("- {name: hall, dataset: kitti}", "place 1: unknown data set kind 'kitti', known are"),
        ("- {name: hall, dataset: joined, root: house.yaml}", "place 1: 'joined' places cannot be joined again"),
        ("- {name: hall, dataset: folder}", r"place 1 \(hall\): folder: this data set needs its root"),
        ("- {name: hall, dataset: folder, root: nowhere}", r"place 1 \(hall\): .*nowhere: no such directory"),
        ("- {name: hall, dataset: synthetic_room, root: data}", r"place 1 \(hall\): synthetic_room"),
        (2 * "- {name: hall, dataset: folder, root: data/hall}\n", "two places are called 'hall'"),
    ],
)
def test_lists_that_cannot_be(house: Path, text: str, message: str) -> None:
    path = listed(house.parent, text)
    with pytest.raises(DatasetError, match=message) as caught:
        opened(path, "test")
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_arguments_that_cannot_be(house: Path) -> None:
    for arguments, message in (
        ((None, "all"), "give the file that lists the places"),
        ((house, "all", "poses.txt"), "each place has its own poses"),
        ((house, "./mine.txt"), "a split of joined places is a name"),
        ((house, "night"), r"place 1 \(hall\): .*no split 'night'"),
        ((house.parent, "all"), "Is a directory"),
        ((house.parent / "none.yaml", "all"), "none.yaml: No such file"),
    ):
        with pytest.raises(DatasetError, match=message):
            open_dataset("joined", *arguments)
