"""The notebooks run from top to bottom, and are stored without outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FEW = "STEPS = 12"
PATIENCE = 600  # seconds for a cell


def cells(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["cells"]
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path: Path):
    code = [cell for cell in cells(path) if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)
    (steps,) = [cell for cell in code if "parameters" in cell["metadata"].get("tags", ())]
    assert "".join(steps["source"]).startswith("STEPS = ")
    compile("\n".join("".join(cell["source"]) for cell in code), str(path), "exec")


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With few steps, in an empty folder; cells that show an object show a picture or a table."""
    nbformat = pytest.importorskip("nbformat", reason="notebooks need pip install '.[docs]'")
    client = pytest.importorskip("nbclient", reason="notebooks need pip install '.[docs]'")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    book = nbformat.read(path, as_version=4)
    for cell in book.cells:
        if "parameters" in cell.metadata.get("tags", ()):
            cell.source = FEW
    resources = {"metadata": {"path": str(tmp_path)}}
    client.NotebookClient(
        book, timeout=PATIENCE, kernel_name="python3", resources=resources
    ).execute()
    shown = [out for cell in book.cells if cell.cell_type == "code" for out in cell.outputs]
    assert not [out for out in shown if out.output_type == "error"]
    assert sum("text/html" in out.get("data", {}) for out in shown) >= 3
    assert (tmp_path / "runs").is_dir()
