"""How large an image may be: known before anything is decoded, so that no message or file takes gigabytes."""

from vloc_ros.errors import ImageError

MAX_PIXELS = 64_000_000  # 8000 x 8000; decoding takes up to 16 bytes for each


def check_pixels(width: int, height: int) -> None:
    """Raise ImageError for an image without pixels, or with more than MAX_PIXELS."""
    if width < 1 or height < 1:
        raise ImageError(f"it is empty ({width}x{height} pixels)")
    if width * height > MAX_PIXELS:
        raise ImageError(f"{width}x{height} pixels are more than the {MAX_PIXELS // 10**6} million that are decoded")
