"""Shows results as tables in Markdown, which read well in a terminal too."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bench.results import Figure, Results, Spread, Who, Work

_SHOWN_WHO = (Who.SERVICE, Who.DEFAULTS, Who.BEST, Who.NAIVE)
_MANY = 100
_SOME = 10
_ROW = ("| ", " | ", " |")


def markdown(results: Results) -> str:
    """All of RESULTS: who is how fast, which targets are met, and what everything cost."""
    parts = (
        _heading(results),
        _speeds(results.works),
        _targets(results.works),
        _figures(results.works),
        _notes(results.works),
    )
    return "\n".join("\n".join(part) + "\n" for part in parts)


def summary(work: Work) -> Iterator[str]:
    """WORK in a few lines, as it ends."""
    yield f"{work.name}: {work.title}"
    for each in work.contenders:
        yield f"  {_named(each.who, each.note)}: {'; '.join(_said(each.figures))}"
    for target in work.targets:
        yield f"  {'met' if target.met else 'MISSED'}: {target.wanted}: {target.measured}"


def number(value: float) -> str:
    """VALUE with three figures or so."""
    if abs(value) >= _MANY or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= _SOME else f"{value:.2f}"


def spread(found: Spread | None) -> str:
    """The median, and from where to where the runs went; nothing where there is none."""
    if found is None:
        return ""
    if found.lowest == found.highest:
        return number(found.median)
    return f"{number(found.median)} ({number(found.lowest)} to {number(found.highest)})"


def _heading(results: Results) -> Iterator[str]:
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    yield f"{results.at}, in {results.seconds / 60:.0f} min: {versions}."
    yield from (f"{line[0].upper()}{line[1:]}." for line in results.machine)
    if results.settings:
        yield f"Not by defaults: {', '.join(f'`{name}={value}`' for name, value in results.settings.items())}."
    if results.quick:
        yield "A quick run: the works are cut short, and most figures are of one run. Not to be quoted."
    else:
        yield "Each figure is a median; the lowest and the highest run follow it in brackets."


def _speeds(works: Iterable[Work]) -> Iterator[str]:
    """How the service compares, where there is something to compare it with."""
    headings = ("work", "Graph's latency", "in", *_SHOWN_WHO, "than rclone's defaults", "than rclone's best")
    compared = [work for work in works if work.spread(Who.DEFAULTS) is not None]
    yield from _table(headings, (_speed(work) for work in compared))


def _speed(work: Work) -> list[str]:
    ratios = (work.ratio(Who.DEFAULTS), work.ratio(Who.BEST))
    return [
        work.title,
        f"{work.latency * 1000:.0f} ms",
        work.headline,
        *(spread(work.spread(who)) for who in _SHOWN_WHO),
        *("" if ratio is None else f"{number(ratio)}x" for ratio in ratios),
    ]


def _targets(works: Iterable[Work]) -> Iterator[str]:
    rows = [
        (work.title, target.wanted, target.measured, "met" if target.met else "**MISSED**")
        for work in works
        for target in work.targets
    ]
    return _table(("work", "target", "measured", ""), rows)


def _figures(works: Iterable[Work]) -> Iterator[str]:
    rows = [
        (work.name, _named(each.who, each.note), "; ".join(_said(each.figures)))
        for work in works
        for each in work.contenders
    ]
    return _table(("work", "who", "all figures"), rows)


def _notes(works: Iterable[Work]) -> Iterator[str]:
    """What is to be known of each work; what several have in common is said once."""
    about: dict[str, list[str]] = {}
    for work in works:
        for note in work.notes:
            about.setdefault(note, []).append(work.name)
    return (f"- {', '.join(names)}: {note}" for note, names in about.items())


def _said(figures: Mapping[Figure, Spread]) -> Iterator[str]:
    return (f"{figure}: {spread(found)}" for figure, found in figures.items())


def _named(who: str, note: str) -> str:
    return f"{who} ({note})" if note else who


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    begin, between, end = _ROW
    yield begin + between.join(headings) + end
    yield begin + between.join("---" for _ in headings) + end
    yield from (begin + between.join(row) + end for row in rows)
