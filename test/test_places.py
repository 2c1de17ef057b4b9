"""Maps of several places: which one the correspondences are of, and what a wrong one counts."""

from dataclasses import replace

import numpy as np
import pytest
from support.two_places import ATTIC, COUNT, HALL, PLACES, joined_map, located, seen

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.places import likeliest_place
from vloc_ros.core.types import PoseEstimate, Rejection, RejectionReason
from vloc_ros.errors import ConfigError


def together(*parts: Correspondences) -> Correspondences:
    return Correspondences(*(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])))


@pytest.mark.parametrize(("rows", "others", "place"), [(HALL, ATTIC[:15], "hall"), (ATTIC, HALL[:15], "attic")])
def test_only_landmarks_of_the_likeliest_place_become_the_pose(
    rows: np.ndarray, others: np.ndarray, place: str
) -> None:
    landmark_map = joined_map()
    found = together(seen(landmark_map, others, 1.0), seen(landmark_map, rows, 1.0))
    result = located(landmark_map, found)
    assert isinstance(result, PoseEstimate)
    assert result.place == place
    assert set(result.correspondences.landmark_ids) == set(landmark_map.ids[rows])
    assert result.map_from_camera == pytest.approx(np.eye(4), abs=1e-6)


def test_certain_landmarks_speak_louder_than_many_uncertain_ones() -> None:
    landmark_map = joined_map()
    few, many = seen(landmark_map, HALL[:10], 0.5), seen(landmark_map, ATTIC, 2.0)
    place, chosen = likeliest_place(together(many, few), landmark_map)
    assert (place, len(chosen)) == ("hall", 10)


def test_the_frame_is_that_of_the_place() -> None:
    manifest = joined_map().manifest
    assert [manifest.frame_of(place) for place in PLACES] == ["map_hall", "map_attic"]
    assert joined_map(places=()).manifest.frame_of(None) == "map"
    for unknown in (None, "cellar"):
        with pytest.raises(ConfigError, match="hall, attic"):
            manifest.frame_of(unknown)


def test_a_map_of_one_place_has_no_place() -> None:
    landmark_map = joined_map(places=())
    found = seen(landmark_map, np.arange(2 * COUNT), 1.0)
    assert likeliest_place(found, landmark_map)[1] is found
    result = located(landmark_map, found)
    assert isinstance(result, PoseEstimate)
    assert (result.place, len(result.correspondences)) == (None, 2 * COUNT)


@pytest.mark.parametrize(("places", "names"), [([0, 2, 1], PLACES), ([0, 1, 0], ())])
def test_a_place_that_the_map_has_not_is_one_clear_error(places: list[int], names: tuple[str, ...]) -> None:
    landmark_map = joined_map(places=names)
    faulty = replace(seen(landmark_map, HALL[:3], 1.0), places=np.array(places, np.int32))
    with pytest.raises(ConfigError, match=rf"^correspondences: place {max(places)}, of {len(names) or 1} from 0$"):
        likeliest_place(faulty, landmark_map)


def test_rejections_say_the_place_as_far_as_it_is_known() -> None:
    landmark_map = joined_map(min_confidence=1.0)
    refused = located(landmark_map, seen(landmark_map, ATTIC, 1.0))
    assert isinstance(refused, Rejection)
    assert refused.refused is not None
    assert refused.place == refused.refused.place == "attic"
    few = located(landmark_map, seen(landmark_map, HALL[:2], 1.0))
    assert isinstance(few, Rejection)
    assert (few.reason, few.place) == (RejectionReason.TOO_FEW_LANDMARKS, "hall")
    nothing = located(landmark_map, Correspondences.empty())
    assert nothing.place is None
