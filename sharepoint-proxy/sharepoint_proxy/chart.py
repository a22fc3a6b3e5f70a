"""A bar chart's geometry, in the units of its drawing: it is stretched to whatever place it gets."""

from collections.abc import Sequence
from dataclasses import dataclass

HEIGHT = 100
_SLOT = 10
_GAP = 2
_LOWEST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A rectangle, measured from the drawing's upper left corner; `height` is 0 for nothing."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A bar for each amount, side by side, as high as the drawing for the largest."""

    width: int
    height: int
    bars: tuple[Bar, ...]


def draw(amounts: Sequence[float]) -> Chart:
    """The chart of AMOUNTS, none of them negative; what is more than nothing can always be seen."""
    most = max(amounts, default=0)
    bars = tuple(_bar(number, _height(amount, most)) for number, amount in enumerate(amounts))
    return Chart(width=len(bars) * _SLOT, height=HEIGHT, bars=bars)


def _bar(number: int, height: int) -> Bar:
    return Bar(x=number * _SLOT + _GAP // 2, y=HEIGHT - height, width=_SLOT - _GAP, height=height)


def _height(amount: float, most: float) -> int:
    return max(_LOWEST, round(amount / most * HEIGHT)) if amount else 0
