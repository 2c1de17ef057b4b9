"""A relocalizer and a map server that take signed maps only."""

import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from nav_msgs.srv import LoadMap
from support.graph import Graph

from vloc_ros.maps import sign_map


@pytest.fixture
def public_key(tmp_path: Path) -> Path:
    key = Ed25519PrivateKey.generate()
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = tmp_path / "key.pub.pem"
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return public


@pytest.fixture
def signed_map(shipped_map: Path, public_key: Path, tmp_path: Path) -> Path:
    directory = tmp_path / "signed"
    shutil.copytree(shipped_map, directory)
    sign_map(directory, public_key.with_name("key.pem"))
    return directory


def test_of_a_map_server_that_sends_any_map_only_the_signed_one_is_used(
    graph: Graph, shipped_map: Path, signed_map: Path, public_key: Path
) -> None:
    relocalizer = graph.start("relocalizer", threads=1, require_signature=public_key)
    server = graph.start("map_server", map=shipped_map)
    graph.wait_for(lambda: relocalizer.lines("ERROR", "map/data: map", "is not signed", "there is no other map"))
    assert graph.set_parameter("/vloc_map_server", "map", str(signed_map)).successful
    graph.wait_for(lambda: relocalizer.lines("INFO", "using map"))
    refused = graph.set_parameter("/relocalizer", "map", str(shipped_map))
    assert not refused.successful
    assert "is not signed" in refused.reason
    assert not graph.set_parameter("/relocalizer", "require_signature", "").successful  # fixed
    for program in (relocalizer, server):
        program.stop()


def test_a_map_server_serves_no_other(graph: Graph, shipped_map: Path, signed_map: Path, public_key: Path) -> None:
    server = graph.start("map_server", map=signed_map, require_signature=public_key)
    graph.wait_for(lambda: server.lines("INFO", "landmarks in"))
    answer = graph.call(LoadMap, "/vloc_map_server/load_map", LoadMap.Request(map_url=str(shipped_map)))
    assert answer.result == LoadMap.Response.RESULT_INVALID_MAP_DATA
    assert server.lines("ERROR", "is not signed")
    server.stop()


def test_neither_starts_without_its_key(graph: Graph, signed_map: Path, tmp_path: Path) -> None:
    for name in ("map_server", "relocalizer"):
        program = graph.start(name, map=signed_map, require_signature=tmp_path / "no_key")
        graph.wait_for(lambda program=program: program.lines("ERROR", "no_key: cannot be read"))  # type: ignore[misc]
        program.stop()
