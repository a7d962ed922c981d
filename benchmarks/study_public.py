"""The public answers of Stein et al. 2023: means of the reader against means of the file.

    python -m benchmarks.study_public FOLDER

FOLDER holds cifar10.csv, ffhq256.csv, ... of data/human-evaluation-realism/data in the repository
layer6ai-labs/dgm-eval. The means are computed a second time with the csv module alone.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path
from statistics import fmean

from ptheta.study.analysis.estimates import compare
from ptheta.study.analysis.rates import rates
from ptheta.study.analysis.stein import BY_PERSON, is_public, read_public

NAMES = ("err_rt", "f_err_rt", "r_err_rt")


def means(path: Path) -> dict[str, list[float]]:
    """Of each model: the means over people of the three error rates."""
    rows: dict[str, list[list[float]]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            rows[line["model"]].append([float(line[name]) for name in NAMES])
    return {
        model: [fmean(column) for column in zip(*some, strict=True)] for model, some in rows.items()
    }


def main() -> None:
    """Prints the error rates of every file, and the largest difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    worst, models = 0.0, 0
    for path in sorted(given.folder.glob("*.csv")):
        with path.open(encoding="utf-8") as file:
            header = next(csv.reader(file), [])
        if not is_public(path) or not set(BY_PERSON) <= set(header):
            continue
        expected, found = means(path), rates(read_public(path))
        print(path.stem)
        for one in sorted(found, key=lambda r: -r.both.value):
            assert one.real is not None
            assert one.people is not None
            ours = (one.both.value, one.fake.value, one.real.value)
            worst = max(worst, *(abs(a - b) for a, b in zip(ours, expected[one.name], strict=True)))
            low, high = one.both.interval or (0.0, 1.0)
            print(
                f"  {one.name:24} {one.both.value:.4f} [{low:.3f}, {high:.3f}]  people "
                f"{one.people.observed:.3f} (binomial {one.people.binomial:.3f}), {one.n_people}"
            )
        differ = compare([(r.name, r.both) for r in found])
        models += len(found)
        print(f"  {sum(c.apart for c in differ)} of {len(differ)} pairs differ (5 %, Holm)")
    print(f"{models} models; largest difference of a mean: {worst:.1e}")


if __name__ == "__main__":
    main()
