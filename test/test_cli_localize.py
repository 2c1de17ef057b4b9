"""`vloc localize` and `vloc evaluate` on a map whose network always sees the same place."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.constant_place import CAMERA_OPTION, HEIGHT, POSITION, QUATERNION, WIDTH, refusal

from vloc_ros.cli import main
from vloc_ros.cli.evaluate_outputs import summary_table
from vloc_ros.maps import read_map, write_map


def test_a_camera_unlike_the_maps_is_warned_of_once(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = read_map(place / "map")
    manifest = replace(stored.landmark_map.manifest, training={"field_of_view_deg": [30.0, 35.5]})
    aware = replace(stored.landmark_map, manifest=manifest)
    write_map(tmp_path / "map", aware, stored.networks, np.zeros((60, 80, 3), np.uint8))
    for command in (["localize", place / "images" / "a.png"], ["evaluate", "--dataset", "folder", "--root", place]):
        for directory, warnings in ((tmp_path / "map", 1), (place / "map", 0)):
            assert main([str(word) for word in (*command, "--map", directory)]) == 0
            said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
            assert len(said) == warnings
            assert all("63.2 deg" in line and "30.0 to 35.5 deg" in line for line in said)


def test_a_lens_of_another_kind_than_the_maps_is_warned_of_once(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = read_map(place / "map")
    manifest = replace(stored.landmark_map.manifest, training={"lens_models": ["pinhole"]})
    aware = replace(stored.landmark_map, manifest=manifest)
    write_map(tmp_path / "map", aware, stored.networks, np.zeros((60, 80, 3), np.uint8))
    for lens, warnings in ((",fisheye", 1), ("", 0)):
        command = ["localize", place / "images" / "a.png", "--map", tmp_path / "map", "--camera", CAMERA_OPTION + lens]
        assert main([str(word) for word in command]) in (0, 3)
        said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
        assert len(said) == warnings
        assert all("a fisheye lens" in line and "made with a pinhole lens" in line for line in said)


def test_a_map_in_no_unit_is_warned_of(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = read_map(place / "map")
    manifest = replace(stored.landmark_map.manifest, unknown_scale=True)
    unscaled = replace(stored.landmark_map, manifest=manifest)
    write_map(tmp_path / "map", unscaled, stored.networks, np.zeros((60, 80, 3), np.uint8))
    for command in (["localize", place / "images" / "a.png"], ["evaluate", "--dataset", "folder", "--root", place]):
        assert main([str(word) for word in (*command, "--map", tmp_path / "map")]) == 0
        said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
        assert len(said) == 1
        assert "its scale is unknown" in said[0]
    assert main(["inspect", str(tmp_path / "map")]) == 0
    assert "scale" in capsys.readouterr().out
    align = refusal(
        capsys, "align", tmp_path / "map", "--dataset", "folder", "--root", place, "--to", place / "poses.txt"
    )
    assert "its scale is unknown" in align


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("fisheye,fisheye", "'fisheye' stands twice"),
        ("Fisheye", "'Fisheye' must be written 'fisheye'"),
        ("50,50,31.5,23.5,cropped,CROPPED", "'CROPPED' must be written 'cropped'"),
        ("50,50,fisheye,31.5,23.5", "'fisheye' has to stand behind the numbers"),
    ],
)
def test_words_behind_a_camera_that_are_wrong(
    words: str, complaint: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal(capsys, "localize", place / "images" / "a.png", "--map", place / "map", "--camera", words)
    assert line.endswith(f"--camera {words}: camera: {complaint}")


def test_localize_finds_the_pose(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["localize", str(place / "images" / "a.png"), "--map", str(place / "map"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["status"] == "localized"
    assert result["frame_id"] == "office"
    np.testing.assert_allclose(result["position_m"], POSITION, atol=2e-3)
    assert abs(np.dot(result["quat_xyzw"], QUATERNION)) > 1 - 1e-5
    assert np.linalg.eigvalsh(result["covariance"]).min() > 0
    assert result["inliers"] > 40
    assert result["latency_ms"]["total"] > 0


def test_localize_says_it_in_words(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, picture = place / "images" / "a.png", place / "drawn" / "overlay.png"
    arguments = ["localize", str(image), "--map", str(place / "map"), "--camera", CAMERA_OPTION]
    assert main([*arguments, "--overlay", str(picture)]) == 0
    text = capsys.readouterr().out
    for word in ("position", "office", "sigma", "quaternion", "inliers", "latency", "network"):
        assert word in text
    drawn = cv2.imread(str(picture))
    assert drawn is not None
    assert drawn.shape[1] >= 960
    assert drawn.shape[0] * WIDTH == drawn.shape[1] * HEIGHT
    assert drawn.std() > 5


def test_localize_rejects_with_a_reason(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / "black.png"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    arguments = ["localize", str(tmp_path / "black.png"), "--map", str(place / "map"), "--camera", CAMERA_OPTION]
    assert main([*arguments, "--overlay", str(tmp_path / "overlay.png")]) == 3
    assert "too_few_landmarks" in capsys.readouterr().out
    assert (tmp_path / "overlay.png").stat().st_size > 0
    assert main([*arguments, "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["status"] == "rejected"


def test_localize_refuses_bad_input(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def says(*arguments: object, image: Path = place / "images" / "a.png", map_: Path = place / "map") -> str:
        return refusal(capsys, "localize", image, "--map", map_, *arguments)

    (tmp_path / "empty.png").touch()
    lonely, square = tmp_path / "lonely.png", tmp_path / "square.png"
    lonely.write_bytes((place / "images" / "a.png").read_bytes())
    cv2.imwrite(str(square), np.full((300, 300, 3), 90, np.uint8))
    assert "there is no such map" in says(map_=tmp_path / "nowhere")
    assert "nowhere.png" in says("--camera", CAMERA_OPTION, image=tmp_path / "nowhere.png")
    assert "not well inside" in says("--camera", "260,262,20,118")
    assert "20 distortion coefficients" in says(
        "--camera", ",".join([*CAMERA_OPTION.split(","), *["0.12345678901234567"] * 20])
    )
    assert "empty" in says("--camera", CAMERA_OPTION, image=tmp_path / "empty.png")
    assert "--camera" in says(image=lonely)
    assert "neither a file nor" in says("--camera", "260,262")
    assert "neither a file nor" in says("--camera", "nowhere.txt")
    assert "--camera 260,262,161,nan: " in says("--camera", "260,262,161,nan")
    assert "positive" in says("--camera", "0,0,160,120")
    assert "not all finite" in says("--camera", "nan,262,160,120")
    assert "is it normalised to 0..1?" in says("--camera", "260,262,0.5,0.5")
    assert "another resolution, 640x480" in says("--camera", "520,524,319.5,239.5")
    assert "aspect ratio" in says("--camera", "260,260,150,150", image=square)
    assert "300x300" in says("--camera", place / "camera.txt", image=square)


@pytest.mark.parametrize("name", ["overlay.unknown", "file/overlay.png"])
def test_an_overlay_that_cannot_be_written(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "file").touch()
    picture = str(tmp_path / name)
    assert main(["localize", str(place / "images" / "a.png"), "--map", str(place / "map"), "--overlay", picture]) == 1
    assert picture in capsys.readouterr().err


def test_evaluate_prints_and_writes(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["evaluate", "--map", place / "map", "--dataset", "folder", "--root", place]
    files = ["--json", tmp_path / "out.json", "--trajectory", tmp_path / "tum"]
    assert main([str(argument) for argument in (*arguments, *files)]) == 0
    text = capsys.readouterr().out
    assert "within 2 cm and 1 deg    100.0%" in text
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["frames"] == 3
    assert report["recall_2cm_1deg"] == 1.0
    assert report["median_translation_m"] < 2e-3
    assert {"p50", "p95", "p99"} <= set(report["latency_ms"]["total"])
    assert {path.name for path in (tmp_path / "tum").iterdir()} == {"estimate.txt", "truth.txt"}


def test_evaluate_refuses_bad_input(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def says(*arguments: object) -> str:
        return refusal(capsys, "evaluate", "--map", place / "map", *arguments)

    assert "no split 'nowhere'" in says("--dataset", "folder", "--root", place, "--split", "nowhere")
    assert "invalid choice" in says("--dataset", "unheard_of")
    assert "occlusion" in says("--dataset", "folder", "--root", place, "--occlude", "1.5")


def test_a_summary_without_any_pose_still_makes_a_table() -> None:
    summary = {
        "frames": 2,
        "median_translation_m": None,
        "median_rotation_deg": None,
        **dict.fromkeys(("recall_2cm_1deg", "recall_5cm_5deg", "recall_10cm_5deg", "recall_25cm_2deg"), 0.0),
        "rejected": 2,
        "wrong_accepted": 0,
        "nees": None,
        "coverage_95": None,
        "latency_ms": {},
        "rejection_reasons": {"no_pose": 2},
    }
    table = summary_table(summary)
    assert "2 (2 no_pose)" in table
    rows = {line[:25].strip(): line[25:] for line in table.splitlines()}
    assert rows["median error"] == "none"
    assert rows["NEES / 6, 95 % coverage"] == "none, none"
