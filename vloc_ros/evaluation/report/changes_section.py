"""What the report of an updated map says of the update: where the new recording lies, what changed, what became of
accuracy."""

from collections.abc import Mapping, Sequence
from typing import Any

from vloc_ros.evaluation.metrics import RIGHT_RECALL, median_text, summarize
from vloc_ros.evaluation.records import FrameRecord
from vloc_ros.evaluation.report.page import section, table

TITLE = "What changed"
SHOWN = 12  # landmarks
STATES = {
    "kept": "seen again",
    "new": "new",
    "gone": "gone: seen through, retired",
    "unseen": "not seen on their surface any more, retired",
    "unvisited": "not looked at, kept",
}


def changes_section(update: object, held_out: Sequence[FrameRecord]) -> str:
    """`update`: what the manifest's training says under that name; nothing for a map that is no update, or whose entry
    somebody has changed: it is for people."""
    if not isinstance(update, dict):
        return ""
    try:
        cards = [
            table((), _summary(update)),
            table(("held-out frames of", "in the old map", "now"), _held_out(update, held_out)),
        ]
        if rows := _landmarks(update["landmarks"]):
            cards.append(table(("landmark at (m)", "", "seen again", "new", "gone", "not seen", "not looked at"), rows))
    except (KeyError, TypeError, ValueError, AttributeError):
        return ""
    return section(TITLE, *cards)


def _summary(update: Mapping[str, Any]) -> list[tuple[str, str]]:
    fit = update["alignment"]
    return [
        ("updated map", str(update["of"])),
        ("frames of recordings", ", ".join(f"{number}: {count}" for number, count in update["recordings"].items())),
        (
            "the newest aligned by",
            f"{fit['fitted']} of {fit['pairs']} frames; residuals {fit['median_cm']:.2f} cm, {fit['median_deg']:.2f} "
            f"deg (median), {fit['max_cm']:.2f} cm, {fit['max_deg']:.2f} deg at most",
        ),
        *((f"points {text}", str(update["points"][name])) for name, text in STATES.items()),
        *_views(update),
    ]


def _views(update: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Which views are not in the map any more, and why; maps of earlier versions do not say it."""
    rows = []
    if left_out := update.get("left_out"):
        why = "the oldest: no more recordings are kept"
        rows.append(("recordings left out", f"{', '.join(map(str, left_out))} ({why})"))
    if views := update.get("retired_views"):
        told = [f"{view['view']} ({view['retired']} of {view['points']} points retired)" for view in views[:SHOWN]]
        more = f" and {len(views) - SHOWN} more" if len(views) > SHOWN else ""
        rows.append(("views retired", f"{', '.join(told)}{more}"))
    return rows


def _held_out(update: Mapping[str, Any], records: Sequence[FrameRecord]) -> list[tuple[str, str, str]]:
    rows = []
    for number, before in update["old_map"].items():
        errors = [record.error for record in records if record.name.startswith(f"{number}/")]
        rows.append((f"recording {number} ({before['frames']})", _accuracy(before), _accuracy(summarize(errors, []))))
    return rows


def _accuracy(figures: Mapping[str, Any]) -> str:
    return f"{median_text(figures)}; {figures[RIGHT_RECALL]:.0%} within 5 cm, 5 deg"


def _landmarks(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Those that have changed first."""
    ordered = sorted(rows, key=lambda row: not row["changed"])[:SHOWN]
    counts = ("kept", "new", "gone", "unseen", "unvisited")
    return [
        (
            f"{row['landmark']}: " + " ".join(f"{value:.2f}" for value in row["position"]),
            "changed" if row["changed"] else "",
            *(str(row[name]) for name in counts),
        )
        for row in ordered
    ]
