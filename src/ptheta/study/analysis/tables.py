"""The numbers of an analysis as tables."""

from __future__ import annotations

from collections.abc import Iterable

from ptheta.report.plots import number
from ptheta.report.tables import Cell, Heading, Row, Table
from ptheta.study.analysis.analyse import Analysis
from ptheta.study.analysis.estimates import DIFFERENCE, Comparison, Estimate
from ptheta.study.analysis.exclusions import WORDS
from ptheta.study.analysis.power import ENOUGH
from ptheta.study.analysis.rates import Spread
from ptheta.study.analysis.words import (
    p_value,
    percent,
    percent_interval,
    plain_interval,
    plans,
)
from ptheta.study.files import HYPE_TIME, PAIRS, RATING, RATINGS, TWO_AFC


def results(found: Analysis) -> list[Table]:
    """What the study asks for, first the main table."""
    made = {HYPE_TIME: _thresholds, PAIRS: _preferences, RATING: _ratings}.get(found.protocol)
    if made is None:
        return [_rates(found)]
    return [made(found), *([_rates(found)] if found.rates else [])]


def _rates(found: Analysis) -> Table:
    before = {r.name: r for r in found.everybody}
    two = found.protocol == TWO_AFC
    head = [Heading("errors", "95 % interval", "50 % at chance")]
    if not two:
        head += [Heading("on generated"), Heading("on real")]
    head += [Heading("answers")]
    if found.people:
        head.append(Heading("people"))
    if before:
        head.append(Heading("without exclusions"))
    rows = []
    for r in found.rates:
        cells = [_share(r.both)]
        if not two:
            cells += [_share(r.fake), _share(r.real) if r.real else Cell("")]
        cells.append(Cell(f"{r.both.n:,}"))
        if found.people:
            cells.append(Cell(f"{r.n_people:,}"))
        if before:
            cells.append(_share(before[r.name].both) if r.name in before else Cell(""))
        rows.append(Row(r.name, cells))
    note = (
        "Share of wrong answers: a question is wrong where the generated image is taken for the "
        "real one."
        if two
        else "Errors: the mean of the error rates on generated and on real images, which in "
        "HYPE-infinity is the HYPE score."
    )
    if found.protocol == HYPE_TIME:
        note = "The staircase keeps the errors at about 25 %: the thresholds are the result."
    return Table("Error rates", f"{note} {_over(found)}", head, rows)


def _over(found: Analysis) -> str:
    """What intervals are over."""
    if not (found.people and found.images):
        return f"Intervals are over {'people' if found.people else 'images'}."
    return (
        "Intervals are over people and images: they hold for other people and for other images of "
        "the same sources."
    )


def _thresholds(found: Analysis) -> Table:
    rows = []
    for t in found.thresholds:
        known = Cell("not defined", "too few reversals")
        n = Cell("0")
        if t.ms is not None:
            known = Cell(f"{number(t.ms.value)} ms", f"{plain_interval(t.ms)} ms")
            n = Cell(f"{t.ms.n:,}")
        rows.append(Row(t.source, [known, n, Cell(f"{t.people:,}")]))
    head = [
        Heading("threshold", "95 % interval", "higher is better"),
        Heading("people with a threshold"),
        Heading("people"),
    ]
    note = (
        "The exposure at which a person's staircase settles: the mean of its last reversals. "
        "Intervals are over people, by Student's t."
    )
    return Table("Time to judge", note, head, rows)


def _preferences(found: Analysis) -> Table:
    chosen = found.preferences
    strengths = () if chosen is None else chosen.strengths
    rows = [
        Row(
            s.name,
            [
                Cell(f"{s.strength.value:.2f}", plain_interval(s.strength)),
                Cell(percent(s.share)),
                Cell(f"{s.questions:,}"),
            ],
        )
        for s in strengths
    ]
    note = (
        "Strengths are log-odds (Bradley and Terry 1952), and their sum is 0: a difference of 1.1 "
        f"is a preference of 3 to 1. {_over(found)}"
    )
    if chosen is not None and chosen.smoothed:
        note += (
            " A source won or lost all its questions, so half a win is added to each side of every "
            "pair."
        )
    if chosen is not None and chosen.misfit is not None:
        note += (
            f" The largest difference between a pair's wins and the model is {chosen.misfit:.1f} "
            "binomial standard errors."
        )
    head = [Heading("strength", "95 % interval", "higher is better"), Heading("preferred")]
    return Table("Preferences", note, [*head, Heading("questions")], rows)


def _ratings(found: Analysis) -> Table:
    rows = [
        Row(
            r.name,
            [
                Cell(f"{r.mean.value:.2f}", plain_interval(r.mean)),
                *(Cell(f"{n:,}") for n in r.counts),
            ],
        )
        for r in found.ratings
    ]
    head = [Heading("mean rating", "95 % interval", "higher is better")]
    return Table("Ratings", _over(found), [*head, *(Heading(f"rated {k}") for k in RATINGS)], rows)


def differences(found: Analysis) -> Table | None:
    """Every two sources."""
    if not found.comparisons:
        return None
    note = (
        "p is two-sided, of the hypothesis that both are equal; adjusted for the number of pairs "
        "by Holm's method. The test is of the difference, so what both sides share (people, real "
        "images) cancels."
    )
    head = [
        Heading("difference", "95 % interval"),
        Heading("p"),
        Heading("p, Holm"),
        Heading("finding"),
    ]
    rows = [
        Row(
            f"{c.a} less {c.b}",
            [
                _difference(found, c),
                Cell(p_value(c.p)),
                Cell(p_value(c.adjusted)),
                Cell("unknown" if c.p is None else "differ" if c.apart else "not told apart"),
            ],
        )
        for c in found.comparisons
    ]
    return Table("Differences", note, head, rows)


def _difference(found: Analysis, c: Comparison) -> Cell:
    if c.difference.kind == DIFFERENCE:
        return Cell(f"{100 * c.difference.value:+.1f} %", percent_interval(c.difference))
    unit = " ms" if found.protocol == HYPE_TIME else ""
    text = f"{number(c.difference.value)}{unit}"
    return Cell(text, f"{plain_interval(c.difference)}{unit}")


def spreads(found: Analysis) -> Table | None:
    """How much people and images differ."""
    there = [r for r in found.rates if r.people or r.images]
    if not there or found.protocol == HYPE_TIME:
        return None
    note = (
        "Standard deviations of error rates. Observed: over people, or over the images of a "
        "source; binomial: what chance alone would give; the rest: what is left of the one without "
        "the other. Where the observed deviation is larger, binomial intervals would be too "
        "narrow."
    )
    head = [
        *(Heading(f"people, {what}") for what in ("observed", "binomial", "the rest")),
        *(Heading(f"images, {what}") for what in ("observed", "binomial", "the rest")),
    ]
    rows = [Row(r.name, [*_spread(r.people), *_spread(r.images)]) for r in there]
    return Table("People and images", note, head, rows)


def _spread(found: Spread | None) -> list[Cell]:
    if found is None:
        return [Cell("")] * 3
    return [Cell(f"{x:.3f}") for x in (found.observed, found.binomial, found.true)]


def excluded(found: Analysis) -> Table | None:
    """Who is excluded."""
    if not found.excluded:
        return None
    rows = [
        Row(e.person, [Cell(WORDS[e.rule]), Cell(number(e.reached)), Cell(number(e.least))])
        for e in found.excluded
    ]
    head = [Heading("rule"), Heading("reached"), Heading("least")]
    note = "The first rule that excludes each person. All their answers are left out."
    return Table("Excluded people", note, head, rows)


def sessions(found: Analysis) -> Table | None:
    """Errors over the trials."""
    if found.learning is None or found.protocol == HYPE_TIME:
        return None
    one = found.learning
    rows = [
        Row("first half of the trials", [_share(one.first)]),
        Row("second half of the trials", [_share(one.second)]),
        Row("change", [Cell(f"{100 * one.change.value:+.1f} %", percent_interval(one.change))]),
        Row("change in 100 trials", [_slope(one.slope)]),
    ]
    note = "Errors over the trials of each person; below 0: people learn, above 0: they tire."
    return Table("Over the trials", note, [Heading("errors", "95 % interval")], rows)


def _slope(found: Estimate) -> Cell:
    return Cell(f"{100 * found.value:+.1f} %", percent_interval(found))


def checks(found: Analysis) -> Table | None:
    """Repeated questions, sides and exposure."""
    rows = []
    if found.consistency is not None:
        one = found.consistency
        by_chance = f"{percent(one.chance)} by chance, kappa {one.kappa:.2f}"
        rows.append(Row("repeated questions answered as before", [_share(one.same)]))
        rows[-1].cells.append(Cell(by_chance))
    if found.preferences is not None:
        rows.append(Row("answers 'left'", [_share(found.preferences.left), Cell("50 % expected")]))
    if found.exposure is not None:
        one_ms = found.exposure
        off = f"{one_ms.median:.1f} ms off in the median, at most {one_ms.largest:.1f} ms"
        rows.append(Row("exposure within two frames", [Cell(percent(one_ms.within)), Cell(off)]))
    if not rows:
        return None
    note = "How reliable the answers are. Two frames at 60 Hz are 33 ms."
    return Table(
        "Checks", note, [Heading("share", "95 % interval"), Heading("for comparison")], rows
    )


def response_times(found: Analysis) -> Table | None:
    """In seconds."""
    if not found.times:
        return None
    rows = [
        Row(
            t.name,
            [
                Cell(f"{t.typical / 1000:.2f} s", _seconds(t.interval)),
                *(Cell(f"{q / 1000:.2f} s") for q in t.quartiles),
                Cell(f"{t.log.n:,}"),
            ],
        )
        for t in found.times
    ]
    head = [Heading("typical", "geometric mean, 95 % interval"), Heading("a quarter below")]
    head += [Heading("median"), Heading("a quarter above"), Heading("answers")]
    return Table("Response times", "From the image to the answer.", head, rows)


def _seconds(interval: tuple[float, float] | None) -> str:
    if interval is None:
        return "unknown"
    return f"{interval[0] / 1000:.2f} to {interval[1] / 1000:.2f} s"


def agreements(found: Analysis) -> Table | None:
    """Metrics against people."""
    if not found.agreements:
        return None
    names = list(dict.fromkeys(name for one in found.agreements for name in one.values))
    head = [Heading("Kendall's tau"), Heading("Spearman's rho"), Heading("p")]
    head += [Heading("pairs ordered alike", "of those that people tell apart")]
    head += [Heading(name) for name in names]
    rows = []
    for one in found.agreements:
        cells = [Cell(f"{one.tau:.2f}"), Cell(f"{one.rho:.2f}"), Cell(p_value(one.p))]
        cells.append(Cell(f"{one.same} of {one.told}"))
        cells += [Cell(number(one.values[n][1]) if n in one.values else "") for n in names]
        rows.append(Row(one.metric, cells))
    note = (
        "1: the metric orders the sources as people do; -1: in the opposite order. p: the share of "
        "all orders of the sources that agree or disagree as much; with three sources it cannot "
        "be below 0.33, with four below 0.08."
    )
    return Table("Agreement with metrics", note, head, rows)


def planning(found: Analysis) -> Table | None:
    """How many people a next study needs."""
    if found.design is None or not found.rates:
        return None
    score = found.rates[0].both.value
    design = found.design
    rows = [
        Row(
            f"{100 * score:.1f} % and {100 * max(0.01, score - gap):.1f} %",
            [Cell("more images are needed" if n is None else f"{n:,}")],
        )
        for gap, n in plans(design, score)
    ]
    seen = "one source" if design.between else "all sources"
    note = (
        f"With a power of {100 * ENOUGH:.0f} % at 5 %, {design.trials} trials and "
        f"{design.images} images of each source, where each person sees {seen}; people deviate by "
        f"{design.person:.3f} and images by {design.image:.3f}, as in this study."
    )
    return Table("People to tell two scores apart", note, [Heading("people")], rows)


def _share(found: Estimate) -> Cell:
    if not found.n:
        return Cell("")
    return Cell(percent(found.value), percent_interval(found))


def everything(found: Analysis) -> list[Table]:
    """All tables in the order of the page."""
    made: Iterable[Table | None] = (
        *results(found),
        differences(found),
        agreements(found),
        spreads(found),
        excluded(found),
        checks(found),
        sessions(found),
        response_times(found),
        planning(found),
    )
    return [table for table in made if table is not None]
