"""Imports point one way, and nothing outside the models and the registry names a model."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from ptheta.models import registry

ROOT = Path(__file__).parent.parent / "src" / "ptheta"

# Each layer may import itself and what stands before it.
LAYERS: list[set[str]] = [
    {"errors"},
    {"config"},
    {"plugins"},
    {"files", "terminal"},
    {"schemas", "callbacks"},
    {"trackers"},
    {"specs"},
    {"compute"},
    {"corruption", "masks", "batch"},
    {"data"},
    {"conditions"},
    {"distributions"},
    {"losses"},
    {"nets"},
    {"optimizers"},
    {"games", "capabilities"},
    {"dynamics"},
    {"models"},
    {"training"},
    {"runs"},
    {"extractors"},
    {"measures"},
    {"tasks"},
    {"metrics"},
    {"report"},
    {"study"},
    {"api"},
    {"lab"},
    {"cli"},
    {"__main__"},
]
ALONE = {"losses": {"losses", "compute"}}  # functions of tensors and of the streams of noise


def layer(module: str) -> int:
    return next(i for i, names in enumerate(LAYERS) if module in names)


def imports(file: Path) -> set[str]:
    """The parts of ptheta that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "ptheta":
                names = [f"ptheta.{alias.name}" for alias in node.names]
        found |= {n.split(".")[1] for n in names if n.startswith("ptheta.")}
    return found


def parts() -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for file in ROOT.rglob("*.py"):
        part = file.relative_to(ROOT).parts[0].removesuffix(".py")
        if part != "__init__":
            found.setdefault(part, []).append(file)
    return found


def test_every_part_has_its_layer():
    assert set(parts()) == set().union(*LAYERS)


@pytest.mark.parametrize("part", sorted(parts()))
def test_imports_point_one_way(part):
    for file in parts()[part]:
        for other in imports(file) - {part, "__version__"}:
            assert layer(other) <= layer(part), f"{file} imports {other}"
            assert part not in ALONE or other in ALONE[part], f"{file} imports {other}"


WORDS = {"gaussian", "mixture"}  # of the field, which name a noise, a likelihood, a law, too


def test_only_models_and_registry_name_a_model():
    for file in ROOT.rglob("*.py"):
        # a loss may have the name of the paper that the model is named after; a page of the lab
        # shows chosen models
        if {"models", "losses", "pages"} & set(file.parts):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and node.value in registry.MODELS.keys() - WORDS:
                raise AssertionError(f"{file}:{node.lineno} names the model {node.value!r}")


SLOW = ("torch", "matplotlib", "sklearn", "scipy", "jinja2", "pandas", "pyarrow")  # to import
HELP = """
import contextlib, io, sys
import ptheta, ptheta.cli, ptheta.models.registry
from ptheta.cli.commands import cli
for words in ([], *([name] for name in cli.commands)):
    with contextlib.redirect_stdout(io.StringIO()):
        cli.main([*words, "--help"], standalone_mode=False)
    found = [name for name in sys.argv[1:] if name in sys.modules]
    assert not found, (words, found)
"""


def test_importing_ptheta_and_all_help_import_nothing_slow():
    subprocess.run([sys.executable, "-c", HELP, *SLOW], check=True)


def test_public_names_exist():
    import ptheta

    for name in ptheta.__all__:
        assert getattr(ptheta, name) is not None
    assert set(ptheta.__all__) <= set(dir(ptheta))
    assert callable(ptheta.train)
    assert callable(ptheta.load)
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        _ = ptheta.trian  # type: ignore[attr-defined]


def test_no_method_exists_only_to_raise():
    for file in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef):
                body = [n for n in node.body if not isinstance(n, ast.Expr)]
                assert not (len(body) == 1 and isinstance(body[0], ast.Raise)), node.name


def test_option_names_mean_one_thing():
    """A flag belongs to the model, the data or the training, never to two of them."""
    from ptheta import config
    from ptheta.runs import plan

    for name in registry.MODELS:
        seen: set[str] = set()
        for cls in plan.sections(name).values():
            options = set(config.options(cls))
            assert not seen & options
            seen |= options
            assert all(o.help for o in config.options(cls).values())


@pytest.mark.parametrize("name", registry.MODELS)
def test_recipes_are_valid(name):
    from ptheta.runs import plan

    for recipe in registry.entry(name).recipes():
        made = plan.make(name, "digits", {}, recipe)
        assert plan.Plan.from_json(made.to_json()) == made


def test_no_page_and_no_source_holds_both_sides_of_a_merge():
    home = ROOT.parent.parent
    kinds = ("docs/**/*.md", "src/**/*.py", "tests/**/*.py", "*.md")
    mark = "\n" + "<" * 7 + " "
    both = [p for kind in kinds for p in home.glob(kind) if mark in p.read_text(encoding="utf-8")]
    assert not both
