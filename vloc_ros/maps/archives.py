"""Zip archives that may be anything: stored or deflated members only, and no more of them than was asked for."""

import io
import zipfile
import zlib

from vloc_ros.errors import MapError, NoFileError

ENTRY = b"PK\x01\x02"  # begins an entry of the list of members; by chance it is hardly ever elsewhere
MAX_ENTRIES = 1000  # that zipfile makes objects of before anybody can count them
KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others may take any amount of memory to unpack
ENCRYPTED = 0x1
# What zipfile and zlib raise for damaged archives; RuntimeError stands for an encrypted member.
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, NotImplementedError)


def open_archive(content: bytes, message: str, max_members: int) -> zipfile.ZipFile:
    """The archive in `content`. Raises MapError with `message` where there is none, and for one that names a member
    twice, or more than `max_members`."""
    if content.count(ENTRY) > MAX_ENTRIES:
        raise MapError(f"{message}: more than {max_members} files")
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (*UNREADABLE, OverflowError) as error:
        raise MapError(message) from error
    names = archive.namelist()
    if len(names) > max_members:
        raise MapError(f"{message}: more than {max_members} files")
    if len(set(names)) < len(names):
        raise MapError(f"{message}: it names a file twice")
    return archive


def read_member(archive: zipfile.ZipFile, where: str, name: str, max_bytes: int) -> bytes:
    """Content of a member. Raises MapError for one that is missing or damaged, and for more than `max_bytes`."""
    path = f"{where}/{name}"
    try:
        member = archive.getinfo(name)
        if member.compress_type not in KINDS or member.flag_bits & ENCRYPTED:
            raise MapError(f"{path}: is packed in a way that maps do not use")
        if member.file_size > max_bytes:
            raise MapError(f"{path}: {member.file_size} bytes, expected at most {max_bytes}")
        with archive.open(member) as file:
            return file.read(max_bytes)
    except KeyError as error:
        raise NoFileError(f"{path}: missing") from error
    except UNREADABLE as error:
        raise MapError(f"{path}: damaged, it cannot be unpacked") from error
