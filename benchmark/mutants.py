"""Seeded mutations of valid inputs: what each function returns depends on its random generator only.

The mutants are what files and messages become by damage, by editing and by other people's programs. None of them is
made to crash a library: networks, for instance, are cut and changed in what they say of themselves, not at random.
"""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
Rng = np.random.Generator

ODD_WORDS = (
    "",
    "0",
    "-1",
    "nan",
    "inf",
    "-inf",
    "1e308",
    "1e-320",
    "9" * 400,
    "0x10",
    "1_000",
    "1,5",
    "12:30:45",
    "yes",
    "null",
    "~",
    "[]",
    "{}",
    "{a: b}",
    "[[[[[[]]]]]]",
    "&a [1, 2]",
    "*a",
    "<<",
    "!!binary aGk=",
    "'",
    '"',
    '"\\ud800"',
    '"\\e[31m"',
    "a" * 300,
    "a/b",
    "../up",
    "/",
    "\u202eabc",
    "käse",
    "\x1b[2J",
    "\t",
    "1 2 3",
    "2026-11-28",
    "1e400",
    "-0",
    "true",
)
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    -1e308,
    1e-320,
    10**30,
    2**31,
    2**63,
    "",
    "x" * 300,
    "\x1b[31m",
    "a\nb",
    "\ud800",
    [],
    {},
    [[]],
    [None],
    [1, "a"],
    {"a": {"b": {}}},
    [[[[[[[[]]]]]]]],
    "1",
    "nan",
    [0] * 1000,
)
ODD_NUMBERS = (0.0, -1.0, np.nan, np.inf, -np.inf, 1e300, -1e300, 1e-300, 1e6)


def one_of(rng: Rng, items: Sequence[T]) -> T:
    return items[int(rng.integers(len(items)))]


def damaged(rng: Rng, content: bytes) -> bytes:
    """Bytes as a bad disk, a cut transfer or a wrong program leaves them."""
    data = bytearray(content)
    at, end = sorted(int(x) for x in rng.integers(0, len(data) + 1, 2))
    end = min(end, at + 64)
    kind = int(rng.integers(8))
    if kind <= 2:
        for where in rng.integers(0, len(data), int(rng.integers(1, 9))):
            data[int(where)] = int(rng.integers(256))
    elif kind == 3:
        del data[at:]
    elif kind == 4:
        del data[at:end]
    elif kind == 5:
        data[at:end] = bytes(end - at)
    elif kind == 6:
        data[at:at] = rng.bytes(int(rng.integers(1, 64)))
    else:
        data += bytes(int(rng.integers(1, 256)))
    return bytes(data)


def edited(rng: Rng, text: str) -> bytes:
    """A text file as somebody edits it, or as another program writes it."""
    lines = text.splitlines()
    at = int(rng.integers(len(lines)))
    words = lines[at].split(" ")
    word = int(rng.integers(len(words)))
    kind = int(rng.integers(10))
    if kind <= 3:
        words[word] = one_of(rng, ODD_WORDS)
        lines[at] = " ".join(words)
    elif kind == 4:
        del words[word]
        lines[at] = " ".join(words)
    elif kind == 5:
        lines.insert(int(rng.integers(len(lines))), lines[at])
    elif kind == 6:
        del lines[at]
    elif kind == 7:
        lines[at] = one_of(rng, (",", ";", "\t", "  ")).join(words)
    elif kind == 8:
        return "\n".join(lines).encode(one_of(rng, ("utf-16", "utf-8-sig", "utf-32", "latin-1")), "replace")
    else:
        return damaged(rng, text.encode())
    return "\n".join(lines).encode("utf-8", "surrogatepass") + b"\n"


def odd_json(rng: Rng, document: Any) -> Any:
    """The document with one of its values, keys or elements replaced, removed or doubled."""
    if isinstance(document, dict) and document and rng.random() < 0.85:
        key = one_of(rng, sorted(document))
        changed = dict(document)
        if rng.random() < 0.1:
            del changed[key]
        elif rng.random() < 0.1:
            changed[str(one_of(rng, ODD_VALUES))] = changed[key]
        else:
            changed[key] = odd_json(rng, document[key])
        return changed
    if isinstance(document, list) and document and rng.random() < 0.85:
        at = int(rng.integers(len(document)))
        return [*document[:at], odd_json(rng, document[at]), *document[at + 1 :]]
    return one_of(rng, ODD_VALUES)


def odd_json_bytes(rng: Rng, content: bytes) -> bytes:
    if rng.random() < 0.2:
        return damaged(rng, content)
    if rng.random() < 0.1:
        depth = int(rng.integers(10, 500))
        return b"[" * depth + b"]" * depth
    return json.dumps(odd_json(rng, json.loads(content))).encode()


def odd_array(rng: Rng, array: np.ndarray) -> np.ndarray:
    """An array of other values, of another type or of another shape; never more than a few megabytes."""
    kind = int(rng.integers(8))
    if kind <= 2 and array.size:
        changed = array.astype(np.float64)
        for where in rng.integers(0, array.size, int(rng.integers(1, 4))):
            changed.flat[int(where)] = one_of(rng, ODD_NUMBERS)
        with np.errstate(all="ignore"):
            return changed.astype(array.dtype if rng.random() < 0.8 else np.float64)
    if kind == 3:
        return array.astype(one_of(rng, ("f2", "f8", "i8", "u1", "c16", "S8", "U4", "?", ">f4")))
    if kind == 4:
        return array[: int(rng.integers(len(array) + 1))] if array.ndim else array[np.newaxis]
    if kind == 5:
        return array.reshape(-1) if rng.random() < 0.5 else array[np.newaxis]
    if kind == 6:
        return np.zeros((0, *array.shape[1:]), array.dtype)
    return np.concatenate([array, array]) if array.ndim else np.stack([array] * 3)


def png_of_size(content: bytes, width: int, height: int) -> bytes:
    """The same PNG, claiming another size."""
    header = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + content[24:29]
    return content[:12] + header + zlib.crc32(header).to_bytes(4, "big") + content[33:]


def odd_fields(rng: Rng, message: Any, others: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """One to three fields of a message, each with another value from `others`."""
    names = [name for name in others if hasattr(message, name)]
    chosen = rng.choice(len(names), size=min(len(names), int(rng.integers(1, 4))), replace=False)
    return {names[int(i)]: one_of(rng, others[names[int(i)]]) for i in chosen}


def seeded(seed: int, kind: str, index: int) -> Rng:
    """The generator of one mutant: the same in every run, however many others are made."""
    return np.random.default_rng([seed, zlib.crc32(kind.encode()), index])


def sealed(body: bytes) -> bytes:
    body = body if body.endswith(b"\n") else body + b"\n"
    return body + f"sha256: {hashlib.sha256(body).hexdigest()}\n".encode()


def packed(files: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def odd_archive(rng: Rng, content: bytes) -> bytes:
    """An npz with one array changed, missing, doubled or of no array at all, or packed in another way."""
    if rng.random() < 0.2:
        return damaged(rng, content)
    with np.load(io.BytesIO(content)) as archive:
        members = {f"{name}.npy": npy(archive[name]) for name in archive.files}
        name = one_of(rng, archive.files)
        array = archive[name]
    kind = int(rng.integers(8))
    if kind <= 4:
        members[f"{name}.npy"] = npy(odd_array(rng, array))
    elif kind == 5:
        del members[f"{name}.npy"]
    elif kind == 6:
        member = bytearray(members[f"{name}.npy"])
        for where in rng.integers(8, min(len(member), 80), 2):
            member[int(where)] = int(rng.integers(32, 127))
        members[f"{name}.npy"] = bytes(member)
    else:
        members[str(one_of(rng, ("method_x.npy", "x", "../x.npy", "ids.npy ")))] = rng.bytes(50)
    how = int(one_of(rng, (zipfile.ZIP_DEFLATED,) * 6 + (zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)))
    packed_again = io.BytesIO()
    with zipfile.ZipFile(packed_again, "w", how) as archive_again:
        for member_name, data in members.items():
            archive_again.writestr(member_name, data)
    return packed_again.getvalue()


def npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    return content.getvalue()
