"""HTML: a page that needs nothing but itself, in light and dark, on a desk and on a phone."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vloc_ros import __version__
from vloc_ros.evaluation.report.svg import to_svg

JPEG_QUALITY = 65

STYLE = """
:root { --paper: #ffffff; --card: #f5f6f8; --ink: #1c2024; --soft: #60646c; --faint: #d5d8de; --accent: #2f6fdb;
  --good: #18794e; --bad: #c62a2f; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --paper: #111316; --card: #1b1e23; --ink: #e8eaed; --soft: #a0a5ae;
  --faint: #3a3f47; --accent: #79a8ff; --good: #4cc38a; --bad: #ff8589; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 1.2rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0.4rem 0 0; } h2 { font-size: 1.1rem; margin: 2.2rem 0 0.6rem; }
p, figcaption { color: var(--soft); margin: 0.3rem 0; overflow-wrap: anywhere; } figcaption { font-size: 0.86rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 0.7rem; margin: 1.2rem 0; }
.tile { background: var(--card); border-radius: 10px; padding: 0.7rem 0.9rem; }
.tile b { display: block; font-size: 1.45rem; line-height: 1.25; }
.tile span { color: var(--soft); font-size: 0.86rem; }
.good b { color: var(--good); } .bad b { color: var(--bad); }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); gap: 1rem; }
.card { background: var(--card); border-radius: 10px; padding: 0.8rem; margin: 0; min-width: 0; overflow-x: auto; }
.card svg, .card img { display: block; width: 100%; height: auto; } .card img { border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 0.25rem 0.8rem 0.25rem 0; border-bottom: 1px solid var(--faint);
  overflow-wrap: anywhere; vertical-align: top; }
th { font-weight: 600; } tr:last-child td { border-bottom: 0; }
td:first-child { min-width: 8.5em; }
footer { margin: 2.5rem 0 1rem; color: var(--soft); font-size: 0.86rem; }
"""


def page(title: str, subtitle: str, sections: Iterable[str]) -> str:
    """The whole document."""
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><title>{escape(title)}</title><style>{STYLE}</style></head>
<body><h1>{escape(title)}</h1><p>{escape(subtitle)}</p>
{"".join(sections)}
<footer>vloc_ros {__version__}</footer></body></html>
"""


def section(title: str, *content: str) -> str:
    """A heading and cards, side by side where there is room."""
    return f'<h2>{escape(title)}</h2><div class="grid">{"".join(content)}</div>\n'


def tiles(figures: Mapping[str, tuple[str, str]]) -> str:
    """What -> (figure, "good", "bad" or "")."""
    cells = (
        f'<div class="tile {mood}"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for name, (value, mood) in figures.items()
    )
    return f'<div class="tiles">{"".join(cells)}</div>'


def plot(figure: Figure, caption: str) -> str:
    """A card with a figure and what it says."""
    return f'<figure class="card">{to_svg(figure, escape(caption))}<figcaption>{escape(caption)}</figcaption></figure>'


def picture(rgb: NDArray[np.uint8], caption: str) -> str:
    """A card with an image (H, W, 3)."""
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    data = base64.b64encode(jpeg.tobytes()).decode()
    image = f'<img src="data:image/jpeg;base64,{data}" alt="{escape(caption)}">'
    return f'<figure class="card">{image}<figcaption>{escape(caption)}</figcaption></figure>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A card with a table; no head for a list of properties."""
    top = f"<thead><tr>{''.join(f'<th>{escape(word)}</th>' for word in head)}</tr></thead>" if head else ""
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="card"><table>{top}<tbody>{body}</tbody></table></div>'
