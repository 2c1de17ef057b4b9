"""Point clouds as NumPy arrays and back."""

import array
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured, unstructured_to_structured
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

DTYPES = {
    getattr(PointField, name.upper()): np.dtype(name)
    for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64")
}
DUMMY_FIELD_PREFIX = "unnamed_field"
Array: TypeAlias = NDArray[Any]
Points: TypeAlias = Array | Iterable[Sequence[Any]]


def read_points(
    cloud: PointCloud2,
    field_names: Sequence[str] | None = None,
    skip_nans: bool = False,
    uvs: Iterable[int] | None = None,
    reshape_organized_cloud: bool = False,
) -> Array:
    """Structured array of the points: of all fields or some, without those that have a NaN, of all indices or some.

    A cloud whose `is_dense` is set says that it has no NaN, and is not searched.
    """
    assert isinstance(cloud, PointCloud2), f"{type(cloud).__name__} is no PointCloud2"
    dtype = dtype_from_fields(cloud.fields, point_step=cloud.point_step)
    points: Any = np.ndarray((cloud.width * cloud.height,), dtype, buffer=cloud.data)
    if field_names is not None:
        missing = set(field_names) - set(points.dtype.names)
        assert not missing, f"the cloud has no fields {sorted(missing)}"
        points = points[list(field_names)]
    if bool(cloud.is_bigendian) != (sys.byteorder == "big"):
        points = points.byteswap()
    if skip_nans and not cloud.is_dense:
        points = points[~np.any([np.isnan(points[name]) for name in points.dtype.names], axis=0)]
    if uvs is not None:
        points = points[uvs if isinstance(uvs, np.ndarray) else np.fromiter(uvs, int)]
    if reshape_organized_cloud and cloud.height > 1:
        points = points.reshape(cloud.width, cloud.height)
    return np.asarray(points)


def read_points_numpy(
    cloud: PointCloud2,
    field_names: Sequence[str] | None = None,
    skip_nans: bool = False,
    uvs: Iterable[int] | None = None,
    reshape_organized_cloud: bool = False,
) -> Array:
    """Plain array (N, fields) of the points. The fields must be of the type of the cloud's first one."""
    asked = [field for field in cloud.fields[1:] if field_names is None or field.name in field_names]
    assert all(field.datatype == cloud.fields[0].datatype for field in asked), "the fields differ in type: read_points"
    points = read_points(cloud, field_names, skip_nans, uvs, reshape_organized_cloud)
    return np.asarray(structured_to_unstructured(points))


def dtype_from_fields(fields: Iterable[PointField], point_step: int | None = None) -> np.dtype:
    """Structured type of a point. A field of several values becomes several, `name_0`, `name_1` and so on."""
    names: list[str] = []
    formats: list[str] = []
    offsets: list[int] = []
    for index, field in enumerate(fields):
        dtype = DTYPES[field.datatype]
        name = field.name or f"{DUMMY_FIELD_PREFIX}_{index}"
        assert field.count > 0, f"field {name!r} has a count of 0"
        names += [name] if field.count == 1 else [f"{name}_{part}" for part in range(field.count)]
        formats += [dtype.str] * field.count
        offsets += [field.offset + part * dtype.itemsize for part in range(field.count)]
    assert len(set(names)) == len(names), f"fields with the same name: {names}"
    layout: Any = {"names": names, "formats": formats, "offsets": offsets}
    if point_step is not None:
        layout["itemsize"] = point_step
    return np.dtype(layout)


def create_cloud(
    header: Header, fields: Sequence[PointField], points: Points, point_step: int | None = None
) -> PointCloud2:
    """A cloud of points, given as a structured array, an array (N, fields) of fields of one type, or rows.

    An array of structures of two dimensions makes an organized cloud, of its first dimension as the width.
    """
    rows = _structured(points, fields, dtype_from_fields(fields, point_step))
    assert rows.ndim <= 2, f"points have one or two dimensions, not {rows.ndim}"
    width, height = rows.shape if rows.ndim == 2 else (len(rows), 1)
    return PointCloud2(
        header=header,
        height=height,
        width=width,
        is_dense=False,
        is_bigendian=sys.byteorder == "big",
        fields=fields,
        point_step=rows.dtype.itemsize,
        row_step=rows.dtype.itemsize * width,
        data=array.array("B", rows.tobytes()),
    )


def _structured(points: Points, fields: Sequence[PointField], dtype: np.dtype) -> Array:
    if not isinstance(points, np.ndarray):
        return np.array([tuple(point) for point in points], dtype=dtype)
    if points.dtype.names is None:
        assert all(field.datatype == fields[0].datatype for field in fields), "fields of several types need structures"
        return np.asarray(unstructured_to_structured(points, dtype=dtype))
    assert points.dtype == dtype, f"the points are {points.dtype}, the fields {dtype}"
    return points


def create_cloud_xyz32(header: Header, points: Points) -> PointCloud2:
    """A cloud of float32 x, y, z."""
    fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate("xyz")
    ]
    return create_cloud(header, fields, points)
