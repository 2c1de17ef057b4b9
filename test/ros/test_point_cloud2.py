"""Point clouds: what the nodes rely on, of the distribution's sensor_msgs_py or of the overlay's."""

import array

import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header

HEADER = Header(frame_id="map")
FIELDS = [
    PointField(name=name, offset=4 * index, datatype=datatype, count=1)
    for index, (name, datatype) in enumerate(
        [("x", PointField.FLOAT32), ("y", PointField.FLOAT32), ("z", PointField.FLOAT32), ("id", PointField.INT32)]
    )
]
XYZ = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
ROWS = [(*point, index) for index, point in enumerate(XYZ.tolist())]


def landmarks() -> PointCloud2:
    return point_cloud2.create_cloud(HEADER, FIELDS, ROWS)


def xyz(*points: tuple[float, float, float]) -> PointCloud2:
    return point_cloud2.create_cloud_xyz32(HEADER, points)


def test_rows_and_structures_make_the_same_cloud() -> None:
    cloud = landmarks()
    assert (cloud.header.frame_id, cloud.height, cloud.width, cloud.point_step, cloud.row_step) == ("map", 1, 5, 16, 80)
    assert list(cloud.fields) == FIELDS
    structured = np.array(ROWS, dtype=[("x", "f4"), ("y", "f4"), ("z", "f4"), ("id", "i4")])
    assert point_cloud2.create_cloud(HEADER, FIELDS, structured) == cloud
    points = point_cloud2.read_points(cloud)
    assert points.dtype.names == ("x", "y", "z", "id")
    np.testing.assert_array_equal(points["x"], XYZ[:, 0])
    np.testing.assert_array_equal(points["id"], range(5))


def test_coordinates_there_and_back() -> None:
    cloud = point_cloud2.create_cloud_xyz32(HEADER, XYZ)
    assert cloud == xyz(*XYZ.tolist())
    back = point_cloud2.read_points_numpy(cloud)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, XYZ)


def test_some_fields() -> None:
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(landmarks(), ["x", "z"]), XYZ[:, [0, 2]])
    assert point_cloud2.read_points(landmarks(), ["id"]).dtype.names == ("id",)
    with pytest.raises(AssertionError):
        point_cloud2.read_points(landmarks(), ["intensity"])
    with pytest.raises(AssertionError):
        point_cloud2.read_points_numpy(landmarks())


def test_points_without_numbers_can_be_left_out() -> None:
    nan = float("nan")
    cloud = xyz((0, 1, 2), (nan, 1, 2), (3, 4, nan), (5, 6, 7))
    kept = point_cloud2.read_points_numpy(cloud, skip_nans=True)
    np.testing.assert_array_equal(kept, [[0, 1, 2], [5, 6, 7]])
    assert len(point_cloud2.read_points(cloud, ["y"], skip_nans=True)) == 4
    assert len(point_cloud2.read_points(cloud)) == 4
    cloud.is_dense = True
    assert len(point_cloud2.read_points(cloud, skip_nans=True)) == 4


def test_some_points() -> None:
    cloud = point_cloud2.create_cloud_xyz32(HEADER, XYZ)
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud, uvs=[3, 1]), XYZ[[3, 1]])
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud, uvs=np.array([0])), XYZ[:1])


def test_points_may_be_padded() -> None:
    dtype = point_cloud2.dtype_from_fields(FIELDS, point_step=32)
    assert dtype.itemsize == 32
    cloud = point_cloud2.create_cloud(HEADER, FIELDS, ROWS, point_step=32)
    assert (cloud.point_step, len(cloud.data)) == (32, 5 * 32)
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud, ["x", "y", "z"]), XYZ)


def test_the_other_byte_order() -> None:
    cloud = landmarks()
    cloud.is_bigendian = True
    cloud.data = array.array("B", np.frombuffer(cloud.data, "<u4").byteswap().tobytes())
    points = point_cloud2.read_points(cloud)
    np.testing.assert_array_equal(points["y"], XYZ[:, 1])
    np.testing.assert_array_equal(points["id"], range(5))


def test_fields_of_several_values_and_without_a_name() -> None:
    fields = [
        PointField(name="normal", offset=0, datatype=PointField.FLOAT64, count=3),
        PointField(name="", offset=24, datatype=PointField.UINT8, count=1),
    ]
    dtype = point_cloud2.dtype_from_fields(fields)
    assert dtype.names == ("normal_0", "normal_1", "normal_2", "unnamed_field_1")
    points = point_cloud2.read_points(point_cloud2.create_cloud(HEADER, fields, [(1.0, 2.0, 3.0, 4)]))
    assert points[0].tolist() == (1.0, 2.0, 3.0, 4)


def test_an_organized_cloud() -> None:
    points = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    cloud = point_cloud2.create_cloud_xyz32(HEADER, points)
    assert (cloud.width, cloud.height) == (4, 2)
    assert point_cloud2.read_points(cloud).shape == (8,)
    back = point_cloud2.read_points_numpy(cloud, reshape_organized_cloud=True)
    np.testing.assert_array_equal(back, points)


def test_no_points() -> None:
    cloud = point_cloud2.create_cloud(HEADER, FIELDS, [])
    assert (cloud.width, len(cloud.data)) == (0, 0)
    assert len(point_cloud2.read_points(cloud)) == 0
