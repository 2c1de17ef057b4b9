"""Writes the keyframes of a camera of a recording, as they come from a bag, into a folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vloc_ros.bags.depth_topics import DepthBuffer
from vloc_ros.bags.reader import Bag, Message, Topic
from vloc_ros.datasets.bag_frames import BagFrames
from vloc_ros.datasets.recorded_depth import RecordedDepth
from vloc_ros.datasets.types import Frame
from vloc_ros.errors import DatasetError
from vloc_ros.files import write_errors
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.transforms import Matrix
from vloc_ros.images.quality import sharpness

FEWEST_KEYFRAMES = 10
MILLIMETRES = 1000.0
MAX_DEPTH_M = 65.0


@dataclass(frozen=True, eq=False)
class _Candidate:
    stretch: int
    frame: Frame
    message: Message
    sharpness: float


class KeyframeWriter:
    """Chooses the sharpest candidate of each stretch, and writes it with its depth. Images and depth that cannot be
    used, `damaged`, are left out, unless none can. `poses` of what was written, by name, and its `camera`."""

    def __init__(
        self, bag: Bag, folder: Path, frames: BagFrames, depth: RecordedDepth | None, prefix: str = ""
    ) -> None:
        """`prefix`: of the frames' names."""
        self._bag, self._folder, self.frames, self._depth, self._prefix = bag, folder, frames, depth, prefix
        self._buffer = DepthBuffer(depth.max_gap_s if depth else 0.0, self._compare)
        self._best: tuple[_Candidate, Message | None] | None = None
        self.poses: dict[str, Matrix] = {}
        self._camera: Camera | None = None
        self._without_depth = 0
        self.damaged: list[DatasetError] = []
        self._shows_depth = False

    @property
    def camera(self) -> Camera:
        """Behind `write`."""
        assert self._camera is not None
        return self._camera

    def write(self, chosen: dict[int, int], advance: Any) -> None:
        """The images chosen, by their stamps with the numbers of their stretches. Raises DatasetError where there are
        too few."""
        with write_errors(self._folder):
            for part in ("images", "depth"):
                self._file(part, "").parent.mkdir(parents=True, exist_ok=True)
        image = self.frames.topics.image
        topics: list[Topic] = [image] if self._depth is None else [image, self._depth.topic]
        total = sum(topic.count for topic in topics)
        for done, message in enumerate(self._bag.messages(topics), start=1):
            if message.topic != image.name:
                self._buffer.depth(message)
            elif (stretch := chosen.pop(message.header[0], None)) is not None:
                self._candidate(message, stretch)
            advance(done, total)
        self._buffer.finish()
        self._write_best()
        self._require_enough()

    def summary(self) -> dict[str, Any]:
        return {
            "keyframes": len(self.poses),
            "candidates_without_depth": self._without_depth,
            "candidates_damaged": len(self.damaged),
            "depth_topic": self._depth.topic.name if self._depth else "",
        }

    def _candidate(self, message: Message, stretch: int) -> None:
        try:
            frame = self.frames.frame_of(message)
        except DatasetError as error:
            self._leave_out(error)
            return
        item = _Candidate(stretch, frame, message, sharpness(frame.image.rgb))
        if self._depth is None:
            self._compare(item, None)
        else:
            self._buffer.wait(message.header[0], item)

    def _compare(self, item: Any, depth: Message | None) -> None:
        """Of a recording with depth, an image without is of no use."""
        if self._depth is not None and (depth is None or not self.frames.is_posed(depth)):
            self._without_depth += 1
        elif self._best is None or item.stretch != self._best[0].stretch:
            self._write_best()
            self._best = item, depth
        elif item.sharpness > self._best[0].sharpness:
            self._best = item, depth

    def _write_best(self) -> None:
        if self._best is None:
            return
        (candidate, depth), self._best = self._best, None
        frame = candidate.frame
        self._require_one_camera(frame)
        if self._depth is not None and depth is not None:
            try:
                metres = self._depth.of(frame, depth)
            except DatasetError as error:
                self._leave_out(error)
                return
            values = np.round(np.minimum(metres, MAX_DEPTH_M) * MILLIMETRES).astype(np.uint16)
            self._shows_depth = self._shows_depth or bool(values.any())
            _write_png(self._file("depth", frame.name), values)
        bgr = cv2.cvtColor(frame.image.rgb, cv2.COLOR_RGB2BGR)
        _write_png(self._file("images", frame.name), np.asarray(bgr))
        self.poses[f"{self._prefix}{frame.name}"] = frame.map_from_camera

    def _file(self, part: str, name: str) -> Path:
        return self._folder / part / f"{self._prefix}{name}.png"

    def _leave_out(self, error: DatasetError) -> None:
        """One of many is damage of a recording; if there is nothing else, the error says why."""
        self.damaged.append(error)
        if not self.poses and len(self.damaged) >= FEWEST_KEYFRAMES:
            raise self.damaged[0]

    def _require_one_camera(self, frame: Frame) -> None:
        camera = frame.image.camera
        self._camera = self._camera or camera
        if camera != self._camera:
            raise DatasetError(
                f"{self._bag.path}: {self.frames.topics.info.name}: the camera changes at {frame.name} s from "
                f"{self._camera} to {camera}: this is another camera, or its lens was moved"
            )

    def _require_enough(self) -> None:
        if self._camera is None or len(self.poses) < FEWEST_KEYFRAMES:
            without_depth = f", {self._without_depth} have no depth near in time" if self._depth else ""
            why = without_depth + (f", {len(self.damaged)} are damaged ({self.damaged[0]})" if self.damaged else "")
            raise DatasetError(
                f"{self._bag.path}: {len(self.poses)} keyframes are too few for a map, at least {FEWEST_KEYFRAMES} "
                f"are needed: of {len(self.frames)} images {self.frames.skipped} have no pose{why}, and "
                "where the camera has been before, it shows nothing new"
            )
        if self._depth is not None and not self._shows_depth:
            raise DatasetError(
                f"{self._bag.path}: {self._depth.topic.name}: no depth that is known in any of the {len(self.poses)} "
                "keyframes: is it the right topic, and does the camera see as far?"
            )


def _write_png(path: Path, values: NDArray[Any]) -> None:
    _, encoded = cv2.imencode(".png", values, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    with write_errors(path):  # complete or not: `RECORD` says so
        path.write_bytes(encoded.tobytes())
