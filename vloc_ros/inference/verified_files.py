"""Files that are kept per user because it takes long to make them: verified before they are used, written all at once.

Such a file is one line of JSON, which says what it is for and the SHA-256 of the rest, and the rest. That is a program
for the GPU, or a network of maps: what somebody else may have put there is not used.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from vloc_ros.errors import reason_of
from vloc_ros.files import atomic_file
from vloc_ros.inference.private_files import NotPrivateError, read_private, require_private

DIRECTORY_VARIABLE = "VLOC_CACHE_DIR"
PRIVATE, PRIVATE_FILE = 0o700, 0o600
MISSING = "missing"  # the fault of a file that is not there


def cache_root() -> Path:
    """$VLOC_CACHE_DIR, or the user's directory for caches; each kind of file has a directory below."""
    chosen = os.environ.get(DIRECTORY_VARIABLE)
    return Path(chosen) if chosen else user_cache_path("vloc_ros", appauthor=False)


def digest(fields: Mapping[str, Any]) -> str:
    """For a file's name: 32 hex digits."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:32]


def read_verified(path: Path, key: Mapping[str, Any]) -> tuple[bytes, str]:
    """The content of a file that is for `key`, and what is wrong with it: nothing, MISSING, or a reason."""
    header, content, fault = read_header(path)
    if fault:
        return b"", fault
    if header.get("key") != json.loads(json.dumps(key)):
        return b"", "made for something else"
    return content, ""


def read_header(path: Path) -> tuple[Mapping[str, Any], bytes, str]:
    """Header, with its `key`, and content of a file that is as it was written, and what is wrong with another: MISSING,
    or a reason."""
    try:
        line, _, content = read_private(path).partition(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return {}, b"", MISSING
    except NotPrivateError as error:
        return {}, b"", f"not trusted: {error.filename}: {error.strerror}"
    except OSError as error:
        return {}, b"", f"cannot be read: {reason_of(error)}"
    header = _header(line)
    if not header:
        return {}, b"", "damaged"
    if header.get("sha256") != hashlib.sha256(content).hexdigest():
        return {}, b"", "damaged or truncated"
    return header, content, ""


def _header(line: bytes) -> Mapping[str, Any]:
    """Of a file's first line; empty for one that is none."""
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return header if isinstance(header, dict) else {}


def write_verified(path: Path, key: Mapping[str, Any], content: bytes) -> None:
    """Write the file, and its directory where there is none. Raises OSError where that cannot be, NotPrivateError where
    others could write to the directory."""
    line = json.dumps({"key": key, "sha256": hashlib.sha256(content).hexdigest()}).encode() + b"\n"
    make_private_directory(path.parent)
    with atomic_file(path, PRIVATE_FILE, follow_links=False) as file:
        file.write(line + content)


def make_private_directory(directory: Path) -> None:
    """Raises OSError where there can be none, or others could write to the one there is."""
    directory.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
    require_private(directory)
