"""Draws the diagrams of the documentation as SVG files beside this script: `python docs/pictures/diagrams.py`.

Boxes have a light ground of their own and arrows are grey, so that they can be read on light and on dark pages.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from pathlib import Path

HERE = Path(__file__).parent
WIDTH, GAP = 132, 28  # of a box, and between two
TITLE_HEIGHT, LINE_HEIGHT, PADDING = 20, 15, 8
GROUNDS = {"offline": "#fff3d6", "map": "#e3f5e1", "online": "#dfeafc", "ros": "#f1e4f8", "other": "#eceff3"}
GREY = "#7a8696"


@dataclass
class Drawing:
    """Parts of an SVG; grows to what is drawn into it."""

    parts: list[str] = field(default_factory=list)
    width: float = 0
    height: float = 0

    def box(self, x: float, y: float, kind: str, title: str, *lines: str, width: float = WIDTH, room: int = 0) -> "Box":
        """A box with a title in bold and small lines below it, with room for at least so many."""
        height = TITLE_HEIGHT + LINE_HEIGHT * max(room, len(lines)) + 2 * PADDING
        middle = x + width / 2
        self.parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="{GROUNDS[kind]}" stroke="{GREY}"/>'
        )
        self._text(middle, y + PADDING + 14, title, 'class="title"')
        for number, text in enumerate(lines):
            self._text(middle, y + PADDING + TITLE_HEIGHT + 11 + LINE_HEIGHT * number, text, "")
        self._reach(x + width, y + height)
        return Box(x, y, width, height)

    def arrow(self, *points: tuple[float, float], label: str = "") -> None:
        """A line with a head at its last point; the label stands above the middle of its longest part."""
        path = " ".join(f"{x},{y}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{GREY}" marker-end="url(#head)"/>')
        if label:
            (x0, y0), (x1, y1) = max(pairwise(points), key=lambda p: abs(p[0][0] - p[1][0]) + abs(p[0][1] - p[1][1]))
            upright = abs(x1 - x0) < abs(y1 - y0)
            at = 'class="label side"' if upright else 'class="label"'
            self._text((x0 + x1) / 2 + (6 if upright else 0), (y0 + y1) / 2 + (4 if upright else -6), label, at)

    def heading(self, x: float, y: float, text: str) -> None:
        self._text(x, y, text, 'class="heading"')

    def chain(self, x: float, y: float, kind: str, boxes: Sequence[Sequence[str]]) -> list["Box"]:
        """Boxes from left to right, all of one height, with arrows between them."""
        room = max(len(content) for content in boxes) - 1
        drawn: list[Box] = []
        for content in boxes:
            drawn.append(self.box(x + len(drawn) * (WIDTH + GAP), y, kind, *content, room=room))
            if len(drawn) > 1:
                self.arrow(drawn[-2].right, drawn[-1].left)
        return drawn

    def write(self, name: str, title: str) -> None:
        width, height = self.width + 10, self.height + 10
        (HERE / f"{name}.svg").write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}">\n'
            f"<title>{escape(title)}</title>\n<style>\n"
            "text { font: 11px 'DejaVu Sans', sans-serif; fill: #1f2733; text-anchor: middle }\n"
            ".title { font: bold 13px sans-serif }\n"
            f".label {{ fill: {GREY}; font-style: italic }}\n.side {{ text-anchor: start }}\n"
            f".heading {{ fill: {GREY}; font: bold 14px sans-serif; text-anchor: start }}\n</style>\n"
            '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
            f'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{GREY}"/></marker></defs>\n'
            + "\n".join(self.parts)
            + "\n</svg>\n",
            encoding="utf-8",
        )

    def _text(self, x: float, y: float, text: str, attributes: str) -> None:
        self.parts.append(f'<text x="{x:g}" y="{y:g}" {attributes}>{escape(text)}</text>')

    def _reach(self, x: float, y: float) -> None:
        self.width, self.height = max(self.width, x), max(self.height, y)


@dataclass(frozen=True)
class Box:
    """Where a box is, and the middles of its sides."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> tuple[float, float]:
        return self.x, self.y + self.height / 2

    @property
    def right(self) -> tuple[float, float]:
        return self.x + self.width, self.y + self.height / 2

    @property
    def top(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y

    @property
    def bottom(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height


def architecture() -> None:
    """Offline stages, the map, the online pipeline and the nodes."""
    drawing = Drawing()
    drawing.heading(10, 24, "offline: vloc map")
    stages = drawing.chain(10, 36, "offline", [
        ("sources", "images, poses,", "depth or mesh"),
        ("geometry", "surface", "of the place"),
        ("regions", "landmark patches", "or a tree"),
        ("samples", "labels,", "novel views"),
        ("training", "network", "(PyTorch)"),
        ("export", "ONNX, compared", "with PyTorch"),
        ("calibration", "covariance,", "confidence, gate"),
    ])  # fmt: skip
    stored = drawing.box(10, 170, "map", "map directory", "map.yaml", "network.onnx", "regions.npz")
    last = stages[-1].bottom
    drawing.arrow(last, (last[0], 140), (stored.top[0], 140), stored.top)
    drawing.heading(10 + WIDTH + GAP, 160, "online: localize(), no PyTorch")
    steps = drawing.chain(10 + WIDTH + GAP, 170, "online", [
        ("observe", "network", "(ONNX Runtime,", "TensorRT)"),
        ("propose", "2-D to 3-D", "correspondences"),
        ("solve, refine", "PoseLib", "(RANSAC)"),
        ("calibrate", "covariance,", "confidence"),
        ("gate", "accept", "or reject"),
    ])  # fmt: skip
    drawing.arrow(stored.right, steps[0].left)
    drawing.heading(10, 312, "ROS 2")
    server = drawing.box(10, 324, "ros", "vloc_map_server", "serves the map", room=2)
    drawing.arrow(stored.bottom, server.top)
    node = drawing.box(
        10 + WIDTH + GAP, 324, "ros", "relocalizer", "camera, TF, track", "one image at a time", width=2 * WIDTH + GAP
    )
    drawing.arrow(server.right, node.left)
    called = steps[0].bottom
    drawing.arrow((called[0], node.y), called, label="calls localize()")
    outputs = drawing.box(
        node.x + node.width + 4 * GAP, 324, "other", "robot", "pose, map -> odom,", "status", width=180
    )
    drawing.arrow(node.right, outputs.left, label="publishes")
    drawing.write("architecture", "Offline stages make a map directory; the online pipeline and the nodes use it")


def way_of_an_image() -> None:
    """From an image message to pose, transform and status."""
    drawing = Drawing()
    first = drawing.chain(10, 10, "ros", [
        ("message", "Image or", "CompressedImage"),
        ("camera input", "camera_info, stamp,", "only the newest", "image is kept"),
    ])  # fmt: skip
    second = drawing.chain(10 + 2 * (WIDTH + GAP), 10, "online", [
        ("observe", "undistort, scale,", "run the network", ""),
        ("propose", "correspondences", "with the map"),
        ("solve", "PnP by RANSAC"),
    ])  # fmt: skip
    drawing.arrow(first[-1].right, second[0].left)
    lower = drawing.chain(10 + 2 * (WIDTH + GAP), 140, "online", [
        ("refine", "guided matching, if", "the map has points"),
        ("calibrate", "covariance and", "confidence"),
        ("gate", "thresholds of map", "and parameters"),
    ])  # fmt: skip
    end = second[-1].bottom
    drawing.arrow(end, (end[0], 112), (lower[0].top[0], 112), lower[0].top)
    after = drawing.chain(10 + 3 * (WIDTH + GAP), 270, "ros", [
        ("track", "camera to base,", "odometry, jump?"),
        ("fix", "~/pose, TF", "map -> odom"),
    ])  # fmt: skip
    end = lower[-1].bottom
    drawing.arrow(end, (end[0], 242), (after[0].top[0], 242), after[0].top, label="accepted")
    status = drawing.box(10, 270, "ros", "rejection", "~/status gives", "the reason")
    drawing.arrow(
        (lower[1].x + 20, lower[1].y + lower[1].height),
        (lower[1].x + 20, 254),
        (status.x + status.width / 2, 254),
        status.top,
        label="at any step: rejected",
    )
    drawing.write("image", "The way of an image through the relocalizer")


def tf_tree() -> None:
    """Who broadcasts which transform."""
    drawing = Drawing()
    gap, y = 120, 10
    frames = []
    for number, (name, text) in enumerate(
        [
            ("map", "frame of the map"),
            ("odom", "drifts, never jumps"),
            ("base_link", "the robot"),
            ("camera", "optical frame"),
        ]
    ):
        frames.append(drawing.box(10 + number * (WIDTH + gap), y, "ros" if number == 0 else "other", name, text))
    broadcasters = ("relocalizer", "odometry", "URDF (static)")
    for (parent, child), label in zip(pairwise(frames), broadcasters, strict=True):
        drawing.arrow(parent.right, child.left, label=label)
    drawing.write("tf", "The TF tree: map, odom, base_link, camera")


if __name__ == "__main__":
    architecture()
    way_of_an_image()
    tf_tree()
