"""What is said of a focal length that images tell well, and of one that they do not."""

from pathlib import Path

import numpy as np
import pytest

from vloc_ros.errors import DatasetError
from vloc_ros.mapping.sfm.focal_length import FocalLength


@pytest.mark.parametrize(
    ("found", "doubtful"),
    [
        (FocalLength(528.5, 526.8, 0.3), False),  # a room
        (FocalLength(528.5, 526.8, None), False),
        (FocalLength(511.9, 525.1, 0.7), True),  # along a corridor
        (FocalLength(525.0, 525.1, 5.0), True),
        (FocalLength(525.0, 525.1, np.inf), True),
        (FocalLength(525.0, 525.1, np.nan), True),
    ],
)
def test_a_focal_length_in_doubt_is_a_warning(found: FocalLength, doubtful: bool) -> None:
    line = found.describe()
    assert found.is_doubtful is doubtful
    assert line.startswith("warning: ") is doubtful
    assert ("--camera" in line) is doubtful
    assert f"{found.adjusted:.1f} pixels" in line
    assert "nan" not in line
    assert "inf" not in line


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "focal.json"
    for sigma in (0.3, None):
        FocalLength(528.5, 526.8, sigma).save(path)
        assert FocalLength.load(path) == FocalLength(528.5, 526.8, sigma)
    path.write_text("{")
    with pytest.raises(DatasetError, match=r"focal\.json: cannot be read"):
        FocalLength.load(path)
