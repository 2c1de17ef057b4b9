"""The reports: whole, self-contained, and rendered without a complaint by a real browser."""

import json
import math
import re
import shutil
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vloc_ros.cli import main
from vloc_ros.core.nearest_view import NearestView
from vloc_ros.datasets import Frame, open_dataset
from vloc_ros.errors import ConfigError
from vloc_ros.evaluation.evaluate import Evaluation
from vloc_ros.evaluation.records import Estimated, FrameRecord, Rejected
from vloc_ros.evaluation.report.evaluation_report import write_comparison, write_report
from vloc_ros.evaluation.report.map_report import write_map_report
from vloc_ros.geometry.pose_error import pose_error
from vloc_ros.geometry.transforms import from_quaternion
from vloc_ros.localizer import Localizer, load_localizer
from vloc_ros.maps import read_map
from vloc_ros.shipped import shipped
from vloc_ros.tracking.state import State

ROOM = open_dataset("synthetic_room", None, "test")
# Any Chromium will do; --dump-dom runs the page and writes what it has become.
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHECKS = """<script>addEventListener('load', () => { const errors = [];
  if (document.documentElement.scrollWidth > innerWidth) errors.push('wider than the window');
  document.title = 'checked: ' + (errors.join() || 'fine'); });
  addEventListener('error', event => { document.title = 'failed: ' + event.message; });</script></body>"""


@pytest.fixture(scope="module")
def localizer() -> Localizer:
    return load_localizer(shipped("maps/demo_room"))


def records(count: int, rejected: int = 0) -> tuple[FrameRecord, ...]:
    """Made up: errors that grow with what the covariance says; the last ones rejected, one of them without a pose."""
    rng = np.random.default_rng(0)
    made = []
    for index in range(count):
        true = ROOM.map_from_camera(index % len(ROOM))
        sigma = 0.003 + 0.02 * index / count
        estimated = from_quaternion([0, 0, 0.001 * index / count, 1], rng.normal(size=3) * sigma) @ np.eye(4)
        pose = true.copy()
        pose[:3, 3] += estimated[:3, 3]
        pose[:3, :3] = estimated[:3, :3] @ pose[:3, :3]
        covariance = np.diag([sigma**2] * 3 + [1e-5] * 3)
        confidence = 1 - index / count
        estimate = Estimated(
            pose, covariance, confidence, pose_error(pose, true), 80, 0.8, 1.0, sigma, math.degrees(3e-3)
        )
        outcome = estimate if index < count - rejected else Rejected("low_confidence", "<too & bad>", estimate)
        view = NearestView(0.1 + 0.01 * index, 5.0)
        made.append(FrameRecord(ROOM.names[index % len(ROOM)], index, true, outcome, {"total": 30.0 + index % 7}, view))
    if rejected:
        made[-1] = replace(made[-1], outcome=Rejected("no_pose", "nothing"), nearest_view=None)
    return tuple(made)


def written(path: Path, localizer: Localizer, evaluation: Evaluation) -> str:
    write_report(path, "Kitchen <1> & hall", evaluation, localizer, load)
    return path.read_text(encoding="utf-8")


def load(names: Collection[str]) -> Iterator[Frame]:
    return (ROOM.frame(index) for index, name in enumerate(ROOM.names) if name in names)


def ids(html: str) -> list[str]:
    return re.findall(r'\bid="([^"]+)"', html)


def test_a_report_needs_nothing_but_itself(localizer: Localizer, tmp_path: Path) -> None:
    html = written(tmp_path / "r.html", localizer, Evaluation(records(40, rejected=5)))
    outside = [link for link in re.findall(r'(?:src|href)="([^"]{0,40})', html) if not link.startswith(("data:", "#"))]
    assert not outside
    assert len(ids(html)) == len(set(ids(html)))
    for reference in set(re.findall(r"url\(#([^)]+)\)", html)) | set(re.findall(r'href="#([^"]+)"', html)):
        assert reference in ids(html)
    assert "Kitchen &lt;1&gt; &amp; hall" in html
    assert "&lt;too &amp; bad&gt;" in html
    assert "<too" not in html
    assert html.count("<img") == 14  # best, median and twelve worst
    for colour in ("#010203", "#040506"):
        assert colour not in html


@pytest.mark.parametrize(("count", "rejected"), [(1, 0), (1, 1), (3, 3), (5, 0)])
def test_few_frames_or_no_pose_at_all(localizer: Localizer, tmp_path: Path, count: int, rejected: int) -> None:
    html = written(tmp_path / "r.html", localizer, Evaluation(records(count, rejected)))
    assert html.count("<img") == count
    assert not re.search(r"\bnan\b", re.sub(r'base64,[^"]+', "", html), re.IGNORECASE)


def test_a_report_that_cannot_be_written_is_said(localizer: Localizer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        written(tmp_path / "file" / "r.html", localizer, Evaluation(records(2)))


def test_a_comparison_shows_every_run(tmp_path: Path) -> None:
    runs = {"old & slow": Evaluation(records(20, 3)), "new": Evaluation(records(20))}
    write_comparison(tmp_path / "c.html", runs)
    html = (tmp_path / "c.html").read_text()
    assert "old &amp; slow" in html
    assert html.count("<svg") >= 2
    assert "Frame by frame" in html
    other = tuple(replace(record, name=f"other {record.name}") for record in records(5))
    write_comparison(tmp_path / "c.html", {"these": Evaluation(records(5)), "others": Evaluation(other)})
    assert "Frame by frame" not in (tmp_path / "c.html").read_text()  # no frame is common


def test_the_commands_write_them(tmp_path: Path) -> None:
    Evaluation(records(4)).write_json(tmp_path / "run.json")
    for command in (("inspect", str(shipped("maps/demo_room"))), ("compare", str(tmp_path / "run.json"))):
        path = tmp_path / f"{command[0]}.html"
        assert main([*command, "--report", str(path)]) == 0
        assert "<svg" in path.read_text()


def test_without_matplotlib_it_is_said_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vloc_ros.cli.options.find_spec", lambda name: None)
    assert main(["evaluate", "--map", "no_such_map", "--dataset", "synthetic_room", "--report", "r.html"]) == 1
    assert "matplotlib" in capsys.readouterr().err


def test_names_with_signs_of_formulas_are_only_names(tmp_path: Path) -> None:
    write_comparison(tmp_path / "c.html", {"5 $ or \\frac$": Evaluation(records(3)), "$x": Evaluation(records(3))})
    assert "5 $ or \\frac$" in (tmp_path / "c.html").read_text()


def test_a_map_report_even_of_a_map_without_a_past(tmp_path: Path) -> None:
    stored = read_map(shipped("maps/demo_room"))
    write_map_report(tmp_path / "m.html", "room", stored)
    assert "Where will it fail?" in (tmp_path / "m.html").read_text()
    files = {**stored.files, "mapping.json": json.dumps({}).encode()}
    write_map_report(tmp_path / "n.html", "room", replace(stored, files=files))
    assert "Where will it fail?" not in (tmp_path / "n.html").read_text()


@pytest.fixture(scope="module", params=["evaluation", "map", "comparison"])
def report(request: pytest.FixtureRequest, localizer: Localizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp(request.param) / "r.html"
    if request.param == "evaluation":
        live = (*(replace(record, state=State.LOCALIZED) for record in records(50, 6)), *records(10))
        written(path, localizer, Evaluation(live))
    elif request.param == "map":
        write_map_report(path, "room", read_map(shipped("maps/demo_room")))
    else:
        write_comparison(path, {name: Evaluation(records(20)) for name in ("a", "b", "c")})
    path.write_text(path.read_text().replace("</body>", CHECKS))
    return path


@pytest.mark.parametrize("width", [390, 1200])
def test_a_browser_renders_it(report: Path, tmp_path: Path, width: int) -> None:
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}")
    # A window has a least width: the page is looked at through a frame that may be narrower.
    frame = report.parent / f"frame_{width}.html"
    frame.write_text(
        f'<iframe src="r.html" style="border:0;width:{width}px;height:900px" onload="document.title = '
        f"this.contentDocument ? this.contentDocument.title : 'no access'\"></iframe>"
    )
    files = ("--allow-file-access-from-files", "--virtual-time-budget=8000", "--dump-dom", f"file://{frame}")
    ran = subprocess.run(
        [browser, *flags, "--enable-logging=stderr", *files], capture_output=True, text=True, timeout=120
    )
    assert "<title>checked: fine</title>" in ran.stdout, ran.stdout[:500]
    complaints = [line for line in ran.stderr.splitlines() if ":CONSOLE" in line]
    assert not complaints
