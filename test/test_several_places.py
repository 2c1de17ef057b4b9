"""A recorded drive through several places: each image is judged in the place where the robot was."""

from pathlib import Path

import numpy as np
import pytest

from vloc_ros.bags.options import BagOptions
from vloc_ros.bags.reader import open_bag
from vloc_ros.cli import main
from vloc_ros.datasets.bag_export import WriteOptions, stamp_of, write_dataset
from vloc_ros.datasets.bag_frames import bag_frames
from vloc_ros.datasets.floors import FIRST, GROUND, MAP_FROM_FLOOR, FloorsDrive, Step, open_floors
from vloc_ros.datasets.place_times import PlaceTimes, place_changes, read_place_times, write_place_times
from vloc_ros.errors import DatasetError
from vloc_ros.evaluation.evaluate import Evaluation
from vloc_ros.evaluation.several_places import evaluate_places
from vloc_ros.geometry.transforms import invert
from vloc_ros.shipped import shipped

MAP = "maps/demo_floors"
FLOORS_OF = (GROUND, GROUND, FIRST, FIRST, GROUND)
OPTIONS = WriteOptions(jpeg_quality=90)


@pytest.fixture(scope="module")
def drive() -> FloorsDrive:
    """A few images on each floor."""
    floors = open_floors()
    steps = tuple(Step(floor, 4 * number) for number, floor in enumerate(FLOORS_OF))
    return FloorsDrive(floors.rooms, floors.base_from_camera, steps)


@pytest.fixture(scope="module")
def bag(drive: FloorsDrive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lift") / "bag"
    write_dataset(path, drive, drive.base_from_camera, OPTIONS)
    stamped = [(stamp_of(step, OPTIONS), drive.place(step)) for step in range(len(drive))]
    write_place_times(path.with_name("bag.places"), place_changes(stamped))
    return path


def evaluated(bag: Path, places: Path) -> Evaluation:
    told = bag.with_name("told.json")
    command = ["evaluate", "--map", str(shipped(MAP)), "--bag", str(bag), "--place-times", str(places)]
    assert main([*command, "--json", str(told), "--threads", "1"]) == 0
    return Evaluation.read_json(told)


def test_each_image_is_judged_on_its_floor(bag: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluation = evaluated(bag, bag.with_name("bag.places"))
    assert [record.true_place for record in evaluation.records] == list(FLOORS_OF)
    assert evaluation.summary()["scene_accuracy"] == 1.0
    assert evaluation.summary()["recall_25cm_2deg"] >= 0.8
    assert evaluation.source["places"] == [GROUND, FIRST, GROUND]
    said = capsys.readouterr().out
    assert "places                   ground, first, ground" in said
    assert "track" not in said


def test_who_says_the_wrong_floor_gets_wrong_poses(bag: Path, tmp_path: Path) -> None:
    swapped = {GROUND: FIRST, FIRST: GROUND}
    times = read_place_times(bag.with_name("bag.places"))
    write_place_times(tmp_path / "swapped", PlaceTimes(times.stamps_ns, tuple(swapped[name] for name in times.names)))
    summary = evaluated(bag, tmp_path / "swapped").summary()
    assert (summary["scene_accuracy"], summary["recall_25cm_2deg"]) == (0.0, 0.0)


def test_a_place_without_images_is_no_fault_of_the_bag(bag: Path) -> None:
    with open_bag(bag) as read:
        assert not list(bag_frames(read, BagOptions(place=FIRST, only_at=lambda _: False), "map"))
    times = PlaceTimes((0, 1), (GROUND, FIRST))
    with pytest.raises(DatasetError, match="no image with ground truth in ground, first"):
        evaluate_places(times, lambda place, is_there: Evaluation(()))


def test_only_the_images_of_a_place_are_read(bag: Path, drive: FloorsDrive) -> None:
    times = read_place_times(bag.with_name("bag.places"))
    with open_bag(bag) as read:
        frames = bag_frames(read, BagOptions(place=FIRST, only_at=lambda at: times.at(at) == FIRST), "map")
        found = list(frames)
    assert [frame.image.stamp_ns for frame in found] == [stamp_of(step, OPTIONS) for step in (2, 3)]
    np.testing.assert_allclose(found[0].map_from_camera, drive.map_from_camera(2), atol=1e-6)
    assert found[0].map_from_camera[2, 3] > invert(MAP_FROM_FLOOR[FIRST])[2, 3], "in the frame of the building"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it has no line of 'stamp place'"),
        ("1.0 ground\n1.0 first\n", "the stamp 1.000000000 is not later than the one before"),
        ("soon ground\n", "line 1: expected 'stamp place', the stamp in seconds"),
        ("1.0\n", "line 1: expected 'stamp place'"),
    ],
)
def test_files_that_say_no_places(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "places").write_text(text)
    with pytest.raises(DatasetError, match=words):
        read_place_times(tmp_path / "places")


def test_places_by_time() -> None:
    times = place_changes([(10, "a"), (20, "a"), (30, "b"), (40, "a")])
    assert times == PlaceTimes((10, 30, 40), ("a", "b", "a"))
    assert [times.at(stamp) for stamp in (0, 10, 29, 30, 39, 40, 99)] == ["a", "a", "a", "b", "b", "a", "a"]
    assert times.places == ("a", "b")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--map", MAP, "--place", "ground"], "--place-times: goes without --place"),
        (["--map", MAP, "--priors"], "--place-times: goes without --place"),
        (["--map", "maps/demo_room"], "--place-times: the map is of one place"),
    ],
)
def test_what_does_not_go_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], line: str
) -> None:
    (tmp_path / "places").write_text("1.0 ground\n")
    told = [str(shipped(word)) if word.startswith("maps/") else word for word in words]
    assert main(["evaluate", *told, "--bag", "none", "--place-times", str(tmp_path / "places")]) == 1
    assert line in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--dataset", "synthetic_room"], ["--bags", "none"], ["--dataset", "synthetic_room", "--align"]]
)
def test_options_that_would_be_of_no_use_are_refused(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    given = words if "--align" in words else [*words, "--place-times", "none"]
    assert main(["evaluate", "--map", "none", *given]) == 1
    option = "--align" if "--align" in words else "--place-times none"
    assert f"error: {option}: " in capsys.readouterr().err
