"""The volume of a map: what is inside, what counts as inside, and what is refused."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from support.map_files import joined_map, make_map

from vloc_ros.core.correspondences import Correspondences
from vloc_ros.core.gate import gate
from vloc_ros.core.manifest import GateThresholds
from vloc_ros.core.types import PoseEstimate, Rejection, RejectionReason
from vloc_ros.geometry.extent import MARGIN, NEAR_A_VIEW, Extent
from vloc_ros.geometry.transforms import from_quaternion

CORNERS = np.array(list(product((0.0, 4.0), (0.0, 3.0), (0.0, 2.0))))
VIEWS = np.array([[2.0, 1.5, 1.0], [1.0, 1.0, 1.0]])
ROOM = Extent.of(CORNERS, VIEWS)
TURN = from_quaternion((0.1, -0.5, 0.3, 0.8), (5.0, -7.0, 1.0))


def estimate_at(position: np.ndarray, place: str | None = None) -> PoseEstimate:
    pose = np.eye(4)
    pose[:3, 3] = position
    points = Correspondences(np.zeros((40, 2)), np.zeros((40, 3)), np.ones(40), np.zeros(40, np.int32))
    return PoseEstimate(pose, np.eye(6) * 1e-6, points, np.ones(40, bool), 0.5, 0.9, place=place)


def test_points_that_span_it_are_inside_however_it_is_turned() -> None:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(len(CORNERS)), 200)
    turned = Extent.of(CORNERS @ TURN[:3, :3].T + TURN[:3, 3], VIEWS @ TURN[:3, :3].T + TURN[:3, 3])
    for point in (*CORNERS, *VIEWS, *(shares @ CORNERS)):
        assert ROOM.outside_m(point) == 0
        assert turned.outside_m(TURN[:3, :3] @ point + TURN[:3, 3]) == 0


def test_far_points_are_outside_by_their_distance() -> None:
    assert ROOM.outside_m(np.array([5.0, 1.5, 1.0])) == pytest.approx(1.0)
    assert ROOM.outside_m(np.array([2.0, 1.5, -3.0])) == pytest.approx(3.0)
    for position in np.random.default_rng(1).normal(size=(50, 3)):
        away = 20 * position / np.linalg.norm(position)
        assert 10 < ROOM.outside_m(np.array([2.0, 1.5, 1.0]) + away) <= 20


def test_an_l_shaped_place_is_not_its_box() -> None:
    along = np.linspace(0, 10, 50)
    corridor = np.concatenate([np.c_[along, 0 * along, 0 * along], np.c_[0 * along, along, 0 * along]])
    assert Extent.of(corridor, corridor[:1]).outside_m(np.array([9.0, 9.0, 0.0])) > 5


def test_a_little_outside_is_inside() -> None:
    size = float(np.linalg.norm([4, 3, 2]))
    assert ROOM.outside_m(np.array([4 + 0.9 * MARGIN * size, 1.5, 1.0])) == 0
    assert ROOM.outside_m(np.array([4 + 1.1 * MARGIN * size, 1.5, 1.0])) > 0


def test_near_a_mapping_view_is_inside() -> None:
    """One side of a street: landmarks in front of the views, nothing behind them."""
    landmarks = np.array([[0.0, 0.0, 10.0], [20.0, 0.0, 10.0], [0.0, -8.0, 10.0], [20.0, -8.0, 10.0]])
    views = np.array([[x, -1.5, 0.0] for x in np.linspace(2, 18, 30)])
    street = Extent.of(landmarks, views)
    assert 6 < NEAR_A_VIEW * street.size < 8
    assert street.outside_m(np.array([10.0, -1.5, -6.0])) == 0
    assert street.outside_m(np.array([10.0, -1.5, -8.0])) == pytest.approx(8.0)


def test_a_pose_outside_is_refused_with_how_far() -> None:
    inside, outside = estimate_at(np.array([1.0, 1.0, 1.0])), estimate_at(np.array([5.5, 1.5, 1.0]))
    assert gate(inside, GateThresholds(), ROOM) is inside
    assert gate(outside, GateThresholds()) is outside
    result = gate(outside, GateThresholds(), ROOM)
    assert isinstance(result, Rejection)
    assert (result.reason, result.refused) == (RejectionReason.OUTSIDE_MAP, outside)
    assert result.detail.startswith("1.50 m outside")
    weak = gate(outside, GateThresholds(min_inliers=50), ROOM)
    assert isinstance(weak, Rejection)
    assert weak.reason is RejectionReason.TOO_FEW_INLIERS, "what the gate said before, it still says"


def test_each_place_has_its_own_extent() -> None:
    joined = joined_map()
    positions = joined.positions + 100.0 * joined.places[:, None]
    views = joined.mapping_views.copy()
    views[:, :3, 3] += 100.0 * joined.view_places[:, None]
    apart = replace(joined, positions=positions, mapping_views=views)
    hall, attic = apart.extent_of("hall"), apart.extent_of("attic")
    assert hall is apart.extent_of("hall"), "made once"
    assert hall is not None
    assert attic is not None
    assert hall.outside_m(positions[0]) == attic.outside_m(positions[1]) == 0
    assert hall.outside_m(positions[1]) > 50
    assert attic.outside_m(positions[0]) > 50
    assert apart.extent_of("cellar") is None


def test_a_map_whose_views_are_not_known_refuses_nothing() -> None:
    assert make_map().extent_of(None) is not None
    assert replace(make_map(), mapping_views=np.empty((0, 4, 4))).extent_of(None) is None
