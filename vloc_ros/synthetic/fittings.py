"""What is fixed to a rendered room: its shell, doors, windows, what hangs. In frames as those of the furniture."""

from vloc_ros.synthetic.builder import SceneBuilder


def shell(room: SceneBuilder, size: tuple[float, float, float]) -> None:
    """Floor, ceiling, four walls, each a picture of its own, and skirting boards."""
    x, y, z = size
    room.panel((x / 2, y / 2, 0), "top", x, y, "floor")
    room.panel((x / 2, y / 2, z), "bottom", x, y, "ceiling")
    room.panel((x / 2, 0, z / 2), "north", x, z, "wall_south")
    room.panel((x / 2, y, z / 2), "south", x, z, "wall_north")
    room.panel((x, y / 2, z / 2), "west", y, z, "wall_east")
    room.panel((0, y / 2, z / 2), "east", y, z, "wall_west")
    for low, high in (((0, 0), (x, 0.02)), ((0, y - 0.02), (x, y)), ((0, 0), (0.02, y)), ((x - 0.02, 0), (x, y))):
        room.box((*low, 0), (*high, 0.09), "white")


def picture(
    room: SceneBuilder, width: float, height: float, image: str, frame: str = "dark_wood", glow: float = 0.0
) -> None:
    """A framed picture, centred at the frame's origin, its back on y = 0."""
    room.box((-width / 2 - 0.03, -0.025, -height / 2 - 0.03), (width / 2 + 0.03, 0, height / 2 + 0.03), frame, north="")
    room.panel((0, -0.028, 0), "south", width, height, image, glow=glow)


def curtain(room: SceneBuilder, width: float, height: float, image: str) -> None:
    """Folded cloth that hangs down from z = 0."""
    room.box((-width / 2, -0.07, -height), (width / 2, -0.01, 0), "red_cloth", south=image)


def door(room: SceneBuilder, width: float, height: float) -> None:
    """A closed door with its frame, a handle and a light switch beside it."""
    room.panel((0, -0.025, height / 2), "south", width, height, "door")
    for x in (-width / 2 - 0.07, width / 2):
        room.box((x, -0.05, 0), (x + 0.07, 0, height + 0.07), "white", north="")
    room.box((-width / 2, -0.05, height), (width / 2, 0, height + 0.07), "white", north="")
    room.box((width / 2 - 0.1, -0.08, 1.0), (width / 2 - 0.07, -0.025, 1.1), "metal")
    room.box((width / 2 - 0.2, -0.1, 1.04), (width / 2 - 0.07, -0.08, 1.065), "metal")
    room.box((width / 2 + 0.16, -0.015, 1.05), (width / 2 + 0.24, 0, 1.13), "white")


def window_band(
    room: SceneBuilder, width: float, bottom: float, top: float, panes: int, view: str, frame: str = "black"
) -> None:
    """A row of panes from z = `bottom` to `top`, with a sill; the picture `view` shines through all of them."""
    left, bar = -width / 2, 0.025
    room.panel((0, -0.02, (bottom + top) / 2), "south", width, top - bottom, view, glow=1.0)
    for k in range(panes + 1):
        x = left + k * width / panes
        room.box((x - bar, -0.06, bottom - bar), (x + bar, 0, top + bar), frame, north="")
    for z in (bottom, top):
        room.box((left, -0.055, z - bar), (left + width, 0, z + bar), frame, north="")
    room.box((left - 0.1, -0.2, bottom - 0.075), (left + width + 0.1, 0, bottom - 0.035), "white", north="")


def blind(room: SceneBuilder, width: float, drop: float, image: str) -> None:
    """A blind that hangs down from z = 0, its picture on the side of the room."""
    room.box((-width / 2, -0.1, -drop), (width / 2, -0.075, 0), "white", south=image)
    room.box((-width / 2 - 0.01, -0.12, -0.06), (width / 2 + 0.01, -0.06, 0.02), "white")


def ceiling_light(room: SceneBuilder, width: float, depth: float) -> None:
    """A flat luminaire, centred, that hangs below z = 0."""
    room.box((-width / 2, -depth / 2, -0.07), (width / 2, depth / 2, 0), "white", bottom="", top="")
    room.panel((0, 0, -0.065), "bottom", width, depth, "glow", glow=1.0)


def duct(room: SceneBuilder, length: float, width: float, height: float, image: str) -> None:
    """A sheet-metal air duct along x, centred below z = 0, with flanges and outlets."""
    x = length / 2
    room.box((-x, -width / 2, -height), (x, width / 2, 0), "metal", south=image, north=image, bottom=image, top="")
    for k in range(1, int(length)):
        at = -x + k * length / int(length)
        room.box((at - 0.02, -width / 2 - 0.02, -height - 0.02), (at + 0.02, width / 2 + 0.02, 0), "metal", top="")
        if k % 2:
            room.box((at + 0.3, -width / 2 - 0.03, -height + 0.07), (at + 0.62, -width / 2, -0.07), "black", north="")


def extinguisher(room: SceneBuilder) -> None:
    """A fire extinguisher on the wall, its foot at z = 0, and the sign above it."""
    room.prism((0, -0.1, 0), 0.075, 0.075, 0.42, "signal_red", sides=14)
    room.prism((0, -0.1, 0.42), 0.075, 0.025, 0.06, "signal_red", sides=14)
    room.box((-0.07, -0.13, 0.48), (0.05, -0.07, 0.53), "black")
    room.box((-0.03, -0.03, 0.1), (0.03, 0, 0.4), "black", north="")
    room.box((-0.05, -0.19, 0.1), (0.05, -0.17, 0.28), "paper", north="")
    room.box((-0.09, -0.006, 0.75), (0.09, 0, 0.93), "signal_red", north="")
