"""The figures of a drive for people."""

import math

from vloc_ros.demo.score import Accuracy, CoveredScore, Percentiles, Score
from vloc_ros.geometry.pose_error import RIGHT_POSE, PoseError


def table(result: Score) -> str:
    """The figures for people: centimetres, degrees, percent, milliseconds."""
    rows = [
        ("images", f"{result.images}"),
        ("fixes", f"{result.fixes}"),
        ("dropped images", f"{result.dropped}"),
        ("relocalizer start to first fix", _or_none(result.first_fix_s, "{:.1f} s")),
        ("latency, image stamp to pose", _milliseconds(result.latency_ms)),
        ("of that added by ROS", _milliseconds(result.added_ms)),
        ("begun near the track", f"{result.priors} images"),
        ("followed from an earlier image", f"{result.followed}, {result.checked} of them then checked by the networks"),
        ("processor time of the relocalizer", _or_none(result.cpu_percent, "{:.0f} % of a core")),
    ]
    if result.has_truth:
        rows += [
            ("error of the pose", _accuracy_text(result.pose)),
            ("error of the filtered pose", _accuracy_text(result.filtered)),
            ("error of map -> base_link (TF)", _accuracy_text(result.map_to_base)),
            ("odometry alone, at the end", _error_text(result.odometry_alone)),
            (f"within {RIGHT_POSE}", f"{result.recall:.1%}"),
        ]
    if result.inliers:
        medians = ", ".join(f"{name} {count:.0f}" for name, count in result.inliers.items())
        rows.append(("inliers by camera, median", medians))
    if result.covered:
        rows.append((f"{result.covered.camera} covered", _covered_text(result.covered)))
    if places := result.places:
        rows.append(
            ("wrong place published", f"{places.wrong} of {places.poses} poses, {places.changes} changes of place")
        )
    for recovery in result.recoveries:
        text = f"after {recovery.frames} images, {recovery.seconds:.2f} s" if recovery else "never"
        rows.append(("carried away, found itself", text))
    return "\n".join(f"{name:<35}{value}" for name, value in rows)


def notes(result: Score) -> list[str]:
    """The figures in a few short lines."""
    lines = [f"{result.fixes} fixes of {result.images} images"]
    if result.latency_ms:
        lines.append(f"latency {result.latency_ms.p50:.0f} ms")
    lines += [f"{result.priors} begun near the track", f"{result.followed} followed, {result.checked} checked"]
    if result.cpu_percent is not None:
        lines.append(f"processor: {result.cpu_percent:.0f} % of a core")
    if result.map_to_base:
        metres, degrees = result.map_to_base.metres.p50, result.map_to_base.degrees.p50
        lines += ["map -> base_link, median:", f"  {metres * 100:.1f} cm, {degrees:.2f} deg"]
    if result.covered:
        lines += [f"{result.covered.camera} covered:", f"  {result.covered.recall:.0%} right poses"]
    if places := result.places:
        lines.append(f"wrong place published: {places.wrong} of {places.poses}")
    if result.odometry_alone:
        lines += ["odometry alone, at the end:", f"  {_error_text(result.odometry_alone)}"]
    return lines


def _covered_text(covered: CoveredScore) -> str:
    dropped = f", {covered.dropped} dropped" if covered.dropped else ""
    return f"{covered.recall:.1%} of {covered.images} images within {RIGHT_POSE}{dropped}"


def _or_none(value: float | None, form: str) -> str:
    return "none" if value is None else form.format(value)


def _milliseconds(values: Percentiles | None) -> str:
    return "none" if values is None else f"{values.p50:.0f} ms median, {values.p95:.0f} ms p95"


def _accuracy_text(values: Accuracy | None) -> str:
    if values is None:
        return "none"
    median = f"{values.metres.p50 * 100:.2f} cm, {values.degrees.p50:.2f} deg median"
    return f"{median}; {values.metres.p95 * 100:.2f} cm, {values.degrees.p95:.2f} deg p95"


def _error_text(error: PoseError | None) -> str:
    return (
        "none" if error is None else f"{error.translation_m * 100:.0f} cm, {math.degrees(error.rotation_rad):.0f} deg"
    )
