"""Draw the layers of the package from the code and the architecture test.

    python scripts/draw_layers.py

Writes docs/images/layers.svg: one line per part, lowest layer at the bottom, with the first line
of its docstring, its number of files, and the number of parts that it imports.
"""

from __future__ import annotations

import ast
import io
import sys
from pathlib import Path

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ptheta.files.atomic import write_atomic

HOME = Path(__file__).parent.parent
sys.path.insert(0, str(HOME))

from tests.test_architecture import LAYERS, imports, parts  # noqa: E402

OUT = HOME / "docs" / "images" / "layers.svg"
WIDTH, HEIGHT = 7.2, 0.36  # inches: width of the figure, height of a layer


def summary(part: str) -> str:
    """The first line of the docstring of a part."""
    package = HOME / "src" / "ptheta" / part / "__init__.py"
    file = package if package.exists() else package.parent.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    line = " ".join(text.split("\n\n")[0].split())
    return line.split(": ", 1)[-1].split(". ")[0].split(";")[0].rstrip(".,;")


def main() -> None:
    rows = [sorted(layer) for layer in LAYERS]
    figure = Figure(figsize=(WIDTH, HEIGHT * sum(map(len, rows)) + 0.3))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    axes.set_xlim(0, 1)
    total = sum(map(len, rows))
    axes.set_ylim(-0.2, total + 0.3)
    files, y = parts(), 0.0
    for number, row in enumerate(rows):
        shade = "#eef2f7" if number % 2 else "#ffffff"
        axes.axhspan(y, y + len(row), fc=shade, ec="none")
        for part in row:
            count = len(files[part])
            uses = {o for file in files[part] for o in imports(file)} & set(files) - {part}
            axes.text(0.02, y + 0.5, part, va="center", fontsize=9, fontweight="bold")
            axes.text(0.2, y + 0.5, summary(part)[:76], va="center", fontsize=7.5)
            told = f"{count} files, imports {len(uses)} parts"
            axes.text(0.98, y + 0.5, told, va="center", ha="right", fontsize=6.5, color="#5b7083")
            y += 1
    out = io.BytesIO()
    with rc_context({"svg.hashsalt": "ptheta"}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    write_atomic(OUT, lambda beside: beside.write_bytes(out.getvalue()))


if __name__ == "__main__":
    main()
