"""The bars' geometry."""

from hypothesis import given
from hypothesis import strategies as st

from sharepoint_proxy import chart


def test_the_largest_amount_is_as_high_as_the_drawing() -> None:
    drawn = chart.draw([0, 25, 100, 50])

    assert [bar.height for bar in drawn.bars] == [0, 25, 100, 50]
    assert [bar.y for bar in drawn.bars] == [100, 75, 0, 50]


def test_nothing_draws_nothing() -> None:
    assert chart.draw([]).width == 0
    assert {bar.height for bar in chart.draw([0, 0]).bars} == {0}


@given(st.lists(st.integers(min_value=0, max_value=10**15), min_size=1, max_size=60))
def test_every_amount_can_be_seen_and_stays_in_its_place(amounts: list[int]) -> None:
    drawn = chart.draw(amounts)

    assert [bar.height > 0 for bar in drawn.bars] == [amount > 0 for amount in amounts]
    assert all(bar.y >= 0 and bar.y + bar.height == drawn.height for bar in drawn.bars)
    edges = [edge for bar in drawn.bars for edge in (bar.x, bar.x + bar.width)]
    assert edges == sorted(edges)
    assert edges[-1] <= drawn.width
