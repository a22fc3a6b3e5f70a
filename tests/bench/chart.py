"""Draws results as an SVG: for each work how many times as fast as rclone's defaults everybody was, as horizontal bars.

The colours follow the reader's preference for light or dark. No library: it is some rectangles and text.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from bench.results import Figure, Results, Who, Work

_SPEEDS = frozenset({Figure.FILES_PER_SECOND, Figure.MB_PER_SECOND, Figure.MILLISECONDS})
_SHOWN = (Who.SERVICE, Who.BEST, Who.DEFAULTS, Who.NAIVE)
_CLASSES = {Who.SERVICE: "service", Who.BEST: "best", Who.DEFAULTS: "defaults", Who.NAIVE: "naive"}

_WIDTH = 760
_LEFT = 12
_RIGHT = 60
_TOP = 64
_BAR_HEIGHT = 14
_BAR_STEP = 18
_TITLE_HEIGHT = 22
_GROUP_GAP = 14
_MOST_TICKS = 9

_STYLE = """
text { font: 13px system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; fill: #24292f; }
.small { font-size: 12px; fill: #57606a; }
.title { font-weight: 600; }
.grid { stroke: #d0d7de; }
.service { fill: #0969da; } .best { fill: #bf8700; } .defaults { fill: #9a6700; opacity: 0.55; } .naive { fill: #8c959f; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .small { fill: #9198a1; } .grid { stroke: #3d444d; }
  .service { fill: #4493f8; } .best { fill: #d29922; } .defaults { fill: #d29922; opacity: 0.5; } .naive { fill: #656c76; }
}
"""


@dataclass(frozen=True, slots=True)
class Group:
    """A work: its title, and who was how many times as fast as rclone by its defaults."""

    title: str
    bars: Sequence[tuple[Who, float]]

    @property
    def height(self) -> int:
        """In pixels."""
        return _TITLE_HEIGHT + len(self.bars) * _BAR_STEP + _GROUP_GAP


def groups(works: Iterable[Work]) -> list[Group]:
    """Those of WORKS that are about speed, and that rclone did too."""
    return [
        Group(
            f"{work.title.replace('`', '')}; {work.latency * 1000:.0f} ms",
            [(who, ratio) for who in _SHOWN if (ratio := work.ratio(Who.DEFAULTS, who)) is not None],
        )
        for work in works
        if work.headline in _SPEEDS and work.spread(Who.DEFAULTS) is not None
    ]


def svg(results: Results) -> str:
    """The picture; ValueError when there is nothing to compare."""
    shown = groups(results.works)
    if not shown:
        raise ValueError("These results hold no work that rclone did too.")
    most = max(ratio for group in shown for _, ratio in group.bars)
    step = max(1, math.ceil(most / _MOST_TICKS))
    end = step * math.ceil(most / step)
    height = _TOP + sum(group.height for group in shown)
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" role="img">',
            f"<title>{escape(_caption())}</title>",
            f"<style>{_STYLE}</style>",
            _text(_LEFT, 18, _caption(), "title"),
            *_legend(shown),
            *_grid(range(0, end + 1, step), end=end, height=height),
            *_drawn(shown, end=end),
            "</svg>\n",
        )
    )


def _caption() -> str:
    return "How many times as fast as rclone with its defaults (longer is better)"


def _legend(shown: Sequence[Group]) -> Iterator[str]:
    there = {who for group in shown for who, _ in group.bars}
    x = _LEFT
    for who in (who for who in _SHOWN if who in there):
        yield f'<rect class="{_CLASSES[who]}" x="{x}" y="29" width="12" height="12" rx="2"/>'
        yield _text(x + 17, 40, who, "small")
        x += 40 + 7 * len(who)


def _grid(ticks: Iterable[int], *, end: float, height: int) -> Iterator[str]:
    for tick in ticks:
        x = _LEFT + _pixels(tick, end)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{height - _GROUP_GAP}"/>'
        yield f'<text class="small" x="{x:.1f}" y="{_TOP - 5}" text-anchor="middle">{tick}x</text>'


def _drawn(shown: Iterable[Group], *, end: float) -> Iterator[str]:
    y = _TOP
    for group in shown:
        yield _text(_LEFT, y + 15, group.title, "")
        for number, (who, ratio) in enumerate(group.bars):
            top = y + _TITLE_HEIGHT + number * _BAR_STEP
            width = _pixels(ratio, end)
            yield f'<rect class="{_CLASSES[who]}" x="{_LEFT}" y="{top}" width="{width:.1f}" height="{_BAR_HEIGHT}" rx="2"/>'
            yield _text(_LEFT + width + 5, top + 11, f"{ratio:.1f}x", "small")
        y += group.height


def _pixels(ratio: float, end: float) -> float:
    return ratio / end * (_WIDTH - _LEFT - _RIGHT)


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
