"""Whether the intervals of a human study cover: simulated people of known error rates.

    python -m benchmarks.study_calibration [--repetitions 2000] [--cells small]

Each repetition simulates a study of two sources (`ptheta.study.analysis.simulate`) and analyses its
answers. A cell counts how often the 95 % intervals hold the truth: of the scores, of the error
rates on generated images and of the difference; how often the test at 5 % finds a difference
between equal sources (size) and between different ones (power, with what `ptheta study power`
foretells); and, for comparison, how often intervals over people alone and binomial intervals hold
the truth. Cells that the file has with as many repetitions are kept, so the command may be stopped
and called again. One thread.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from ptheta.study.analysis.estimates import Estimate, compare, wilson
from ptheta.study.analysis.power import Plan, power
from ptheta.study.analysis.rates import SourceRates, rates
from ptheta.study.analysis.simulate import People, simulate_table

OUT = Path(__file__).parent / "results" / "study_calibration.json"
BASE = People({"a": 0.2, "b": 0.27}, people=20, trials=100, images=50)
CELLS = {
    "everything varies, each person sees all sources": BASE,
    "everything varies, each person sees one source": replace(BASE, between=True),
    "nobody and nothing varies": replace(BASE, ability=0.0, bias=0.0, difficulty=0.0),
    "people vary": replace(BASE, difficulty=0.0),
    "images vary": replace(BASE, ability=0.0, bias=0.0),
    "people and images vary a lot": replace(BASE, ability=0.6, bias=0.6, difficulty=1.2),
    "10 people": replace(BASE, people=10),
    "50 people": replace(BASE, people=50),
    "20 images of each source": replace(BASE, images=20),
    "500 images of each source": replace(BASE, images=500),
    "few errors": replace(BASE, sources={"a": 0.04, "b": 0.06}, real=0.05),
    "half of the answers wrong": replace(BASE, sources={"a": 0.5, "b": 0.6}, real=0.5),
    "8 people, 30 trials": replace(BASE, people=8, trials=30, images=15),
}
SMALL = ("8 people, 30 trials", "nobody and nothing varies")
EACH = 100_000  # seeds of a cell: no two cells share a study
Z = 1.959963984540054


def holds(one: Estimate, truth: float) -> bool:
    """Whether an interval holds the truth."""
    return one.interval is not None and one.interval[0] <= truth <= one.interval[1]


def of_people(one: Estimate, truth: float) -> bool:
    """The same of an interval over people alone."""
    people = replace(one, terms=one.terms[:1])
    return holds(people, truth)


def binomial(one: Estimate, truth: float) -> bool:
    """The same of an interval of independent answers."""
    low, high = wilson(one.value, one.independent, one.n, Z)
    return low <= truth <= high


def counted(design: People, seed: int, found: Counter[str]) -> list[SourceRates]:
    """Counts what one study shows."""
    sources = rates(simulate_table(design, seed))
    for one in sources:
        truth = design.score(one.name)
        found["scores"] += 1
        found["score"] += holds(one.both, truth)
        found["generated"] += holds(one.fake, design.truth(one.name))
        found["people alone"] += of_people(one.both, truth)
        found["binomial"] += binomial(one.both, truth)
    a, b = sources
    gap = design.score(a.name) - design.score(b.name)
    (difference,) = compare([(a.name, a.both), (b.name, b.both)])
    found["studies"] += 1
    found["difference"] += holds(difference.difference, gap)
    found["found"] += difference.apart
    return sources


def cell(design: People, repetitions: int, first_seed: int) -> dict[str, float]:
    """Shares in %."""
    start = time.process_time()
    different: Counter[str] = Counter()
    equal: Counter[str] = Counter()
    people, images = [], []
    same = replace(
        design, sources=dict.fromkeys(design.sources, next(iter(design.sources.values())))
    )
    for seed in range(first_seed, first_seed + repetitions):
        sources = counted(design, seed, different)
        people += [r.people.true_variance for r in sources if r.people]
        images += [r.images.true_variance for r in sources if r.images]
        counted(same, seed, equal)
    plan = Plan(
        trials=design.trials,
        images=design.images,
        between=design.between,
        person=math.sqrt(max(0.0, sum(people) / len(people))),
        image=math.sqrt(max(0.0, sum(images) / len(images))),
    )
    a, b = (design.score(name) for name in design.sources)

    def share(name: str, of: str, found: Counter[str] = different) -> float:
        return round(100 * found[name] / found[of], 1)

    return {
        "repetitions": repetitions,
        "score": share("score", "scores"),
        "generated": share("generated", "scores"),
        "difference": share("difference", "studies"),
        "people alone": share("people alone", "scores"),
        "binomial": share("binomial", "scores"),
        "size": share("found", "studies", equal),
        "power": share("found", "studies"),
        "planned power": round(100 * power(plan, a, b, design.people), 1),
        "CPU seconds": round(time.process_time() - start),
    }


def main() -> None:
    """Measures the cells that are not in the file yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--cells", choices=("all", "small"), default="all")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    known = json.loads(given.out.read_text()) if given.out.exists() else {}
    for i, (name, design) in enumerate(CELLS.items()):
        if given.cells == "small" and name not in SMALL:
            continue
        if known.get(name, {}).get("repetitions", 0) < given.repetitions:
            known[name] = cell(design, given.repetitions, EACH * i)
            given.out.write_text(json.dumps(known, indent=2) + "\n")
        print(name, known[name], flush=True)


if __name__ == "__main__":
    main()
