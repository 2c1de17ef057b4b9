"""What a user waits for: the wheel's size, the time to import it, and from `pip install` to the first pose.

python benchmark/wheel.py [--python python3.12] [--rounds 3]

The wheel is built here and installed into bare virtual environments, with all that it needs from pip's index and
nothing from pip's cache. The first pose is that of `vloc localize` with the shipped map; everything that Numba compiles
is compiled then. Environments are made before the clock starts.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
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
IMPORTS = 7
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


def seconds(words: list[str], cwd: Path) -> float:
    """That a program takes, which must succeed."""
    started = time.perf_counter()
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr[-1000:]}")
    return time.perf_counter() - started


def main() -> None:
    parser = plain_parser(__doc__)
    parser.add_argument("--python", default=sys.executable, metavar="FILE", help="makes the environments")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    columns = {
        "Python": "{python}",
        "wheel": "{wheel_mb:.2f} MB",
        "import of vloc_ros.localizer, of that processor time": "{import_s:.2f} s, {import_cpu_s:.2f} s",
        "pip install": "{install_s:.1f} s",
        "then the first pose": "{pose_s:.1f} s",
        "together": "{together_s:.1f} s",
    }
    results = Results(f"Data: one image of the synthetic room; median of {options.rounds}", columns)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel, image = build(folder), image_of_the_room(folder)
        wheel_mb = wheel.stat().st_size / 1e6
        installs, poses, imports = [], [], []
        for number in range(options.rounds):
            venv = folder / f"venv{number}"
            subprocess.run([options.python, "-m", "venv", str(venv)], check=True)
            python = str(venv / "bin/python")
            installs.append(seconds([python, "-m", "pip", "install", "--no-cache-dir", str(wheel)], folder))
            shipped = venv / "share/vloc_ros/maps/demo_room"
            camera = "525,525,319.5,239.5"
            words = [str(venv / "bin/vloc"), "localize", str(image), "--map", str(shipped), "--camera", camera]
            poses.append(seconds(words, folder))
            said = [subprocess.check_output([python, "-c", IMPORT], cwd=folder) for _ in range(IMPORTS)]
            imports += [json.loads(line) for line in said]
            version = subprocess.check_output([python, "-c", "import platform; print(platform.python_version())"])
            shutil.rmtree(venv)
    together = [one + other for one, other in zip(installs, poses, strict=True)]
    clock, cpu = (statistics.median(column) for column in zip(*imports, strict=True))
    results.add(
        python=version.decode().strip(), wheel_mb=wheel_mb, import_s=clock, import_cpu_s=cpu,
        install_s=statistics.median(installs), pose_s=statistics.median(poses), together_s=statistics.median(together),
    )  # fmt: skip
    results.write(options.json)


if __name__ == "__main__":
    main()
