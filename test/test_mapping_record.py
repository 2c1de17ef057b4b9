"""What a map tells of how it was made: read for its report, and refused in one line where `vloc map` never wrote it."""

import json
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
import pytest

from vloc_ros.errors import MapError
from vloc_ros.evaluation.report.map_report import write_map_report
from vloc_ros.evaluation.report.mapping_record import MAX_BYTES, decode_preview, read_mapping_record
from vloc_ros.maps import StoredMap, read_map
from vloc_ros.shipped import shipped


@pytest.fixture(scope="module")
def stored() -> StoredMap:
    return read_map(shipped("maps/demo_room"))


def telling(stored: StoredMap, content: bytes) -> StoredMap:
    """The map with another mapping.json."""
    return replace(stored, files=MappingProxyType({**stored.files, "mapping.json": content}))


def test_the_shipped_map_tells_its_past(stored: StoredMap) -> None:
    mapping, past = json.loads(stored.files["mapping.json"]), read_mapping_record(stored)
    assert {name: [list(point) for point in points] for name, points in past.curves.items()} == mapping["curves"]
    for record, told in zip(past.held_out, mapping["held_out"], strict=True):
        assert record.name == told["name"]
        np.testing.assert_allclose(record.to_json()["true_pose"], told["true_pose"])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"3",
        b"null",
        b"{",
        b"[" * 100_000,
        b'{"curves":' * 50_000,
        b'{"curves": NaN}',
        b'{"curves": [1]}',
        b'{"curves": "abc"}',
        b'{"curves": {"loss/a": 3}}',
        b'{"curves": {"loss/a": [[1]]}}',
        b'{"curves": {"loss/a": [[1, 2, 3]]}}',
        b'{"curves": {"loss/a": [["1", "2"]]}}',
        b'{"curves": {"loss/a": [[1, null]]}}',
        b'{"curves": {"loss/a": [[1, true]]}}',
        b'{"curves": {"loss/a": [[1, [2]]]}}',
        b'{"curves": {"loss/a": [[1, Infinity]]}}',
        b'{"curves": {"loss/a": [[1, 1e999]]}}',
        b'{"curves": {"loss/a": [[1, 1e300]]}}',
        b'{"curves": {"loss/a": [[1, %s]]}}' % (b"9" * 5000),
        b'{"held_out": {}, "curves": []}',
        b'{"held_out": 3}',
        b'{"held_out": [3]}',
        b'{"held_out": [null]}',
        b'{"held_out": [{}]}',
        b'{"recordings": [3]}',
        b'{"recordings": [{"place": "", "names": ["a"]}]}',
        b'{"pictures": {"a": 3}}',
        b'{"pictures": {"a": "no base64"}}',
        b'{"pictures": {"a": "bm8gaW1hZ2U="}}',
    ],
)
def test_what_no_map_tells_is_refused(stored: StoredMap, content: bytes) -> None:
    told = rf"^map {stored.map_id}: mapping\.json is not what `vloc map` writes"
    with pytest.raises(MapError, match=told) as caught:
        read_mapping_record(telling(stored, content))
    assert str(caught.value).isprintable()


def test_a_mapping_file_that_is_too_large_is_not_parsed(stored: StoredMap) -> None:
    with pytest.raises(MapError, match="bytes, at most"):
        read_mapping_record(telling(stored, b" " * MAX_BYTES + b"{}"))


ODD: tuple[Any, ...] = (None, True, "", "1", "nan", -1, 0, 1e99, 2**62, [], [1, 2], {}, {"a": 1}, [[[]]])


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_records_with_a_value_of_another_kind_are_refused_or_read(stored: StoredMap, value: Any) -> None:
    """Whatever key it stands at; nothing but a MapError comes."""
    mapping = json.loads(stored.files["mapping.json"])
    for key in mapping["held_out"][0]:
        record = {**mapping["held_out"][0], key: value}
        with suppress(MapError):
            read_mapping_record(telling(stored, json.dumps({"held_out": [record]}).encode()))


def extreme(mapping: dict[str, Any]) -> None:
    for record in mapping["held_out"][:3]:
        for key in ("confidence", "translation_error_m", "rotation_error_deg", "position_sigma_m", "inliers"):
            record[key] = {"inliers": 2**62}.get(key, 1e99)
        record["stamp_ns"] = -(2**62)
    mapping["held_out"][4]["true_pose"] = [1e90, -1e90, 0, 0, 0, 0, 1]
    mapping["held_out"][5]["name"] = "<script>$\\bad{</script>"
    mapping["curves"] = {"loss/$x^{": [[-1e99, 1e-99], [1e99, 1e99]], "held_out/median_": [], "loss/_": [[0, -1]]}


def nothing(mapping: dict[str, Any]) -> None:
    mapping.clear()


def one_frame(mapping: dict[str, Any]) -> None:
    del mapping["held_out"][1:]
    mapping["curves"] = {"loss/a": []}


@pytest.mark.parametrize("change", [extreme, nothing, one_frame])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_report_is_written_of_whatever_may_be_told(
    stored: StoredMap, tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    mapping = json.loads(stored.files["mapping.json"])
    change(mapping)
    accuracy = {"median_translation_m": "a text", "deep": [{"a": [1]}]}
    manifest = replace(stored.landmark_map.manifest, accuracy=accuracy)
    odd = replace(stored, landmark_map=replace(stored.landmark_map, manifest=manifest))
    write_map_report(tmp_path / "report.html", "map", telling(odd, json.dumps(mapping).encode()))
    assert "<script>$" not in (tmp_path / "report.html").read_text()


def png(width: int, height: int) -> bytes:
    """A small picture that claims another size."""
    content = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    return content[:16] + struct.pack(">II", width, height) + content[24:]


def with_preview(stored: StoredMap, content: bytes) -> StoredMap:
    return replace(stored, files=MappingProxyType({**stored.files, "preview.png": content}))


def test_a_preview_is_decoded_only_if_it_is_small_enough(stored: StoredMap, monkeypatch: pytest.MonkeyPatch) -> None:
    preview = decode_preview(stored)
    assert preview is not None
    assert preview.dtype == np.uint8
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    for content in (b"", b"GIF89a" + bytes(50), png(0, 5), png(30_000, 30_000), png(2**32 - 1, 2**32 - 1)):
        assert decode_preview(with_preview(stored, content)) is None


def test_a_damaged_preview_is_left_out(stored: StoredMap) -> None:
    content = stored.files["preview.png"]
    for damaged in (content[:40], content[:16] + struct.pack(">II", 7, 9) + content[24:]):
        assert decode_preview(with_preview(stored, damaged)) is None
