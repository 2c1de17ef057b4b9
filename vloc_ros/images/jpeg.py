"""What is to be known of a JPEG before and beside decoding it: its size, whether it ends, whether it is damaged."""

import re

from vloc_ros.errors import ImageError
from vloc_ros.images.limits import check_pixels

try:  # tells libjpeg's warnings; OpenCV, which decodes, does not
    import simplejpeg
except ImportError:
    simplejpeg = None

START = b"\xff\xd8"
_SCAN, _END = b"\xff\xda", b"\xff\xd9"
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # segments that say how large the image is
# As libjpeg finds markers: what is none is skipped, any more 0xFF before one too. Without those that have no segment.
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
MAX_SEGMENTS = 1000  # before the pixels
MAX_SCANS = 32  # of a progressive image, where each costs time for the whole image; usual are ten

# The warnings and errors that mean other pixels. Not among them: fewer than 16 bytes too many behind a row or the whole
# of the pixels, as many webcams write, and whatever a header has too much.
_DAMAGE = re.compile(
    r"bad (Huffman|arithmetic) code|[Pp]remature end|instead of RST|Inconsistent progression|Unsupported marker"
    r"|two SOI markers|(1[6-9]|[2-9]\d|\d{3,}) extraneous bytes before marker 0xd\d|before marker 0x(c4|da)"
)


def check_header(data: bytes) -> None:
    """Raise ImageError for a JPEG that does not end, says no size, or is too large to be decoded.

    Decoders fill the missing part of a truncated image with grey. Bytes after the end, as cameras pad with, are right.
    """
    size, scan = _size_and_scan(data)
    if scan < 0 or data.find(_END, scan) < 0:
        raise ImageError(f"truncated, the image ends after {len(data)} bytes")
    if size is None:
        raise ImageError("damaged, it does not say its size")
    check_pixels(*size)
    if (scans := data.count(_SCAN, scan)) > MAX_SCANS:
        raise ImageError(f"its pixels come in {scans} scans, at most {MAX_SCANS} are decoded")


def _size_and_scan(data: bytes) -> tuple[tuple[int, int] | None, int]:
    """Width and height, and where the first scan begins, -1 if there is none. The segments before it are stepped over:
    they may hold whole thumbnails. In scans, the two bytes of a marker do not occur otherwise."""
    size, at = None, len(START)
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(data, at)
        if not found or found[1] == _END[1:]:
            break
        if found[1] == _SCAN[1:]:
            return size, found.start()
        begin = found.end()
        if found[1][0] in _FRAMES:
            size = _number(data, begin + 5), _number(data, begin + 3)
        at = begin + max(2, _number(data, begin))
    return size, -1


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")


def check_damage(data: bytes) -> None:
    """Raise ImageError for a JPEG that libjpeg warns of. Does nothing where simplejpeg is not installed.

    Most damage gives no warning, and cannot be known: JPEG has no checksum.
    """
    if simplejpeg is None:
        return
    try:  # grey and an eighth as large: all bits are read, few pixels are made of them
        simplejpeg.decode_jpeg(data, "GRAY", fastdct=True, fastupsample=True, min_height=1, min_width=1)
    except ValueError as error:
        if _DAMAGE.search(str(error)):
            raise ImageError(f"damaged: {error}") from error
