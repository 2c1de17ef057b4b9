"""Whether the covariances and confidences of a map are calibrated: NEES, coverage and reliability.

python benchmark/confidence.py --map MAP --dataset seven_scenes --root DIR --poses FILE --split test

NEES and coverage are on the images as they are; the reliability is on these and on all their corruptions, since only
then many poses are uncertain.
"""

from inputs import data_of, opened, parser_of
from results import Results

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
    summary = Results(data_of(options, len(dataset)), {"": "{figure}", "measured": "{value:.4g}"})
    summary.add(figure=f"average NEES / {DIMENSIONS}", value=float(squares.mean() / DIMENSIONS))
    for share, inside in coverage(squares).items():
        summary.add(figure=f"share of the errors inside the {share:.0%} ellipsoid", value=float(inside))
    for corruption in CORRUPTIONS:
        if corruption.severity is not Severity.HOPELESS and corruption.name != "none":
            records += evaluate(localizer, Corrupted(dataset, corruption.degrade)).records
    scores = {"confidence": lambda e: e.confidence, "inliers": lambda e: e.inliers}
    for name, score in scores.items():
        value = float(area(*recall_against_rejection(records, score)))
        summary.add(figure=f"area under recall against rejection, by {name}, {len(records)} images", value=value)
    right = sum(record.solved is not None and is_right(record.solved) for record in records)
    summary.add(figure="the best possible area", value=1 - right / len(records) / 2)
    summary.write(options.json)
    reliable = Results(
        data_of(options, len(records)) + ", as they are and degraded",
        {"confidence": "{confidence:.2f}", "share that is right": "{right:.2f}", "poses": "{poses:,}"},
    )
    for group in reliability([record.solved for record in records if record.solved is not None]):
        reliable.add(confidence=group.confidence, right=group.accuracy, poses=group.count)
    reliable.write(options.json and options.json.with_name("reliability.json"))


if __name__ == "__main__":
    main()
