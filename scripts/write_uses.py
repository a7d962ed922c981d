"""Write the tables of docs/*.md that are generated from the package and from benchmark results.

    python -m scripts.write_uses

Each table is between two comments, `<!-- NAME -->` and `<!-- /NAME -->`; the rest of a page is
written by hand.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ptheta.measures.classification import IntervalEstimate
from ptheta.measures.clustering import MEASURES
from ptheta.specs import DataSpec, ImageSpec, VectorSpec
from ptheta.tasks.compress import FLOORS
from ptheta.tasks.denoise.score import MODEL
from ptheta.tasks.matrix import TASKS, Anything, matrix, named
from ptheta.tasks.outliers import SCORES
from ptheta.tasks.usefulness import LEARNERS, RIVALS, SOURCES, TESTS
from scripts import gpu_tables, scaling_tables, seed_tables
from scripts.seed_tables import markdown

ROOT = Path(__file__).parent.parent
MEASURED = ROOT / "benchmarks" / "results" / "denoising.json"
USEFUL = ROOT / "benchmarks" / "results" / "usefulness.json"
CLASSIFIED = ROOT / "benchmarks" / "results" / "classification.json"
COMPRESSED = ROOT / "benchmarks" / "results" / "compression.json"
CLUSTERED = ROOT / "benchmarks" / "results" / "clustering.json"
NUMBERS = ("logistic balanced", "forest balanced", "AUC logistic", "AUC forest", "copied")
SHOWN = {"psnr": 1, "ssim": 3}  # decimal places


def tasks() -> str:
    """The tasks: what each produces, and the capabilities it needs."""
    rows = [["command", "description", "required capabilities"]]
    rows += [[f"`{verb}`", task.about, task.methods] for verb, task in TASKS.items()]
    return markdown(rows)


def models() -> str:
    """The tasks that each model supports."""
    head, *rows = matrix()
    return markdown([["model", *head[1:]], *([f"`{row[0]}`", *row[1:]] for row in rows)])


def scores() -> str:
    """The outlier scores, with the floors last."""
    rows = [["score", "description", "formula", "required capabilities", "paper"]]
    for name, score in SCORES.items():
        needs = "no model" if score.floor else named(score.needs or (Anything,))
        formula = score.formula.replace("|", "\\|")
        rows.append([f"`{name}`", score.about, f"{formula}", needs, score.paper])
    return markdown(rows)


def sources() -> str:
    """The training sets of the classifiers."""
    rows = [["training set", "description", "floor"]]
    rows += [[f"`{n}`", one.about, "yes" if one.floor else ""] for n, one in SOURCES.items()]
    return markdown(rows)


def learners() -> str:
    """The classifiers and their data types."""
    rows = [["classifier", "description", "data"]]
    for name, one in LEARNERS.items():
        kinds = " and ".join(KINDS[kind] for kind in one.of)
        rows.append([f"`{name}`", one.about, kinds])
    return markdown(rows)


def tests() -> str:
    """The sets that are compared with test examples, and the two-sample tests."""
    rows = [["compared with test examples", "description"]]
    rows += [[f"`{name}`", one.about] for name, one in RIVALS.items()]
    by = [["test", "definition"], *([f"`{name}`", one.about] for name, one in TESTS.items())]
    return f"{markdown(rows)}\n\n{markdown(by)}"


def reached() -> str:
    """Results of the benchmark of synthetic tables: means over seeds."""
    found: dict[str, Any] = json.loads(USEFUL.read_text(encoding="utf-8"))
    rows = [["table", "training data, or compared with test rows", *NUMBERS]]
    for table, sources in found.items():
        for source, seeds in sources.items():
            cells = [
                f"{statistics.fmean(one[name][0] for one in seeds.values()):.3f}"
                if all(name in one for one in seeds.values())
                else ""
                for name in NUMBERS
            ]
            rows.append([table.replace("_", " "), source, *cells])
    return markdown(rows)


def classified() -> str:
    """Results of classification by Bayes' rule, one seed, with the floors."""
    found: dict[str, Any] = json.loads(CLASSIFIED.read_text(encoding="utf-8"))
    rows = [["", "test examples", "accuracy, %", "log loss, nats", "calibration", "slope"]]
    for run, result in found.items():
        for name, one in result["measured"].items():
            what = f"`{run}`, log p(x \\| y) {result['likelihood']}" if name == "model" else name
            rows.append([what, f"{result['examples']:,}", *_classified(one)])
    return markdown(rows)


def _classified(one: Mapping[str, Any]) -> list[str]:
    right, loss, slope = one["accuracy"], one["log_loss"], one["calibration_slope"]
    return [
        f"{100 * right['value']:.1f} ({100 * right['low']:.1f}-{100 * right['high']:.1f})",
        "" if loss is None else f"{loss['value']:.2f} ({loss['low']:.2f}-{loss['high']:.2f})",
        "" if one["calibration_error"] is None else f"{one['calibration_error']:.3f}",
        "" if slope is None else f"{slope['value']:.2f}",
    ]


def compressed() -> str:
    """Bits/dim and coding times of runs, one seed, and bits/dim of the floors."""
    found: dict[str, Any] = json.loads(COMPRESSED.read_text(encoding="utf-8"))
    floors = next(iter(found.values()))["bits_per_dim"]
    rows = [
        ["", "bits/dim of the file", "of the code", "-log2 p", "seconds to compress, decompress"]
    ]
    for run, result in found.items():
        own = [f"{rate:.4f}" for name, rate in result["bits_per_dim"].items() if name not in FLOORS]
        rows.append([f"`{run}`", *own, ", ".join(f"{s:.0f}" for s in result["process_seconds"])])
    rows += [[name, f"{rate:.4f}", "", "", ""] for name, rate in floors.items() if name in FLOORS]
    return markdown(rows)


def clustered() -> str:
    """Agreement of clusters with labels, one seed, with the floors."""
    found: dict[str, Any] = json.loads(CLUSTERED.read_text(encoding="utf-8"))
    rows = [["", "", *MEASURES]]
    for what, result in found.items():
        for name, by_measure in result["measured"].items():
            cells = [IntervalEstimate(**by_measure[m]).text() for m in MEASURES]
            rows.append([f"`{what}`: {result['how']}", name, *cells])
    return markdown(rows)


KINDS: Mapping[type[DataSpec], str] = {VectorSpec: "rows of tables", ImageSpec: "images"}


def repairs() -> str:
    """PSNR and SSIM of floors and models by noise and level."""
    by_model = _measured("denoise")
    first = next(iter(by_model.values()))
    floors = [name for name in next(iter(first.values())) if name != MODEL]
    rows = [["damage", *floors, *(f"`{model}`" for model in by_model)]]
    for damage, methods in first.items():
        cells = [methods[name] for name in floors]
        cells += [found[damage][MODEL] for found in by_model.values()]
        most = [max(cell[name][0] for cell in cells) for name in SHOWN]
        rows.append([damage, *(_cell(cell, most) for cell in cells)])
    return markdown(rows)


def reconstructions() -> str:
    """PSNR and SSIM of reconstructions."""
    rows = [["model", "images", "code", "principal components", "the mean image"]]
    for model, by_split in _measured("reconstruct").items():
        for split, methods in by_split.items():
            cells = list(methods.values())
            most = [max(cell[name][0] for cell in cells) for name in SHOWN]
            note = methods[MODEL]["note"].removeprefix("code of ")
            rows.append([f"`{model}`, {note}", split, *(_cell(cell, most) for cell in cells)])
    return markdown(rows)


def _measured(verb: str) -> dict[str, Any]:
    """Results of a command in the denoising benchmark, by model."""
    found = json.loads(MEASURED.read_text(encoding="utf-8"))
    return {model: numbers[verb] for model, numbers in found.items() if verb in numbers}


def _cell(cell: Mapping[str, Any], most: list[float]) -> str:
    """PSNR and SSIM, with the best value of a row in bold."""
    texts = [f"{cell[name][0]:.{places}f}" for name, places in SHOWN.items()]
    best = [cell[name][0] == top for name, top in zip(SHOWN, most, strict=True)]
    return " / ".join(f"**{t}**" if b else t for t, b in zip(texts, best, strict=True))


PAGES: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "uses.md": {"tasks": tasks, "models": models},
    "outliers.md": {"scores": scores},
    "synthetic.md": {
        "sources": sources,
        "learners": learners,
        "tests": tests,
        "reached": reached,
    },
    "classification.md": {"classified": classified},
    "compression.md": {"compressed": compressed},
    "clustering.md": {"clustered": clustered},
    "families.md": {
        "tree": seed_tables.tree,
        "grey": seed_tables.families_grey,
        "colour": seed_tables.families_colour,
    },
    "toys.md": {"toys": seed_tables.toys},
    "denoising.md": {"repairs": repairs, "reconstructions": reconstructions},
    "distributed.md": {
        "gpu": gpu_tables.training,
        "gpu-sampling": gpu_tables.sampling,
        "rates": scaling_tables.rates,
        "messages": scaling_tables.messages,
        "loopback": scaling_tables.loopback,
        "links": scaling_tables.links,
        "others": scaling_tables.others,
        "clusters": scaling_tables.clusters,
    },
}


def written(text: str, parts: Mapping[str, Callable[[], str]]) -> str:
    """The text of a page with updated tables."""
    for name, part in parts.items():
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        found = marked.search(text)
        assert found is not None, f"the page has no markers for the table {name}"
        text = f"{text[: found.end(1)]}{part()}\n" + text[found.start(2) :]
    return text


def main() -> None:
    for page, parts in PAGES.items():
        file = ROOT / "docs" / page
        file.write_text(written(file.read_text(encoding="utf-8"), parts), encoding="utf-8")


if __name__ == "__main__":
    main()
