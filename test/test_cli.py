"""The command line: what each command prints, writes and returns, on a map whose network always sees the same place."""

import builtins
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from support import ROOT

from vloc_ros import __version__
from vloc_ros.cli import main
from vloc_ros.cli.evaluate_outputs import summary_table
from vloc_ros.core.manifest import Manifest
from vloc_ros.core.model_spec import GridSpec
from vloc_ros.core.types import LandmarkMap
from vloc_ros.errors import ConfigError
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import apply, from_quaternion
from vloc_ros.maps import read_map, write_map
from vloc_ros.methods.vsnet.method import VSNetMethod
from vloc_ros.shipped import shipped
from vloc_ros.training.hscnet.options import HSCNetOptions
from vloc_ros.training.map_options import MapOptions
from vloc_ros.training.pram.options import PRAMOptions
from vloc_ros.training.stages.stage_records import content_of
from vloc_ros.training.vsnet.options import VSNetOptions

WIDTH, HEIGHT, STRIDE, BLOCK = 320, 240, 8, 5  # a landmark per block of 5 x 5 cells
ROWS, COLUMNS = HEIGHT // STRIDE, WIDTH // STRIDE
CAMERA = Camera(WIDTH, HEIGHT, 260.0, 262.0, 161.0, 118.0)
CAMERA_OPTION = "260,262,161,118"
POSITION, QUATERNION = (1.5, -0.5, 1.2), (0.5, -0.5, 0.5, -0.5)
MAP_FROM_CAMERA = from_quaternion(QUATERNION, POSITION)


def landmark_pixels() -> np.ndarray:
    """One pixel at a random place in each block, (N, 2)."""
    corners = np.stack(np.meshgrid(np.arange(COLUMNS // BLOCK), np.arange(ROWS // BLOCK)), axis=-1).reshape(-1, 2)
    return (corners + np.random.default_rng(1).uniform(0.2, 0.8, corners.shape)) * BLOCK * STRIDE


def make_network() -> bytes:
    """Labels and votes that point to `landmark_pixels`, or no label at all where the image is black."""
    cells = np.stack(np.meshgrid(np.arange(COLUMNS), np.arange(ROWS)), axis=-1)
    labels = (cells[..., 1] // BLOCK * (COLUMNS // BLOCK) + cells[..., 0] // BLOCK + 1).astype(np.int32)
    offsets = landmark_pixels()[labels - 1] - ((cells + 0.5) * STRIDE - 0.5)
    distances = np.linalg.norm(offsets, axis=-1).astype(np.float32)
    votes = (offsets / distances[..., np.newaxis]).astype(np.float32)
    ones = np.ones_like(distances)
    constants = {"confidences": ones, "votes": votes, "distances": distances, "scales": ones}
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["real"], ["brightest"], keepdims=0),
        helper.make_node("Cast", ["brightest"], ["is_bright"], to=TensorProto.BOOL),
        helper.make_node("Cast", ["is_bright"], ["one_or_zero"], to=TensorProto.INT32),
        helper.make_node("Mul", ["constant_labels", "one_or_zero"], ["labels"]),
        *(helper.make_node("Identity", [f"constant_{name}"], [name]) for name in constants),
    ]
    kinds = {"labels": TensorProto.INT32, **dict.fromkeys(constants, TensorProto.FLOAT)}
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, HEIGHT, WIDTH, 3])],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in kinds.items()],
        [
            numpy_helper.from_array(array[np.newaxis], f"constant_{name}")
            for name, array in {"labels": labels, **constants}.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


SPEC = GridSpec(WIDTH, HEIGHT, STRIDE, VSNetMethod.outputs)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map and a folder data set of three images, all taken from MAP_FROM_CAMERA."""
    root = tmp_path_factory.mktemp("place")
    pixels = landmark_pixels()
    depth = np.random.default_rng(2).uniform(1.5, 3.0, (len(pixels), 1))
    rays = np.c_[(pixels - (CAMERA.cx, CAMERA.cy)) / (CAMERA.fx, CAMERA.fy), np.ones(len(pixels))]
    landmark_map = LandmarkMap(
        ids=np.arange(len(pixels), dtype=np.int32),
        positions=apply(MAP_FROM_CAMERA, rays * depth),
        normals=np.tile((0.0, 0.0, 1.0), (len(pixels), 1)),
        extents=np.full(len(pixels), 0.1),
        observations=np.full(len(pixels), 7, dtype=np.int32),
        manifest=Manifest("vsnet", "office", "2026-01-02T03:04:05Z", SPEC.image_size, SPEC.models),
    )
    write_map(root / "map", landmark_map, {"network": {"float32": make_network()}}, np.zeros((60, 80, 3), np.uint8))
    names = ("a", "b", "c")
    (root / "images").mkdir()
    for name in names:
        cv2.imwrite(str(root / "images" / f"{name}.png"), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    pose = " ".join(map(str, (*POSITION, *QUATERNION)))
    (root / "camera.txt").write_text(f"{WIDTH} {HEIGHT} {CAMERA.fx} {CAMERA.fy} {CAMERA.cx} {CAMERA.cy}\n")
    (root / "poses.txt").write_text("".join(f"{name} {pose}\n" for name in names))
    (root / "split_test.txt").write_text("\n".join(names))
    return root


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that a wrong command line gives."""
    assert main([str(argument) for argument in arguments]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    *notes, complaint = err.splitlines()
    assert all(note.startswith("network: ") for note in notes)
    assert complaint.startswith("vloc: error: ")
    return complaint


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


def test_inspect(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(place / "map")]) == 0
    text = capsys.readouterr().out
    for word in ("vsnet", "office", "48", "320 x 240", "min_inliers", "verified"):
        assert word in text
    rows = [line for line in text.splitlines() if line.startswith("  ") and "(nothing" not in line]
    assert len({len(row) - len(row[2:].split("  ", 1)[1].lstrip()) for row in rows}) == 1, "values in one column"
    assert "e-" not in text.split("from")[1].split("\n")[0]  # a box in metres, not to the last bit
    assert "no such map" in refusal(capsys, "inspect", tmp_path / "nowhere")
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in (place / "map").iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "network.onnx").write_bytes(b"x" + (copy / "network.onnx").read_bytes()[1:])
    assert "network.onnx: damaged" in refusal(capsys, "inspect", copy)


def without_module(monkeypatch: pytest.MonkeyPatch, imported: str, missing: str) -> None:
    """Importing the module `imported` fails from now on, because `missing` is not installed."""
    real_import = builtins.__import__

    def without(name: str, *arguments: object, **keywords: object) -> object:
        if name == imported:
            raise ModuleNotFoundError(f"No module named '{missing}'", name=missing)
        return real_import(name, *arguments, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)


@pytest.mark.parametrize("missing", ["torch", "scipy"])
def test_map_without_pytorch_says_what_to_install(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_module(monkeypatch, "vloc_ros.training.stages.build_map", missing)
    line = refusal(capsys, "map", "--dataset", "synthetic_room", "--out", tmp_path / "map")
    assert missing in line
    assert "requirements/offline.txt" in line


def test_a_map_of_another_run_is_replaced_only_when_that_is_asked_for(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_module(monkeypatch, "vloc_ros.training.stages.build_map", "torch")  # where it would begin
    work = tmp_path / "work"
    arguments = ("map", "--dataset", "synthetic_room", "--out", place / "map", "--workdir", work)
    there = f"{place / 'map'}: there is a map already; --overwrite replaces it"
    assert there in refusal(capsys, *arguments)
    assert there in refusal(capsys, *arguments, "--until", "calibration")
    assert "torch" in refusal(capsys, *arguments, "--overwrite")
    assert "torch" in refusal(capsys, *arguments, "--until", "geometry")  # writes no map
    assert "torch" in refusal(capsys, *arguments[:4], tmp_path / "new")
    work.mkdir()
    (work / "stages.json").write_text("{}")  # of a run that made another map
    assert there in refusal(capsys, *arguments)
    digest = content_of(place / "map" / "map.yaml")
    (work / "calibration.json").write_text(json.dumps({"map": digest}))  # of the run that made it: the command goes on
    assert "torch" in refusal(capsys, *arguments)
    assert there in refusal(capsys, *arguments, "--fresh")


@pytest.mark.parametrize("inside", [".", "work"])
def test_a_work_directory_inside_the_map_is_refused(
    place: Path, inside: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = place / "new"
    arguments = ("map", "--dataset", "synthetic_room", "--out", out, "--workdir", out / inside)
    assert f"is inside --out {out}" in refusal(capsys, *arguments)
    assert not out.exists()


def test_demo_without_ros_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_module(monkeypatch, "vloc_ros.demo", "rclpy")
    line = refusal(capsys, "demo")
    assert "rclpy" in line
    assert "make demo" in line


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--rate", "0"), "--rate"),
        (("--rate", "nan"), "--rate"),
        (("--dataset", "folder"), "--map"),
        (("--bag", "a.mcap"), "--map"),
        (("--bag", "a.mcap", "--dataset", "folder"), "not allowed with"),
        (("--bag", "a.mcap", "--map", "m", "--kidnap"), "--kidnap"),
    ],
)
def test_demo_refuses_what_makes_no_sense(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], word: str
) -> None:
    assert word in refusal(capsys, "demo", *arguments)


@pytest.mark.parametrize("arguments", [(), ("fly",), ("inspect",), ("localize", "a.png"), ("inspect", "a", "--fast")])
def test_a_wrong_command_line_gets_one_line(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    assert "--help" in refusal(capsys, *arguments)


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vloc_ros.cli.inspect.checked_map", interrupt)
    assert main(["inspect", "anything"]) == 130
    assert capsys.readouterr().err == "vloc: interrupted\n"


def test_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vloc_ros.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("vloc 0.")


def test_one_version_everywhere() -> None:
    assert f"<version>{__version__}</version>" in (ROOT / "package.xml").read_text()
    assert f'version="{__version__}"' in (ROOT / "setup.py").read_text()


def test_a_reader_that_goes_away_is_no_error(place: Path) -> None:
    command = [sys.executable, "-m", "vloc_ros.cli", "inspect", str(place / "map")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141


def test_a_map_that_was_not_shipped() -> None:
    with pytest.raises(ConfigError, match=r"maps/no_such_map: .* not installed"):
        shipped("maps/no_such_map")


@pytest.mark.needs("torch")
def test_map_hands_its_options_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vloc_ros.training.stages import build_map

    seen: list[MapOptions] = []
    monkeypatch.setattr(build_map, "build_map", lambda options, progress: seen.append(options))
    arguments = ["map", "--dataset", "synthetic_room", "--out", str(tmp_path / "room")]
    assert main(arguments) == 0
    arguments += ["--method", "vsnet"]
    assert main(arguments) == 0
    assert main([*arguments, "--epochs", "2", "--patch-size", "0.3", "--workdir", str(tmp_path / "w"), "--fresh"]) == 0
    default, dense, chosen = seen
    assert default.workdir == tmp_path / "room.work"
    assert default.method == PRAMOptions()
    assert dense.method == VSNetOptions()
    assert (dense.training.minutes, dense.training.epochs) == (40.0, None)
    assert chosen.method == VSNetOptions(patch_size=0.3)
    assert (chosen.training.minutes, chosen.training.epochs, chosen.fresh) == (None, 2, True)


@pytest.mark.needs("torch")
def test_map_hands_another_methods_options_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vloc_ros.training.stages import build_map

    seen: list[MapOptions] = []
    monkeypatch.setattr(build_map, "build_map", lambda options, progress: seen.append(options))
    arguments = ["map", "--dataset", "synthetic_office", "--out", str(tmp_path / "office"), "--method", "hscnet"]
    assert main(arguments) == 0
    chosen = ["--preset", "small++", "--branching", "9x9x4", "--sparsify", "300", "--reach", "3", "--regression", "2"]
    assert main([*arguments, *chosen]) == 0
    assert main([*arguments, "--branching", "none", "--sparse", "model"]) == 0
    assert [options.method for options in seen] == [
        HSCNetOptions(),
        HSCNetOptions("small++", (9, 9, 4), sparsify=300, reach=3, regression=2.0),
        HSCNetOptions(branching=(), sparse=Path("model")),
    ]


def test_help_of_map_says_whose_an_option_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["map", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "--branching NxN hscnet: " in text
    assert "(default: 25x25)" in text
    assert "vsnet: make about this many landmarks (default: 1000)" in text
    assert re.search(
        r"--preset \w+ vsnet: .*\(mobile, resnet50, xfeat; default: mobile\); hscnet: .*default: small\)", text
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("--minutes -1 --method vsnet", "positive"),
        ("--epochs 0 --method vsnet", "positive"),
        ("--landmarks 0 --method vsnet", "positive"),
        ("--minutes 40", "--minutes 40.0: nothing is trained, the method is pram (--method chooses)"),
        ("--batch-size 8", "--batch-size 8: nothing is trained, the method is pram (--method chooses)"),
        ("--preset mobile", "known are small, paper; the method is pram (--method chooses)"),
        ("--novel-views 1", "--novel-views 1.0: has no effect on a map of pram (--method chooses)"),
        ("--minutes 1 --epochs 1", "not allowed with"),
        ("--method orbslam", "'orbslam'"),
        ("--branching 9x9", "--branching is an option of hscnet, the method is pram (--method chooses)"),
        ("--method vsnet --branching 9x9", "--branching is an option of hscnet, the method is vsnet"),
        ("--method hscnet --landmarks 500", "--landmarks is an option of vsnet, pram, the method is hscnet"),
        ("--method hscnet --branching 9by9", "branching '9by9' is not like 25x25"),
        ("--method hscnet --preset mobile", "preset 'mobile' is unknown, known are small, "),
        ("--method vsnet --patch-size wide", "invalid float value: 'wide'"),
    ],
)
@pytest.mark.needs("torch")
def test_map_refuses_what_makes_no_sense(
    wrong: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal(capsys, "map", "--dataset", "synthetic_room", "--out", tmp_path / "room", *wrong.split())
    assert message in line
    assert not list(tmp_path.iterdir())
