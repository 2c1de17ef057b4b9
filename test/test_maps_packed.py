"""Maps packed into one message: the same map, or refused within limits."""

import io
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from support.map_files import FILES, replace_file

from vloc_ros.errors import MapError
from vloc_ros.maps import pack_map, read_map, unpack_map


def test_a_packed_map_is_the_map_it_was(office: Path) -> None:
    stored = read_map(office)
    unpacked = unpack_map(pack_map(stored), "map/data")
    assert unpacked.map_id == stored.map_id
    assert dict(unpacked.files) == {name: (office / name).read_bytes() for name in FILES}
    assert np.array_equal(unpacked.landmark_map.positions, stored.landmark_map.positions)


@pytest.mark.parametrize("size", [0, 1, 100, -200, -22, -1])
def test_a_packed_map_that_is_truncated(office: Path, size: int) -> None:
    with pytest.raises(MapError, match=r"^map/data"):
        unpack_map(pack_map(read_map(office))[:size], "map/data")


def test_a_packed_map_with_any_byte_flipped_is_refused_or_the_same(office: Path) -> None:
    stored = read_map(office)
    packed = pack_map(stored)
    for at in np.random.default_rng(0).integers(0, len(packed), 300):
        damaged = bytearray(packed)
        damaged[at] ^= 0x10
        with suppress(MapError):  # a zip has bytes that mean nothing, such as dates
            assert unpack_map(bytes(damaged), "map/data").map_id == stored.map_id


def test_a_packed_map_that_would_unpack_to_more_than_it_says(office: Path) -> None:
    stored, bomb = read_map(office), io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in stored.files.items():
            archive.writestr(name, b"\0" * 50_000_000 if name == "network.onnx" else content)
    with pytest.raises(MapError, match=r"network\.onnx: 50000000 bytes, expected at most"):
        unpack_map(bomb.getvalue(), "map/data")


def test_a_packed_map_unpacks_to_no_more_than_it_may(office: Path) -> None:
    """Whatever its own map.yaml says."""
    replace_file(office, "network.onnx", b"\0" * 50_000_000)
    stored, packed = read_map(office), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in stored.files.items():
            archive.writestr(name, content)
    assert unpack_map(packed.getvalue(), "map/data", stored.size_bytes).map_id == stored.map_id
    with pytest.raises(MapError, match=r"^map/data/map\.yaml: files: 50\.0 MB together, at most 1\.0 MB can be"):
        unpack_map(packed.getvalue(), "map/data", 1_000_000)


@pytest.mark.parametrize("kind", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_packed_map_in_a_compression_that_takes_any_memory(office: Path, kind: int) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", kind) as archive:
        for name in FILES:
            archive.write(office / name, name)
    with pytest.raises(MapError, match=r"map/data/map\.yaml: is packed in a way that maps do not use"):
        unpack_map(packed.getvalue(), "map/data")


@pytest.mark.parametrize("count", [40, 5000])
def test_a_packed_map_of_very_many_files(office: Path, count: int) -> None:
    packed = io.BytesIO(pack_map(read_map(office)))
    with zipfile.ZipFile(packed, "a") as archive:
        for index in range(count):
            archive.writestr(f"x{index}", b"")
    with pytest.raises(MapError, match=r"^map/data.*more than 32 files"):
        unpack_map(packed.getvalue(), "map/data")


def test_a_packed_map_with_a_missing_file(office: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("map.yaml", (office / "map.yaml").read_bytes())
    with pytest.raises(MapError, match=r"^map/data/\S+: missing$"):
        unpack_map(packed.getvalue(), "map/data")
