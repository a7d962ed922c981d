"""Pages of the site for the notebooks: their text and code, and the notebook itself to download."""

from __future__ import annotations

import json
import re
from pathlib import Path

from latex2mathml.converter import convert

FORMULA = re.compile(r"\$([^$]+)\$")
NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def pages() -> dict[str, str]:
    """Path -> Markdown, a page for each notebook."""
    return {f"notebooks/{path.stem}.md": _page(path) for path in sorted(NOTEBOOKS.glob("*.ipynb"))}


def files() -> dict[str, bytes]:
    """Path -> bytes of the notebooks."""
    return {f"notebooks/{p.name}": p.read_bytes() for p in sorted(NOTEBOOKS.glob("*.ipynb"))}


def _page(path: Path) -> str:
    first, *rest = json.loads(path.read_text(encoding="utf-8"))["cells"]
    title, _, text = _source(first).partition("\n")
    fetch = f"[{path.name}]({path.name}) is the notebook, to run with Jupyter."
    return "\n\n".join([title, fetch, text.strip(), *map(_cell, rest)]) + "\n"


def _cell(cell: dict[str, object]) -> str:
    if cell["cell_type"] == "markdown":
        return FORMULA.sub(lambda found: str(convert(found[1])), _source(cell))
    return f"```python\n{_source(cell)}\n```"


def _source(cell: dict[str, object]) -> str:
    lines = cell["source"]
    assert isinstance(lines, list)
    return "".join(lines)
