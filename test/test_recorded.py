"""Live runs that were written down, evaluated afterwards."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.map_files import make_map

from vloc_ros.bags.ground_truth import GroundTruth
from vloc_ros.bags.options import GroundTruthOptions
from vloc_ros.bags.tf import Chain, Link
from vloc_ros.cli import main
from vloc_ros.errors import DatasetError
from vloc_ros.evaluation.alignment import against
from vloc_ros.evaluation.evaluate import Evaluation
from vloc_ros.evaluation.evaluate_bag import in_place
from vloc_ros.evaluation.recorded import (
    CAMERA_POSE_FILE,
    COVARIANCE_FILE,
    FILTERED_COVARIANCE_FILE,
    FILTERED_FILE,
    POSE_FILE,
    STATUS_FILE,
    evaluate_recording,
    read_recording,
)
from vloc_ros.evaluation.records import Estimated, Rejected
from vloc_ros.evaluation.track_summary import track_rows
from vloc_ros.geometry.interpolation import trajectory_of
from vloc_ros.geometry.stamps import format_stamp
from vloc_ros.geometry.trajectory import HEADER, StampedPose, to_tum_line, write_tum
from vloc_ros.geometry.transforms import Matrix, from_quaternion, invert, moved_covariance, pose_vector
from vloc_ros.maps import read_map
from vloc_ros.maps.placement import place_map, placed
from vloc_ros.shipped import shipped
from vloc_ros.tracking.state import State

BASE_FROM_CAMERA = from_quaternion((0.5, -0.5, 0.5, -0.5), (0.2, 0.0, 0.4))
COVARIANCE = np.diag([1e-4, 2e-4, 3e-4, 1e-5, 2e-5, 3e-5])
GRID_FROM_PLACE = from_quaternion([0.1, -0.2, 0.5, 0.8], [12.0, -3.0, 0.4])
ALIGNED = placed(make_map().manifest, None, "grid", GRID_FROM_PLACE, {})
NO_VIEWS = np.empty((0, 4, 4))
STAMPS = (1_000_000_000_000_000_001, 1_000_000_000_100_000_000, 1_000_000_000_200_000_000, 1_000_000_000_300_000_000)


def camera_at(stamp_ns: int) -> Matrix:
    return from_quaternion((0.1, 0.2, 0.3, 0.9), ((stamp_ns - STAMPS[0]) * 1e-9, 2.0, 1.0))


def truth(stamps_ns: np.ndarray, offset_s: float | None = None) -> tuple[Matrix, np.ndarray]:
    """A centimetre beside the estimates; unknown for the last image."""
    poses = np.array([camera_at(int(stamp)) for stamp in stamps_ns]).reshape(-1, 4, 4)
    poses[:, 0, 3] += 0.01
    return poses, stamps_ns != STAMPS[3]


def status(stamp_ns: int, rejection: str = "", **changes: str) -> str:
    fix = {"inliers": "12", "inlier_ratio": "0.75", "reprojection_rmse_px": "0.5", "confidence": "0.9"}
    values = {name: "" if rejection else value for name, value in fix.items()}
    common = {
        "stamp": format_stamp(stamp_ns),
        "rejection": rejection,
        "localize_ms": "31.5",
        "state": "localized",
    }
    return json.dumps({**values, **common, **changes})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two fixes, the second of them told again when no image had come for long, and a rejection; before all that, a
    status of no image."""
    files: dict[str, list[str]] = {POSE_FILE: [HEADER], COVARIANCE_FILE: [], CAMERA_POSE_FILE: [], STATUS_FILE: []}
    files[STATUS_FILE] = [status(0), *map(status, STAMPS[:2]), status(STAMPS[1], state="lost")]
    files[STATUS_FILE].append(status(STAMPS[2], "too_few_inliers: 3 of 8, it needs 12", state="lost"))
    for stamp_ns in STAMPS[:2]:
        camera = camera_at(stamp_ns)
        line = to_tum_line(StampedPose(stamp_ns, camera @ invert(BASE_FROM_CAMERA)))
        files[POSE_FILE].append(line)
        files[COVARIANCE_FILE].append(" ".join([line.split()[0], *map(repr, COVARIANCE.ravel().tolist())]))
        files[CAMERA_POSE_FILE].append(to_tum_line(StampedPose(stamp_ns, camera)))
    for name, lines in files.items():
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
    return tmp_path


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


@pytest.mark.parametrize("frame", ["", "grid", ALIGNED.places[0].frame_id])
def test_truth_that_is_not_of_the_place_itself_is_brought_into_it(frame: str) -> None:
    trajectory = trajectory_of([0, 1], [pose_vector(camera_at(STAMPS[0]))] * 2)
    assert trajectory is not None
    link = Link(frame, "", trajectory, is_static=False)
    found = in_place(GroundTruth("topic", frame, Chain(((link, False),)), GroundTruthOptions()), ALIGNED, None)
    poses, known = found.at(np.array([0]))
    assert known.all()
    expected = camera_at(STAMPS[0]) if frame not in ("", "grid") else invert(GRID_FROM_PLACE) @ camera_at(STAMPS[0])
    np.testing.assert_allclose(poses[0], expected, atol=1e-9)


def test_runs_of_an_aligned_map_are_measured_against_its_own_views(run: Path, tmp_path: Path) -> None:
    """What the node published lies in the frame of the alignment, the map's views lie in that of the place."""
    directory, true = tmp_path / "room", truth(np.array(STAMPS[:3]))[0]
    shutil.copytree(shipped("maps/demo_room"), directory)
    view = read_map(directory).landmark_map.mapping_views[0]
    place_map(directory, None, "grid", true[0] @ invert(view), {})
    write_tum(tmp_path / "truth.txt", [StampedPose(*each) for each in zip(STAMPS, true, strict=False)])
    command = ["evaluate", "--map", str(directory), "--recorded", str(run), "--truth", str(tmp_path / "truth.txt")]
    assert main([*command, "--json", str(tmp_path / "run.json"), "--threads", "1"]) == 0
    first = Evaluation.read_json(tmp_path / "run.json").records[0]
    assert first.nearest_view is not None
    assert first.nearest_view.view_distance < 1e-4
    assert first.error is not None
    assert first.error.translation_m == pytest.approx(0.01, abs=1e-6)


def test_fixes_and_rejections_become_records(run: Path) -> None:
    first, second, third = evaluate_recording(read_recording(run), truth, NO_VIEWS).records
    assert [record.stamp_ns for record in (first, second, third)] == list(STAMPS[:3])
    for record in (first, second):
        assert isinstance(record.outcome, Estimated)
        assert record.error is not None
        assert record.error.translation_m == pytest.approx(0.01, abs=1e-8)
        assert (record.outcome.inliers, record.outcome.confidence) == (12, 0.9)
        assert record.timings_ms == {"total": 31.5}
    assert third.outcome == Rejected("too_few_inliers", "3 of 8, it needs 12")


def test_filtered_poses_become_those_of_the_camera_at_the_images(run: Path) -> None:
    """Between two stamps of the odometry, and where the image gives no fix; nothing after the last of them."""
    assert not any(record.tracked for record in evaluate_recording(read_recording(run), truth, NO_VIEWS).records)
    stamps = (STAMPS[0], STAMPS[1] + 50_000_000, STAMPS[2])
    poses = [to_tum_line(StampedPose(stamp_ns, camera_at(stamp_ns) @ invert(BASE_FROM_CAMERA))) for stamp_ns in stamps]
    covariance = " ".join(map(repr, COVARIANCE.ravel().tolist()))
    (run / FILTERED_FILE).write_text("".join(f"{line}\n" for line in poses))
    (run / FILTERED_COVARIANCE_FILE).write_text("".join(f"{line.split()[0]} {covariance}\n" for line in poses))
    append(run / STATUS_FILE, f"{status(STAMPS[3], 'too_few_inliers: 3 of 8, it needs 12')}\n")
    records = evaluate_recording(read_recording(run), truth_of_all, NO_VIEWS).records
    assert [record.tracked is not None for record in records] == [True, True, True, False]
    for record in records[:3]:
        assert record.tracked is not None
        camera = camera_at(record.stamp_ns)
        np.testing.assert_allclose(record.tracked.map_from_camera, camera, atol=1e-7)
        lever = camera[:3, 3] - (camera @ invert(BASE_FROM_CAMERA))[:3, 3]
        np.testing.assert_allclose(record.tracked.covariance, moved_covariance(COVARIANCE, lever), atol=1e-9)


def test_a_part_of_a_run_has_its_images_alone(run: Path) -> None:
    recording = read_recording(run).part(lambda stamp_ns: stamp_ns == STAMPS[1])
    (record,) = evaluate_recording(recording, truth, NO_VIEWS).records
    assert record.stamp_ns == STAMPS[1]


def test_a_live_run_says_how_images_were_searched_and_what_that_cost(run: Path) -> None:
    """And what each of several cameras gave, where it had an image."""
    poses = [to_tum_line(StampedPose(stamp_ns, camera_at(stamp_ns) @ invert(BASE_FROM_CAMERA))) for stamp_ns in STAMPS]
    covariance = " ".join(map(repr, COVARIANCE.ravel().tolist()))
    (run / FILTERED_FILE).write_text("".join(f"{line}\n" for line in poses))
    (run / FILTERED_COVARIANCE_FILE).write_text("".join(f"{line.split()[0]} {covariance}\n" for line in poses))
    rig = {"front/inliers": "9", "front/problem": "", "left/inliers": "3", "left/problem": ""}
    alone = {**rig, "left/inliers": "", "left/problem": "no camera_info yet"}
    lines = [
        status(STAMPS[0], search="global", cpu_ms="40.0", **rig),
        status(STAMPS[1], search="flow", cpu_ms="4.0", **alone),
        status(STAMPS[2], "jump: of 2 m", search="prior", cpu_ms="25.0", **rig),
    ]
    (run / STATUS_FILE).write_text("".join(f"{line}\n" for line in lines))
    summary = evaluate_recording(read_recording(run), truth, NO_VIEWS).summary()
    track = summary["track"]
    assert track["searched"] == {"global": 1, "flow": 1, "prior": 1, "checked": 0}
    assert track["cpu_ms"] == {"global": 40.0, "flow": 4.0, "prior": 25.0, "checked": None}
    assert track["cpu_share"] == pytest.approx(44 / 200)
    assert track["jumps"] == 1
    assert ("processor time", "22% of a core") in track_rows(track)
    assert summary["cameras"]["front"] == {"frames": 3, "poses": 2, "inliers": 9.0, "without": 0}
    assert summary["cameras"]["left"] == {"frames": 2, "poses": 1, "inliers": 3.0, "without": 0}


def truth_of_all(stamps_ns: np.ndarray, offset_s: float | None = None) -> tuple[Matrix, np.ndarray]:
    return truth(stamps_ns)[0], np.ones(len(stamps_ns), dtype=bool)


def test_states_are_those_right_after_each_image_and_survive_a_file(run: Path, tmp_path: Path) -> None:
    evaluation = evaluate_recording(read_recording(run), truth, NO_VIEWS)
    evaluation.write_json(tmp_path / "run.json")
    for records in (evaluation.records, Evaluation.read_json(tmp_path / "run.json").records):
        assert [record.state for record in records] == [State.LOCALIZED, State.LOCALIZED, State.LOST]


def test_the_cameras_covariance_is_that_of_the_base_moved(run: Path) -> None:
    outcome = evaluate_recording(read_recording(run), truth, NO_VIEWS).records[0].outcome
    assert isinstance(outcome, Estimated)
    back = -(camera_at(STAMPS[0])[:3, 3] - (camera_at(STAMPS[0]) @ invert(BASE_FROM_CAMERA))[:3, 3])
    np.testing.assert_allclose(moved_covariance(outcome.covariance, back), COVARIANCE, atol=1e-9)


def test_what_has_no_truth_or_no_pose_is_counted(run: Path) -> None:
    append(run / STATUS_FILE, status(STAMPS[3]) + "\n" + status(STAMPS[2] + 1) + "\n")
    evaluation = evaluate_recording(read_recording(run), truth, NO_VIEWS)
    assert len(evaluation.records) == 3
    assert evaluation.source == {
        "recorded": str(run),
        "images": 5,
        "skipped_without_truth": 1,
        "skipped_without_pose": 1,
    }


def test_a_killed_recorder_loses_its_last_line_at_most(run: Path) -> None:
    for name in (POSE_FILE, COVARIANCE_FILE, CAMERA_POSE_FILE, STATUS_FILE):
        append(run / name, '{"1000000')
    assert len(evaluate_recording(read_recording(run), truth, NO_VIEWS).records) == 3


def test_bad_lines_and_files_are_named(run: Path) -> None:
    append(run / STATUS_FILE, '{"stamp": "1.0", "inliers": "3"}\n')
    with pytest.raises(DatasetError, match=r"status\.jsonl:6: no rejection, localize_ms"):
        read_recording(run)
    (run / STATUS_FILE).write_text(status(STAMPS[0], state="asleep") + "\n")
    with pytest.raises(DatasetError, match=r"status\.jsonl:1: 'asleep' is not a valid State"):
        read_recording(run)
    append(run / COVARIANCE_FILE, "1.0 2 3\n")
    with pytest.raises(DatasetError, match=r"pose_covariance\.txt:3: "):
        read_recording(run)
    (run / COVARIANCE_FILE).unlink()
    with pytest.raises(DatasetError, match=r"pose_covariance\.txt: cannot be read: No such file"):
        read_recording(run)


def test_a_run_without_truth(run: Path) -> None:
    def nowhere(stamps_ns: np.ndarray, offset_s: float | None = None) -> tuple[Matrix, np.ndarray]:
        return np.tile(np.eye(4), (len(stamps_ns), 1, 1)), np.zeros(len(stamps_ns), dtype=bool)

    with pytest.raises(DatasetError, match="none of 3 images has ground truth"):
        evaluate_recording(read_recording(run), nowhere, NO_VIEWS)


def test_what_is_no_recording_and_an_empty_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no recording that `vloc record` wrote, there is no status\.jsonl"):
        read_recording(tmp_path / "nowhere")
    for name in (POSE_FILE, COVARIANCE_FILE, CAMERA_POSE_FILE, STATUS_FILE):
        (tmp_path / name).write_text("")
    with pytest.raises(DatasetError, match="no image in it, no relocalizer was heard"):
        evaluate_recording(read_recording(tmp_path), truth, NO_VIEWS)


def test_of_several_places_a_pose_in_another_than_the_truth_is_wrong(run: Path) -> None:
    lines = [json.loads(line) for line in (run / STATUS_FILE).read_text().splitlines()]
    places = {status(stamp).split('"stamp": "')[1][:20]: place for stamp, place in zip(STAMPS, "aba", strict=False)}
    lines = [{**line, "scene": places.get(line["stamp"], "")} for line in lines]
    (run / STATUS_FILE).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    evaluation = evaluate_recording(read_recording(run), truth, NO_VIEWS, "a")
    right, wrong, rejected = evaluation.records
    assert [(record.place, record.true_place) for record in (right, wrong, rejected)] == [(s, "a") for s in "aba"]
    assert [record.error and record.error.in_right_place for record in (right, wrong, rejected)] == [True, False, None]
    assert evaluation.summary()["scene_accuracy"] == pytest.approx(2 / 3)
    moved = against(evaluation.records, np.tile(np.eye(4), (3, 1, 1)), NO_VIEWS)
    assert moved[1].error == wrong.error  # no other truth in its own frame makes it right
