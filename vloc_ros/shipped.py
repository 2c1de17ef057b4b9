"""Files that come with the package but are no Python: maps and configuration."""

from pathlib import Path

from vloc_ros.errors import ConfigError


def shipped(name: str) -> Path:
    """A file or directory such as "config/fastdds.xml": beside the package's source, or installed below a prefix.

    Raises ConfigError when it is not there.
    """
    for folder in Path(__file__).resolve().parents:
        for root in (folder, folder / "share" / "vloc_ros"):
            if (root / name).exists():
                return root / name
    raise ConfigError(f"{name}: it comes with vloc_ros, but is not installed")
