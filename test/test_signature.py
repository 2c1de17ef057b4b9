"""Signed maps: what was signed is taken, and nothing else, in one line."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from support.map_files import FILES, NETWORK, PREVIEW, make_map

from vloc_ros.cli import main
from vloc_ros.errors import ConfigError, MapError
from vloc_ros.maps import (
    pack_map,
    read_map,
    read_stored,
    require_signature,
    sign_map,
    unpack_map,
    upgrade_map,
    write_map,
)
from vloc_ros.maps.manifest_yaml import record_of
from vloc_ros.shipped import shipped


def write_keys(folder: Path, name: str, hidden: KeySerializationEncryption | None = None) -> tuple[Path, Path]:
    """A new private key and its public one, as PEM files."""
    key = Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden or NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    return write_keys(tmp_path, "ours")


@pytest.fixture
def signed(office: Path, keys: tuple[Path, Path]) -> Path:
    sign_map(office, keys[0])
    return office


def refusal(directory: Path, public: Path) -> str:
    """The one line that reading and checking a map ends with."""
    with pytest.raises(MapError) as error:
        require_signature(read_stored(directory), str(directory), public)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_signed_map_passes_and_its_id_stays(office: Path, keys: tuple[Path, Path]) -> None:
    before = read_map(office)
    stored, key = sign_map(office, keys[0])
    assert require_signature(stored, "office", keys[1]) == key
    assert stored.map_id == before.map_id
    assert dict(read_map(office).files) == dict(before.files)


def test_an_unsigned_map_is_refused(office: Path, keys: tuple[Path, Path]) -> None:
    assert "is not signed, there is no map.yaml.sig" in refusal(office, keys[1])


def test_the_signature_of_another_key_is_refused(signed: Path, tmp_path: Path) -> None:
    assert "of another key, or of another map" in refusal(signed, write_keys(tmp_path, "theirs")[1])


@pytest.mark.parametrize("name", [name for name in FILES if name != "map.yaml"])
def test_a_file_that_was_changed_is_refused(signed: Path, keys: tuple[Path, Path], name: str) -> None:
    """map.yaml holds the hash of each: the list of files here is that of the whole map."""
    assert set(FILES) == set(read_map(signed).files)
    content = bytearray((signed / name).read_bytes())
    content[len(content) // 2] ^= 1
    (signed / name).write_bytes(content)
    assert f"{name}: damaged" in refusal(signed, keys[1])


def test_a_map_yaml_that_was_sealed_again_is_refused(signed: Path, keys: tuple[Path, Path]) -> None:
    """Whoever changes a file and its hash can seal map.yaml, but not sign it."""
    network = NETWORK[::-1]
    text = (signed / "map.yaml").read_bytes()
    body = text[: text.rindex(b"sha256: ")].replace(
        record_of(NETWORK).sha256.encode(), record_of(network).sha256.encode()
    )
    (signed / "network.onnx").write_bytes(network)
    (signed / "map.yaml").write_bytes(body + f"sha256: {record_of(body).sha256}\n".encode())
    read_map(signed)  # it is a good map
    assert "is no signature of map" in refusal(signed, keys[1])


def test_the_signature_of_another_map_is_refused(signed: Path, tmp_path: Path, keys: tuple[Path, Path]) -> None:
    other = tmp_path / "other"
    write_map(other, make_map(offset=1.0), {"network": {"float32": NETWORK}}, PREVIEW)
    shutil.copy(signed / "map.yaml.sig", other)
    assert "is no signature of map" in refusal(other, keys[1])


@pytest.mark.parametrize(
    ("size", "said"), [(0, "is no signature"), (63, "is no signature"), (65, "expected at most 64")]
)
def test_a_signature_of_another_length_is_refused(signed: Path, keys: tuple[Path, Path], size: int, said: str) -> None:
    (signed / "map.yaml.sig").write_bytes(((signed / "map.yaml.sig").read_bytes() * 2)[:size])
    assert said in refusal(signed, keys[1])


def test_a_packed_map_and_a_copy_keep_the_signature_and_a_new_map_has_none(
    signed: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    require_signature(unpack_map(pack_map(read_map(signed)), "packed"), "packed", keys[1])
    upgrade_map(signed, tmp_path / "copy")
    require_signature(read_map(tmp_path / "copy"), "copy", keys[1])
    write_map(signed, make_map(offset=1.0), {"network": {"float32": NETWORK}}, PREVIEW)
    assert read_map(signed).signature is None


@pytest.mark.parametrize("kind", ["missing", "a directory", "text", "another kind of key", "private"])
def test_what_is_no_public_key_is_one_line(signed: Path, keys: tuple[Path, Path], tmp_path: Path, kind: str) -> None:
    public = tmp_path / "key"
    if kind == "a directory":
        public.mkdir()
    elif kind == "text":
        public.write_text("-----BEGIN PUBLIC KEY-----\nnothing\n")
    elif kind == "private":
        shutil.copy(keys[0], public)
    elif kind == "another kind of key":
        other = generate_private_key(SECP256R1()).public_key()
        public.write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(ConfigError, match=rf"^{re.escape(str(public))}: [^\n]+$"):
        require_signature(read_map(signed), "office", public)


def test_what_is_no_private_key_is_one_line_and_signs_nothing(
    office: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    hidden, _ = write_keys(tmp_path, "hidden", BestAvailableEncryption(b"secret"))
    for wrong, said in ((keys[1], "no private key"), (hidden, "has a password"), (tmp_path / "none", "cannot be read")):
        with pytest.raises(ConfigError, match=said):
            sign_map(office, wrong)
    assert read_map(office).signature is None


def test_the_commands_ask_for_it(
    signed: Path, keys: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, theirs = write_keys(tmp_path, "theirs")
    room = shutil.copytree(shipped("maps/demo_room"), tmp_path / "room")
    assert main(["sign", str(room), "--key", str(keys[0])]) == 0
    said = capsys.readouterr().out
    assert re.search(rf"map.yaml.sig: signature of map {read_map(room).map_id} by the key [0-9a-f]{{16}}\n", said)
    assert main(["inspect", str(room), "--require-signature", str(keys[1])]) == 0
    assert f"by the key of {keys[1]}" in capsys.readouterr().out
    for words in (["inspect", str(room)], ["evaluate", "--map", str(room), "--dataset", "synthetic_room"]):
        assert main([*words, "--require-signature", str(theirs)]) == 1
        assert re.fullmatch(r"vloc: error: [^\n]+ is no signature of map [^\n]+\n", capsys.readouterr().err)


def test_openssl_and_this_do_the_same(office: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    private, public = map(str, keys)
    manifest, signature, theirs = (str(office / name) for name in ("map.yaml", "map.yaml.sig", "their.sig"))
    tool = ["openssl", "pkeyutl", "-rawin", "-in", manifest]
    sign_map(office, keys[0])
    subprocess.run([*tool, "-verify", "-pubin", "-inkey", public, "-sigfile", signature], check=True, stdout=-3)
    subprocess.run([*tool, "-sign", "-inkey", private, "-out", theirs], check=True)
    assert Path(theirs).read_bytes() == Path(signature).read_bytes()  # Ed25519 signs without chance
