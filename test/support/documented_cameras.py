"""For tests: the camera_infos of docs/ros.md, and what becomes of them."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import yaml

from support.documented_tables import code_in, table_below
from vloc_ros.geometry.camera import Camera
from vloc_ros.geometry.camera_info import info_fields

TAKEN = "taken"
CAMERA = Camera(640, 480, 525.0, 525.0, 319.5, 239.5)  # what the page calls right
NO_ROI = {"x_offset": 0, "y_offset": 0, "width": 0, "height": 0}


@dataclass(frozen=True)
class Example:
    """A camera_info of the page: its changes to a right one, and the words it is refused with, "" if it is taken."""

    changes: dict[str, Any]
    words: str

    @property
    def fields(self) -> dict[str, Any]:
        """All of them, but for the header."""
        changes = {"binning_x": 0, "binning_y": 0, "roi": {}, **self.changes}
        return {**info_fields(CAMERA), **changes, "roi": {**NO_ROI, **changes["roi"]}}

    @property
    def info(self) -> Any:
        """As an object like the messages, whoever makes these."""
        fields = self.fields
        return SimpleNamespace(**{**fields, "roi": SimpleNamespace(**fields["roi"])})

    def __str__(self) -> str:
        return f"{self.changes}"


def _examples() -> list[Example]:
    rows = table_below("Cameras: calibration")
    return [
        Example(yaml.safe_load(text), "" if row[""] == TAKEN else code_in(row[""])[0])
        for row in rows
        for text in code_in(row["for example"])
    ]


EXAMPLES = _examples()
