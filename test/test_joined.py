"""Several scenes as one data set: which frame is of which, through every wrapper, and lists that cannot be."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from vloc_ros.datasets import Dataset, open_dataset
from vloc_ros.datasets.joined import Joined, scene_parts
from vloc_ros.datasets.subset import Subset, split_held_out
from vloc_ros.errors import DatasetError
from vloc_ros.evaluation.corruptions import Corrupted, mirrored

SIZES = {"hall": (64, 48), "attic": (32, 24)}
COUNTS = {"hall": 12, "attic": 8}


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


def test_frames_of_all_scenes_one_after_the_other(house: Path) -> None:
    dataset = opened(house)
    assert len(dataset) == len(dataset.names) == len(set(dataset.names)) == 20
    for index in range(20):
        scene, own = ("hall", index) if index < 12 else ("attic", index - 12)
        frame = dataset.frame(index)
        assert dataset.names[index] == frame.name == f"{scene}/{own:02d}"
        assert dataset.scene(index) == frame.scene == scene
        assert (frame.image.rgb == own + 1).all()
        assert frame.map_from_camera[0, 3] == dataset.map_from_camera(index)[0, 3] == own
        camera = dataset.camera(index)
        assert (camera.width, camera.height) == SIZES[scene]
    with pytest.raises(IndexError):
        dataset.frame(20)


def test_the_split_is_that_of_every_scene_and_poses_are_found_beside_the_file(house: Path) -> None:
    assert opened(house, "test").names == ("hall/03", "hall/05", "attic/03", "attic/05")
    better = "[{name: hall, dataset: folder, root: data/hall, poses: better.txt}]"
    dataset = opened(listed(house.parent, better), "test")
    assert [dataset.map_from_camera(index)[0, 3] for index in range(2)] == [30, 50]


def test_scenes_pass_through_what_wraps_them(house: Path) -> None:
    dataset = opened(house)
    kept, held_out = split_held_out(dataset, share=0.5)
    for part in (kept, held_out, Corrupted(held_out, mirrored)):
        assert {part.scene(index) for index in range(len(part))} == {"hall", "attic"}
        for index in range(len(part)):
            assert part.frame(index).scene == part.scene(index) == part.names[index].split("/")[0]


def test_parts_are_the_scenes_in_order_of_their_first_frames(house: Path) -> None:
    dataset = opened(house)
    backwards = Subset(Subset(dataset, [19, 3, 12, 0]), [0, 1, 2])
    parts = dict(scene_parts(backwards))
    assert list(parts) == ["attic", "hall"]
    assert (parts["attic"].names, parts["hall"].names) == (("attic/07", "attic/00"), ("hall/03",))
    assert parts["attic"].frame(0).scene == parts["attic"].scene(1) == "attic"
    assert {name for name, _ in scene_parts(Corrupted(backwards, mirrored))} == {"attic", "hall"}
    ((name, whole),) = scene_parts(open_dataset("folder", house.parent / "data" / "hall", "all"))
    assert (name, len(whole), whole.frame(0).scene) == ("", 12, "")


def test_each_part_knows_whether_it_has_depth(house: Path) -> None:
    dataset = opened(house)
    parts = dict(scene_parts(dataset))
    assert (dataset.has_depth, parts["hall"].has_depth, parts["attic"].has_depth) == (False, True, False)
    depth = parts["hall"].frame(2, depth=True).depth
    assert depth is not None
    assert depth[0, 0] == pytest.approx(0.003)
    with pytest.raises(DatasetError):
        parts["attic"].frame(2, depth=True)


def test_scenes_without_files(tmp_path: Path) -> None:
    text = "[{name: a, dataset: synthetic_room}, {name: b, dataset: synthetic_room}]"
    dataset = opened(listed(tmp_path, text), "small")
    assert isinstance(dataset, Joined)
    assert dataset.has_depth
    assert len(dataset) == 48
    assert dataset.names[24:] == tuple(name.replace("a/", "b/", 1) for name in dataset.names[:24])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a list of scenes"),
        ("scenes: 3", "expected a list of scenes"),
        ("[", "not valid YAML in line 1"),
        ("- hall", "scene 1 is 'hall', expected name, dataset"),
        ("- {name: hall, dataset: folder, rot: data}", "scene 1: unknown key 'rot', known are name"),
        ("- {dataset: folder}", "scene 1: name is missing"),
        ("- {name: hall}", "scene 1: dataset is missing"),
        ("- {name: 3, dataset: folder}", "scene 1: name is 3, expected a text"),
        ("- {name: hall, dataset: folder, root: }", "scene 1: root is None, expected a text"),
        ("- {name: the hall, dataset: folder}", "'the hall' is not made of at most 64 letters"),
        ("- {name: hall, dataset: kitti}", "scene 1: unknown data set kind 'kitti', known are"),
        ("- {name: hall, dataset: joined, root: house.yaml}", "scene 1: 'joined' scenes cannot be joined again"),
        ("- {name: hall, dataset: folder}", r"scene 1 \(hall\): folder: this data set needs its root"),
        ("- {name: hall, dataset: folder, root: nowhere}", r"scene 1 \(hall\): .*nowhere: no such directory"),
        ("- {name: hall, dataset: synthetic_room, root: data}", r"scene 1 \(hall\): synthetic_room"),
        (2 * "- {name: hall, dataset: folder, root: data/hall}\n", "two scenes are called 'hall'"),
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
        ((None, "all"), "give the file that lists the scenes"),
        ((house, "all", "poses.txt"), "each scene has its own poses"),
        ((house, "./mine.txt"), "a split of joined scenes is a name"),
        ((house, "night"), r"scene 1 \(hall\): .*no split 'night'"),
        ((house.parent, "all"), "Is a directory"),
        ((house.parent / "none.yaml", "all"), "none.yaml: No such file"),
    ):
        with pytest.raises(DatasetError, match=message):
            open_dataset("joined", *arguments)  # type: ignore[arg-type]
