"""Lenses of all models that OpenCV has coefficients of: against its formula, and there and back over the image."""

import numpy as np
import pytest

from vloc_ros.geometry.camera import Camera

LENSES = {
    "plumb bob, 4": (-0.3, 0.1, 0.001, -0.0005),
    "plumb bob, 5": (0.2624, -0.9531, -0.0054, 0.0026, 1.1633),
    "rational, 8": (5.1, 2.3, 0.0003, -0.0002, 0.08, 5.4, 4.1, 0.6),
    "thin prism, 12": (5.1, 2.3, 0.0003, -0.0002, 0.08, 5.4, 4.1, 0.6, 0.002, -0.001, 0.0015, 0.0007),
    "tilted, 14": (-0.28, 0.07, 0.0002, 0.00002, 0.0, 0.0, 0.0, 0.0, 0.002, -0.001, 0.0015, 0.0007, 0.01, -0.02),
}


def camera(lens: str) -> Camera:
    return Camera(640, 480, 517.0, 516.0, 318.6, 255.3, LENSES[lens])


def bent(coefficients: tuple[float, ...], x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The model as OpenCV's documentation writes it, of points at depth 1, without the tilt."""
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = (*coefficients, *[0.0] * 12)[:12]
    r2 = x**2 + y**2
    radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
    return (
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2) + s1 * r2 + s2 * r2**2,
        y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y + s3 * r2 + s4 * r2**2,
    )


@pytest.mark.parametrize("lens", list(LENSES)[:4])
def test_projects_by_the_models_formula(lens: str) -> None:
    seen, points = camera(lens), np.random.default_rng(0).uniform((-1, -0.8, 1.5), (1, 0.8, 3), (200, 3))
    x, y = bent(LENSES[lens], *(points[:, :2] / points[:, 2:]).T)
    expected = np.column_stack([seen.fx * x + seen.cx, seen.fy * y + seen.cy])
    assert np.abs(seen.project_through_lens(points) - expected).max() < 1e-6


@pytest.mark.parametrize("lens", LENSES)
def test_there_and_back_over_the_whole_image(lens: str) -> None:
    seen = camera(lens)
    pixels = np.stack(np.meshgrid(np.arange(0, 640.0, 9), np.arange(0, 480.0, 9)), axis=-1).reshape(-1, 2)
    plain = seen.undistorted()
    there = seen.undistort_pixels(pixels, plain)
    rays = np.column_stack([(there - (plain.cx, plain.cy)) / (plain.fx, plain.fy), np.ones(len(there))])
    assert np.abs(seen.project_through_lens(rays) - pixels).max() < 1e-6
