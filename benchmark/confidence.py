"""Can the covariances and confidences of a map be believed?

python benchmark/confidence.py --map MAP --dataset seven_scenes --root DIR --poses FILE --split test

NEES and coverage on the images as they are; confidences on these and on all their degradations, where there is
something to be unsure of.
"""

from inputs import opened, parser_of

from vloc_ros.evaluation.corruptions import CORRUPTIONS, Corrupted, Severity
from vloc_ros.evaluation.evaluate import evaluate
from vloc_ros.evaluation.uncertainty import (
    DIMENSIONS,
    area,
    coverage,
    is_right,
    nees,
    recall_against_rejection,
    reliability,
)


def main() -> None:
    options = parser_of(__doc__).parse_args()
    localizer, dataset = opened(options)
    records = list(evaluate(localizer, dataset).records)
    squares = nees(records)
    print(f"{len(squares)} accepted poses, average NEES / {DIMENSIONS}: {squares.mean() / DIMENSIONS:.2f}")
    for share, inside in coverage(squares).items():
        print(f"{inside:.1%} of the errors inside the {share:.0%} ellipsoid")
    for corruption in CORRUPTIONS:
        if corruption.severity is not Severity.HOPELESS and corruption.name != "none":
            records += evaluate(localizer, Corrupted(dataset, corruption.degrade)).records
    print(f"\n{len(records)} images, with the degraded ones")
    scores = {"confidence": lambda e: e.confidence, "inliers": lambda e: e.inliers}
    areas = {name: area(*recall_against_rejection(records, score)) for name, score in scores.items()}
    right = sum(record.solved is not None and is_right(record.solved) for record in records)
    print(f"area under recall against rejection: {areas} (best possible {1 - right / len(records) / 2:.4f})")
    print("confidence said   right   poses")
    for group in reliability([record.solved for record in records if record.solved is not None]):
        print(f"{group.said:15.2f} {group.right:7.2f} {group.count:7d}")


if __name__ == "__main__":
    main()
