"""The tables of docs/uses.md, docs/outliers.md and docs/denoising.md, from what the program knows.

    python -m scripts.write_uses

Each table stands between two comments, `<!-- NAME -->` and `<!-- /NAME -->`; the rest of the page
is written by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ptheta.tasks.denoise.score import MODEL
from ptheta.tasks.matrix import TASKS, Anything, matrix, named
from ptheta.tasks.outliers import SCORES

ROOT = Path(__file__).parent.parent
MEASURED = ROOT / "benchmarks" / "results" / "denoising.json"
SHOWN = {"psnr": 1, "ssim": 3}  # places after the point


def tasks() -> str:
    """What each use gives, and what it asks of a model."""
    rows = [["verb", "what it gives", "what a model needs"]]
    rows += [[f"`{verb}`", task.about, task.methods] for verb, task in TASKS.items()]
    return _markdown(rows)


def models() -> str:
    """Which model can do which."""
    head, *rows = matrix()
    return _markdown([["model", *head[1:]], *([f"`{row[0]}`", *row[1:]] for row in rows)])


def _markdown(rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"|{'---|' * len(rows[0])}", *lines[1:]])


def scores() -> str:
    """The scores of outliers, the floors last."""
    rows = [["score", "what it is", "formula", "what a model needs", "paper"]]
    for name, score in SCORES.items():
        needs = "no model" if score.floor else named(score.needs or (Anything,))
        formula = score.formula.replace("|", "\\|")
        rows.append([f"`{name}`", score.about, f"{formula}", needs, score.paper])
    return _markdown(rows)


def repairs() -> str:
    """PSNR and SSIM of floors and models by noise and level, as the benchmark found them."""
    by_model = _measured("denoise")
    first = next(iter(by_model.values()))
    floors = [name for name in next(iter(first.values())) if name != MODEL]
    rows = [["damage", *floors, *(f"`{model}`" for model in by_model)]]
    for damage, methods in first.items():
        cells = [methods[name] for name in floors]
        cells += [found[damage][MODEL] for found in by_model.values()]
        most = [max(cell[name][0] for cell in cells) for name in SHOWN]
        rows.append([damage, *(_cell(cell, most) for cell in cells)])
    return _markdown(rows)


def reconstructions() -> str:
    """The same of what codes give back."""
    rows = [["model", "images", "code", "principal components", "the mean image"]]
    for model, by_split in _measured("reconstruct").items():
        for split, methods in by_split.items():
            cells = list(methods.values())
            most = [max(cell[name][0] for cell in cells) for name in SHOWN]
            note = methods[MODEL]["note"].removeprefix("code of ")
            rows.append([f"`{model}`, {note}", split, *(_cell(cell, most) for cell in cells)])
    return _markdown(rows)


def _measured(verb: str) -> dict[str, Any]:
    """By model, what the benchmark of denoising holds of a verb."""
    found = json.loads(MEASURED.read_text(encoding="utf-8"))
    return {model: numbers[verb] for model, numbers in found.items() if verb in numbers}


def _cell(cell: Mapping[str, Any], most: list[float]) -> str:
    """PSNR and SSIM, the highest of a row in bold."""
    texts = [f"{cell[name][0]:.{places}f}" for name, places in SHOWN.items()]
    best = [cell[name][0] == top for name, top in zip(SHOWN, most, strict=True)]
    return " / ".join(f"**{t}**" if b else t for t, b in zip(texts, best, strict=True))


PAGES: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "uses.md": {"tasks": tasks, "models": models},
    "outliers.md": {"scores": scores},
    "denoising.md": {"repairs": repairs, "reconstructions": reconstructions},
}


def written(text: str, parts: Mapping[str, Callable[[], str]]) -> str:
    """A page with its tables as they are now."""
    for name, part in parts.items():
        marked = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
        found = marked.search(text)
        assert found is not None, f"there is no place for {name}"
        text = text[: found.end(1)] + part() + text[found.start(2) :]
    return text


def main() -> None:
    for page, parts in PAGES.items():
        file = ROOT / "docs" / page
        file.write_text(written(file.read_text(encoding="utf-8"), parts), encoding="utf-8")


if __name__ == "__main__":
    main()
