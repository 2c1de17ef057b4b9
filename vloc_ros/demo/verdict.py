"""Whether the figures of a drive are good enough."""

from dataclasses import dataclass

from vloc_ros.demo.score import Score


@dataclass(frozen=True)
class Limits:
    """What a good result is."""

    median_m: float
    median_deg: float
    recall: float
    first_fix_s: float = 15.0  # slow computers too
    recovery_frames: int = 10


SHIPPED_MAP = Limits(median_m=0.03, median_deg=1.0, recall=0.8)
SHIPPED_FLOORS = Limits(median_m=0.03, median_deg=1.0, recall=0.5)  # in the lift nothing is seen
ANY_MAP = Limits(median_m=0.1, median_deg=5.0, recall=0.5)


def faults(result: Score, limits: Limits) -> list[str]:
    """What is worse than it should be; without ground truth only whether and when there was a fix."""
    if result.first_fix_s is None or not result.fixes:
        return ["no image was localized"]
    checks = [(f"the first fix took {result.first_fix_s:.1f} s", result.first_fix_s > limits.first_fix_s)]
    if result.has_truth:
        why = f" ({result.dropped} were dropped: is the computer busy?)" if result.dropped else ""
        checks.append((f"only {result.recall:.0%} of the images gave a right pose{why}", result.recall < limits.recall))
    if result.map_to_base:
        metres, degrees = result.map_to_base.metres.p50, result.map_to_base.degrees.p50
        checks.append((f"map -> base_link is {metres * 100:.1f} cm off", metres > limits.median_m))
        checks.append((f"map -> base_link is {degrees:.1f} deg off", degrees > limits.median_deg))
    elif result.has_truth:
        checks.append(("TF never knew map -> base_link", True))
    if result.places:
        checks.append((f"{result.places.wrong} poses in the wrong place were published", result.places.wrong > 0))
    for recovery in result.recoveries:
        images = recovery.frames if recovery else result.images
        checks.append((f"carried away, it was lost for {images} images", images > limits.recovery_frames))
    return [what for what, is_bad in checks if is_bad]
