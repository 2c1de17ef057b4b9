"""Who made a map: a detached Ed25519 signature of map.yaml, which holds the SHA-256 of every other file; of a building
that of building.json, which holds those of the map.yaml of each place and of all that tells places apart.

Keys are PEM files as `openssl genpkey -algorithm ed25519` makes them, and a signature is the 64 bytes that
`openssl pkeyutl -sign -rawin` writes, so that either can do the work of the other (RFC 8032, RFC 8410).
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from vloc_ros.errors import ConfigError, MapError, reason_of
from vloc_ros.files import open_regular, write_bytes
from vloc_ros.maps.building import Stored, StoredBuilding, read_stored
from vloc_ros.optional_packages import optional_packages, pip_install

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

MAX_KEY_BYTES = 1 << 14
PACKAGE = "cryptography"


def sign_map(directory: Path, key_file: Path) -> tuple[Stored, str]:
    """Check a map, or a building with all its places, and write its signature beside what is signed, in place of one
    that may be there. Returns the map as it then is, and the fingerprint of the key. Raises MapError, and ConfigError
    for what is no private key."""
    key = _private_key(key_file)
    stored = read_stored(directory)
    if isinstance(stored, StoredBuilding):
        for name in stored.places:
            stored.read_place(name)
    name, content = stored.signed
    write_bytes(directory / f"{name}.sig", key.sign(content), MapError)
    return read_stored(directory), fingerprint(key.public_key())


def require_signature(stored: Stored, where: str, key_file: Path | str) -> str:
    """Raise MapError unless the map has a signature of this public key; returns the key's fingerprint. `where` the map
    came from stands in front of messages. Raises ConfigError for what is no public key."""
    key = read_public_key(key_file)
    from cryptography.exceptions import InvalidSignature  # it is installed

    name, content = stored.signed
    if stored.signature is None:
        raise MapError(f"{where}: map {stored.map_id} is not signed, there is no {name}.sig")
    try:
        key.verify(stored.signature, content)
    except InvalidSignature as error:
        raise MapError(
            f"{where}: {name}.sig is no signature of map {stored.map_id} by the key {fingerprint(key)} of "
            f"{key_file}: of another key, or of another map"
        ) from error
    return fingerprint(key)


def read_public_key(key_file: Path | str) -> "Ed25519PublicKey":
    """Raises ConfigError for what is no public key of Ed25519, and without the package that checks signatures."""
    with optional_packages("a signature", pip_install(PACKAGE)):
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    content = _content(key_file)
    try:
        key = load_pem_public_key(content)
    except Exception as error:  # of several kinds, some of them of the library's own
        raise ConfigError(f"{key_file}: no public key in PEM: `openssl pkey -in KEY -pubout` writes it") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"{key_file}: a public key, but not of Ed25519")
    return key


def fingerprint(key: "Ed25519PublicKey") -> str:
    """16 hex digits by which people know a key: of the SHA-256 of its 32 bytes."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def _private_key(key_file: Path) -> "Ed25519PrivateKey":
    with optional_packages("a signature", pip_install(PACKAGE)):
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    content = _content(key_file)
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError as error:
        raise ConfigError(f"{key_file}: has a password; `openssl pkeyutl -sign -rawin` asks for it") from error
    except Exception as error:  # of several kinds, some of them of the library's own
        raise ConfigError(
            f"{key_file}: no private key in PEM: `openssl genpkey -algorithm ed25519 -out KEY` makes one"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{key_file}: a private key, but not of Ed25519")
    return key


def _content(key_file: Path | str) -> bytes:
    try:
        with open_regular(key_file) as file:
            return file.read(MAX_KEY_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a path with a character that no path has
        raise ConfigError(f"{key_file}: cannot be read: {reason_of(error)}") from error
