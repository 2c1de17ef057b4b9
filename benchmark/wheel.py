"""What a user waits for: the wheel's size, the time to import it, and from `pip install` to the first pose.

python benchmark/wheel.py [--python python3.12] [--rounds 3]

The wheel is built here and installed into bare virtual environments, with all that it needs from pip's index and
nothing from pip's cache. The first pose is that of `vloc localize` with the shipped map; everything that Numba compiles
is compiled then. Environments are made before the clock starts. Where pip's index lies decides how long downloads take:
measure it on a connection like that of your users.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
from inputs import plain_parser
from results import ROOT, Results

from vloc_ros.datasets import open_dataset

BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
TREE = (
    "vloc_ros", "launch", "config", "maps", "resource", "requirements", "ros_overlay", "setup.py", "setup.cfg",
    "pyproject.toml", "package.xml", "README.md", "LICENSE", "MANIFEST.in",
)  # fmt: skip
TIMES = ("import_s", "import_cpu_s", "install_s", "pose_s", "together_s")
IMPORTS = 7
CAMERA = "525,525,319.5,239.5"  # of the image of the room
CHECKOUT = ("PYTHONPATH", "NUMBA_CACHE_DIR", "VLOC_CACHE_DIR")  # bring its code, or what it compiled, into the venvs
IMPORT = """
import json, time
clock, cpu = time.perf_counter(), time.process_time()
import vloc_ros.localizer
print(json.dumps([time.perf_counter() - clock, time.process_time() - cpu]))
"""


def build(folder: Path) -> Path:
    """The wheel of the check-out, made of a copy."""
    tree = folder / "tree"
    tree.mkdir()
    for name in TREE:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tree / name)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)], cwd=tree, check=True, capture_output=True, text=True
    )
    return folder / done.stdout.splitlines()[-1]


def image_of_the_room(folder: Path) -> Path:
    """As its robot sees it."""
    rgb = open_dataset("synthetic_room", None, "drive").frame(0).image.rgb
    path = folder / "room.png"
    cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    return path


def bare() -> dict[str, str]:
    """The environment of a user who has nothing but the wheel."""
    return {name: value for name, value in os.environ.items() if name not in CHECKOUT}


def seconds(words: list[str], cwd: Path) -> float:
    """That a program takes, which must succeed."""
    started = time.perf_counter()
    done = subprocess.run(words, cwd=cwd, env=bare(), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr[-1000:]}")
    return time.perf_counter() - started


@dataclass(frozen=True)
class Round:
    """One new environment."""

    install_s: float
    pose_s: float
    import_s: float
    import_cpu_s: float

    @property
    def together_s(self) -> float:
        return self.install_s + self.pose_s


def measure(venv: Path, wheel: Path, image: Path) -> Round:
    """In an environment that has nothing but pip."""
    python, shipped = str(venv / "bin/python"), str(venv / "share/vloc_ros/maps/demo_room")
    install_s = seconds([python, "-m", "pip", "install", "--no-cache-dir", str(wheel)], venv)
    words = [str(venv / "bin/vloc"), "localize", str(image), "--map", shipped, "--camera", CAMERA]
    pose_s = seconds(words, venv)
    said = [subprocess.check_output([python, "-c", IMPORT], cwd=venv, env=bare()) for _ in range(IMPORTS)]
    clock, cpu = zip(*map(json.loads, said), strict=True)
    return Round(install_s, pose_s, statistics.median(clock), statistics.median(cpu))


def downloaded_mb(venv: Path, wheel: Path) -> float:
    """The files of the wheel and of all that it needs."""
    folder = venv / "downloads"
    words = [str(venv / "bin/python"), "-m", "pip", "download", "--no-cache-dir", "--dest", str(folder), str(wheel)]
    seconds(words, venv)
    return sum(file.stat().st_size for file in folder.iterdir()) / 1e6


def main() -> None:
    parser = plain_parser(__doc__)
    parser.add_argument("--python", default=sys.executable, metavar="FILE", help="makes the environments")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    columns = {
        "Python": "{python}",
        "wheel": "{wheel_mb:.2f} MB",
        "downloaded, with all that it needs": "{downloaded_mb:.0f} MB",
        "import of vloc_ros.localizer, of that processor time": "{import_s:.2f} s, {import_cpu_s:.2f} s",
        "pip install": "{install_s:.1f} s",
        "then the first pose": "{pose_s:.1f} s",
        "together": "{together_s:.1f} s",
    }
    results = Results(f"Data: one image of the synthetic room; median of {options.rounds}", columns)
    with tempfile.TemporaryDirectory() as name:
        folder, venv = Path(name), Path(name) / "venv"
        wheel, image, rounds = build(folder), image_of_the_room(folder), list[Round]()
        for _ in range(options.rounds):
            shutil.rmtree(venv, ignore_errors=True)
            subprocess.run([options.python, "-m", "venv", str(venv)], check=True)
            rounds.append(measure(venv, wheel, image))
        version = [str(venv / "bin/python"), "-c", "import platform; print(platform.python_version())"]
        python = subprocess.check_output(version, text=True).strip()
        sizes = {"wheel_mb": wheel.stat().st_size / 1e6, "downloaded_mb": downloaded_mb(venv, wheel)}
    medians = {name: statistics.median(getattr(each, name) for each in rounds) for name in TIMES}
    results.add(python=python, **sizes, **medians)
    results.write(options.json)


if __name__ == "__main__":
    main()
