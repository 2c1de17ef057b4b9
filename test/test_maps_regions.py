"""regions.npz: every kind of damage is named, and nothing is unpacked or evaluated that is not plain numbers."""

import io
import pickle
import warnings
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.map_files import make_map, npz, refusal, replace_file

from vloc_ros.core.types import LandmarkMap
from vloc_ros.errors import MapError
from vloc_ros.maps import npz as npz_files
from vloc_ros.maps.regions_npz import decode_regions, encode_regions


def arrays_of(landmark_map: LandmarkMap) -> dict[str, np.ndarray]:
    return dict(np.load(io.BytesIO(encode_regions(landmark_map))))


@pytest.mark.parametrize("name", ["positions", "normals", "extents", "method_radii"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_landmarks_that_are_not_finite(office: Path, name: str, value: float) -> None:
    arrays = arrays_of(make_map())
    arrays[name].reshape(-1)[2] = value
    replace_file(office, "regions.npz", npz(**arrays))
    assert f"'{name}' has 1 values that are not finite" in refusal(office)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"positions": np.zeros((4, 3), np.float32)}, "positions"),
        ({"positions": np.zeros((5, 2), np.float32)}, "positions"),
        ({"positions": np.zeros((5, 3), np.int32)}, "positions"),
        ({"mapping_views": np.zeros((5, 4, 4), np.float32)}, "mapping_views"),
        ({"mapping_views": np.zeros((5, 3, 4), np.int32)}, "mapping_views"),
        ({"ids": np.zeros(5, np.int32)}, "twice"),
        ({"ids": np.zeros(0, np.int32)}, "no landmarks"),
        ({"ids": np.int32(3)}, "single value"),
        ({"places": np.zeros(0, np.int32)}, "places"),
        ({"places": np.ones(5, np.int32)}, "places"),
        ({"places": np.zeros(5)}, "places"),
        ({"view_places": np.zeros(0, np.int32)}, "view_places"),
        ({"view_places": np.full(3, -1, np.int32)}, "view_places"),
        ({"observations": np.zeros(5)}, "observations"),
        ({"extents": np.array(["a"] * 5)}, "extents"),
        ({"extra": np.zeros(5)}, "unknown"),
    ],
)
def test_landmark_arrays_of_other_shape_or_type(office: Path, change: dict[str, np.ndarray], word: str) -> None:
    replace_file(office, "regions.npz", npz(**{**arrays_of(make_map()), **change}))
    assert word in refusal(office)


def test_missing_landmark_array(office: Path) -> None:
    arrays = arrays_of(make_map())
    del arrays["normals"]
    replace_file(office, "regions.npz", npz(**arrays))
    assert "'normals' is missing" in refusal(office)


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (pytest.fail, ("unpickled",))


def test_pickles_are_refused_unopened(office: Path) -> None:
    pickled = np.array([Bomb()] * 5, dtype=object)
    for content in (npz(**arrays_of(make_map()), method_bomb=pickled), pickle.dumps(Bomb())):
        replace_file(office, "regions.npz", content)
        assert "regions.npz" in refusal(office)
    with pytest.raises(MapError, match="never written"):
        encode_regions(replace(make_map(), method_data={"bomb": pickled}))


def test_things_that_are_no_npz(office: Path) -> None:
    single, foreign = io.BytesIO(), io.BytesIO()
    np.save(single, np.zeros(3))
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("ids.npy", b"not an array")
    for content in (b"", b"garbage", single.getvalue(), foreign.getvalue(), encode_regions(make_map())[:-40]):
        replace_file(office, "regions.npz", content)
        assert "regions.npz" in refusal(office)


def npz_of_members(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def npy(header: str, body: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


@pytest.mark.parametrize(
    "member",
    [
        b"",
        npy("not Python at all ((("),
        npy("(" * 900),
        npy("-" * 900 + "1"),
        npy("'" * 3),
        npy("\\\n"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (10**9,)}"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 99999999999999999999)}"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (%s)}" % ("0," * 40)),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (%s,)}" % ("9" * 800)),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", bytes(8)),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", bytes(16)),
        npy("{'descr': '|O', 'fortran_order': False, 'shape': ()}", bytes(8)),
        npy("{'descr': '<U9', 'fortran_order': False, 'shape': ()}", bytes(36)),
        npy("{'descr': ('<f4', (2,)), 'fortran_order': False, 'shape': ()}", bytes(8)),
        npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}", bytes(4)),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}" + " " * 2000, bytes(4)),
        b"\x93NUMPY\x03\x00" + npy("{'descr': '<f4', 'fortran_order': False, 'shape': ()}", bytes(4))[8:],
        b"\x93NUMPY\x01\x00\xff\xff{",
    ],
)
def test_members_that_are_no_plain_arrays(member: bytes) -> None:
    with pytest.raises(MapError, match=r"^ids\.npy "):
        decode_regions(npz_of_members(ids=member), make_map().manifest)


@pytest.mark.parametrize("kind", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_members_in_a_compression_that_takes_any_memory(kind: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        archive.writestr("ids.npy", bytes(100))
    with pytest.raises(MapError, match="is packed in a way that maps do not use"):
        decode_regions(buffer.getvalue(), make_map().manifest)


def test_an_npz_that_would_unpack_to_very_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz_files, "MAX_BYTES", 1_000_000)
    monkeypatch.setattr(npz_files, "read_member", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(MapError, match="2 MB of arrays, at most 1 MB can be"):
        decode_regions(npz_of_members(a=bytes(1_000_000), b=bytes(1_000_000)), make_map().manifest)


def test_arrays_in_either_order_are_read() -> None:
    arrays = arrays_of(make_map())
    columns = {name: np.asfortranarray(array) for name, array in arrays.items()}
    read = decode_regions(npz(**columns), make_map().manifest)
    np.testing.assert_array_equal(read.positions, arrays["positions"])
    assert read.ids.flags.writeable
    assert read.positions.flags.c_contiguous


def test_a_member_that_is_there_twice() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            archive.writestr("ids.npy", b"")
    with pytest.raises(MapError, match="names a file twice"):
        decode_regions(buffer.getvalue(), make_map().manifest)


def test_damaged_npz_raises_nothing_but_map_errors() -> None:
    """Even if somebody renews the hashes: a thousand damaged archives, decoded without a look at the hash."""
    landmark_map, rng = make_map(), np.random.default_rng(0)
    good = encode_regions(landmark_map)
    for _ in range(1000):
        damaged = bytearray(good)
        damaged[int(rng.integers(len(good)))] ^= int(rng.integers(1, 256))
        with suppress(MapError):
            decode_regions(bytes(damaged), landmark_map.manifest)
