"""Image messages and the content of JPEG and PNG files -> pixels, for the nodes, bags and data sets alike."""

from vloc_ros.images.compressed import decode_depth, decode_rgb, decode_upright
from vloc_ros.images.message import to_rgb

__all__ = ["decode_depth", "decode_rgb", "decode_upright", "to_rgb"]
