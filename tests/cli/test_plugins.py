"""Plug-ins: an installed package found by its entry point, a module that the user names, entries
and classes given in Python. What a run folder says imports nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ptheta
from ptheta import plugins
from ptheta.api.plugging import KINDS, Table
from ptheta.batch import Batch, Condition
from ptheta.cli import main
from ptheta.config import as_dict, options
from ptheta.data.sources import SOURCES, PathKind
from ptheta.errors import PthetaError
from ptheta.games import Terms
from ptheta.losses.adversarial import LOSSES, AdversarialLoss
from ptheta.metrics.table import METRICS
from ptheta.models import own, registry
from ptheta.models.own import ModelEntry
from ptheta.optimizers import OptimizerConfig
from ptheta.specs import DataSpec, ImageSpec
from tests.contracts.test_gan_additions import squared, squares

PACKAGE = Path(__file__).parent.parent / "plugin"
SRC = Path(ptheta.__file__).parent.parent
QUIET: dict[str, Any] = {"steps": 4, "levels": 2, "batch_size": 8, "threads": 1, "sample_every": 0}
TABLES: tuple[dict[Any, Any], ...] = (
    *(table.table for table in KINDS.values() if isinstance(table, Table)),
    *(registry.MODELS, own.CONFIGS),
)


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(plugins, "_known", plugins._Known(loaded=True))
    kept = [dict(table) for table in TABLES]
    sources = list(SOURCES)
    yield
    for table, before in zip(TABLES, kept, strict=True):
        table.clear()
        table.update(before)
    SOURCES[:] = sources


class Own(nn.Module):
    """A module that knows nothing of ptheta but a batch."""

    def __init__(self, spec: DataSpec, hidden: int = 4, scale: float = 1.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(spec.dims, hidden), nn.Linear(hidden, spec.dims))
        self.scale = scale

    def loss(self, batch: Batch) -> Tensor:
        u = batch.x.flatten(1) / 255
        return (self.layers(u) - u).square().sum(1) * self.scale

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        noise = torch.rand(n, self.spec.dims, device=next(self.parameters()).device)
        u = self.layers(noise).view(n, *self.spec.shape)
        return (u > 0.5).byte() * 255

    spec: ImageSpec


class Named(Own):
    """Several terms, one of them of the whole batch."""

    def loss(self, batch: Batch) -> Terms:  # type: ignore[override]
        return {"error": Own.loss(self, batch), "size": next(self.parameters()).square().sum()}


def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """As another program would find it."""
    for kind, name in list(plugins._known.entries):
        if kind == "model":
            del registry.MODELS[name]
    monkeypatch.setattr(plugins, "_known", plugins._Known(loaded=True))


def run_of(out: Path, *words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main([word.replace("OUT", str(out)) for word in words])
    assert isinstance(ended.value.code, int)
    return ended.value.code


# -- classes and objects given in Python


@pytest.mark.parametrize("cls", [Own, Named])
def test_a_module_with_a_loss_trains_by_its_own_options_and_has_a_run(cls, strokes, tmp_path):
    run = ptheta.train(cls, strokes, tmp_path / "r", hidden=3, lr=0.01, clip=1.0, **QUIET)
    assert run.plan.model == f"{__name__}:{cls.__name__}"
    assert set(options(type(run.plan.config))) == {"hidden", "scale", *options(OptimizerConfig)}
    model: Any = ptheta.load(run.path)
    assert type(model) is cls
    assert model.layers[0].out_features == 3
    assert model.spec == run.spec
    more = ptheta.train(cls, strokes, run.path, resume=True, **{**QUIET, "steps": 8})
    whole = ptheta.train(
        cls,
        strokes,
        tmp_path / "w",
        hidden=3,
        lr=0.01,
        clip=1.0,
        steps=8,
        **{k: v for k, v in QUIET.items() if k != "steps"},
    )
    for a, b in zip(more.model().parameters(), whole.model().parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(PthetaError, match="'hiden': did you mean 'hidden'"):
        ptheta.train(cls, strokes, tmp_path / "x", hiden=3, **QUIET)
    with pytest.raises(PthetaError, match="hidden = many: "):
        ptheta.train(cls, strokes, tmp_path / "x", hidden="many", **QUIET)


def test_a_class_is_swept(strokes, tmp_path):
    few = {**QUIET, "steps": 1}
    done = ptheta.sweep(Own, strokes, tmp_path / "s", [{"hidden": 2}, {"hidden": 3}], **few)
    assert [path.name for path in done.runs] == ["hidden=2,seed=0", "hidden=3,seed=0"]
    assert not done.failed


def test_an_object_is_trained_from_its_weights_and_left_as_it_is(tmp_path):
    x = (torch.rand(60, 1, 6, 6) > 0.5).byte() * 255
    given = Own(ImageSpec(1, 6, 6, 2), hidden=4)
    before = {k: v.clone() for k, v in given.state_dict().items()}
    run = ptheta.train(given, x, tmp_path / "r", **{**QUIET, "steps": 1}, lr=1e-9)
    for key, value in ptheta.load(run.path).state_dict().items():
        assert torch.equal(given.state_dict()[key], before[key])
        torch.testing.assert_close(value, before[key])


class Typed(nn.Module):
    """As the models here are made."""

    def __init__(self, spec: DataSpec, config: OptimizerConfig) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(spec.dims))

    def loss(self, batch: Batch) -> Tensor:
        return (self.bias - batch.x.flatten(1) / 255).square().mean()


class Bare(Typed):
    def __init__(self, spec: DataSpec, config) -> None:
        super().__init__(spec, config)


class Needing(Typed):
    def __init__(self, spec: DataSpec, width: int) -> None:
        super().__init__(spec, OptimizerConfig())


class Loose(Own):
    def sample(self, n: int) -> Tensor:  # type: ignore[override]
        return torch.zeros(n)


def test_a_class_may_take_a_config(strokes, tmp_path):
    run = ptheta.train(Typed, strokes, tmp_path / "r", lr=0.1, **QUIET)
    assert as_dict(run.plan.config)["lr"] == 0.1


@pytest.mark.parametrize(
    ("cls", "line"),
    [
        (nn.Linear, r"Linear has no game\(\), fit\(batches\) or loss\(batch\)"),
        (Bare, "annotate config with its dataclass"),
        (Needing, r"Needing\(width\): arguments after the spec are options"),
        (Loose, r"sample.* cannot be called as sample\(n, condition\)"),
        (dict, "give a class of torch.nn.Module"),
    ],
)
def test_what_cannot_be_trained_is_said_in_one_line(cls, line, strokes, tmp_path):
    with pytest.raises(PthetaError, match=line) as error:
        ptheta.train(cls, strokes, tmp_path / "r", **QUIET)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "r" / "config.json").exists()


@pytest.mark.slow
def test_a_class_is_sent_to_several_processes(strokes, tmp_path):
    one = ptheta.train(Own, strokes, tmp_path / "a", **QUIET)
    two = ptheta.train(Own, strokes, tmp_path / "b", processes=2, **QUIET)
    for a, b in zip(one.model().parameters(), two.model().parameters(), strict=True):
        torch.testing.assert_close(a, b)

    class Local(Own):
        """Nothing that another process can find."""

    with pytest.raises(PthetaError, match="cannot be pickled for other processes"):
        ptheta.train(Local, strokes, tmp_path / "c", processes=2, **QUIET)


# -- a run names a module, and imports nothing


def test_a_run_imports_no_module_until_the_user_names_it(strokes, tmp_path, monkeypatch, capfd):
    ptheta.train(Own, strokes, tmp_path / "r", **QUIET)
    forgotten(monkeypatch)
    with pytest.raises(PthetaError, match=f"name the module with --plugin {__name__}"):
        ptheta.load(tmp_path / "r")
    draw = ("sample", "OUT/r", "-n", "4", "--out", "OUT/x.png")
    assert run_of(tmp_path, *draw) == 2
    assert run_of(tmp_path, "--plugin", __name__, *draw) == 0
    forgotten(monkeypatch)
    monkeypatch.setenv(plugins.VARIABLE, f" {__name__},")
    plugins._known.loaded = False
    assert run_of(tmp_path, *draw) == 0
    assert run_of(tmp_path, "--plugin", "no_such_module", *draw) == 2
    assert "plug-in no_such_module cannot be imported" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["evil:Model", "os:system", "builtins:dict", "evil", "a:b:c", ":"])
def test_no_name_in_a_run_folder_runs_code(name, strokes, tmp_path, monkeypatch):
    run = ptheta.train(Own, strokes, tmp_path / "r", **QUIET)
    (tmp_path / "evil.py").write_text("raise SystemExit('run')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    about = json.loads((run.path / "config.json").read_text())
    (part,) = about["plugins"]
    forged = [part | {"name": name, "module": "evil"}, part | {"package": "a; rm -r b"}]
    for parts in (about["plugins"], *([one] for one in forged), []):
        changed = about | {"model": name, "plugins": parts}
        (run.path / "config.json").write_text(json.dumps(changed))
        with pytest.raises(PthetaError) as error:
            ptheta.load(run.path)
        assert "\n" not in str(error.value)
    assert "evil" not in sys.modules


@pytest.mark.parametrize("path", ["nn.Linear", "Tensor", "Own.loss", "NoSuch", "SRC.x", ""])
def test_of_a_named_module_only_its_own_classes_of_models_are_found(path):
    plugins.use(__name__)
    assert not registry.known(f"{__name__}:{path}")
    assert registry.known(f"{__name__}:Own")


# -- entries given in Python


ENTRIES: dict[str, tuple[str, object]] = {
    **{
        kind: (f"own-{kind}", next(iter(table.table.values())))
        for kind, table in KINDS.items()
        if type(table) is Table
    },
    "model": ("own", Own),
    "loss": ("own-squares", AdversarialLoss(squares, squared, ("a", "b"), "none")),
    "metric": ("nll{given}", METRICS["nll{given}"]),
    "source": ("own-files", PathKind.of_files(".own", open=SOURCES[0].open)),
}


def test_every_kind_of_entry_is_checked_and_has_one_owner():
    assert ENTRIES.keys() == KINDS.keys()
    for kind, (name, entry) in ENTRIES.items():
        if kind == "metric":
            with pytest.raises(PthetaError, match="is one of ptheta's own"):
                ptheta.register(kind, name, entry)
            continue
        for _ in range(2):  # a cell of a notebook runs again
            ptheta.register(kind, name, entry)
        assert plugins.find(kind, name) is not None
        with pytest.raises(PthetaError, match=r"want|give"):
            ptheta.register(kind, "own-x", object())
        other = plugins.Registered(kind, name, entry, plugins.Origin("another"))
        with pytest.raises(PthetaError, match=f"is already registered by the module {__name__}"):
            plugins.remember(other)
    assert [kind for kind in SOURCES if ".own" in kind.files] == [ENTRIES["source"][1]]
    with pytest.raises(PthetaError, match="did you mean 'loss'"):
        ptheta.register("los", "x", ENTRIES["loss"][1])
    with pytest.raises(PthetaError, match="is one of ptheta's own: choose another name"):
        ptheta.register("model", "gan", Own)
    with pytest.raises(PthetaError, match=r"has the name 'nll.given.': use the same name"):
        ptheta.register("metric", "own", METRICS["nll{given}"])


def test_a_registered_loss_is_an_option_and_is_asked_for_where_it_is_missing(
    strokes, tmp_path, monkeypatch
):
    name, loss = ENTRIES["loss"]
    ptheta.register("loss", name, loss)
    run = ptheta.train(
        "gan", strokes, tmp_path / "r", net="mlp", latent=3, loss=name, features=4, **QUIET
    )
    kept = json.loads((run.path / "config.json").read_text())["plugins"]
    assert [(part["kind"], part["name"], part["module"]) for part in kept] == [
        ("loss", name, __name__)
    ]
    assert ptheta.load(run.path) is not None
    del LOSSES[name]
    forgotten(monkeypatch)
    with pytest.raises(PthetaError, match=f"it needs the loss '{name}' of the module {__name__}"):
        ptheta.load(run.path)


# -- packages


def test_a_plug_in_that_fails_costs_one_warning(monkeypatch, tmp_path, strokes):
    (tmp_path / "broken_plug_in.py").write_text("import no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("broken", "broken_plug_in", plugins.GROUP)
    monkeypatch.setattr(plugins, "_points", lambda: iter([point]))
    monkeypatch.setattr(plugins, "_known", plugins._Known())
    with pytest.warns(UserWarning, match=r"plug-in .*broken_plug_in cannot be loaded") as told:
        assert "vae" in registry.models()
    assert len(told) == 1
    assert "No module named 'no_such_module'): it is skipped" in str(told[0].message)
    registry.entry("vae")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of tests/plugin, built as a wheel and installed into a folder."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    shutil.copytree(PACKAGE, source)
    how = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip"]
    subprocess.run([*pip, "wheel", "-q", *how, "-w", folder, source], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "-q", *how, "--target", folder / "site", wheel], check=True)
    return folder / "site"


COMMANDS = """
import contextlib, io, json, sys
from ptheta.cli import main

for words in json.loads(sys.argv[1]):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main(words)
    print(json.dumps(out.getvalue()))
"""


def commands(folder: Path, site: Path | None, *lines: str) -> tuple[list[str], str]:
    """What each command prints, one after the other in one new process; and what is said of
    errors."""
    places = os.pathsep.join(map(str, filter(None, (SRC, site))))
    env = {k: v for k, v in os.environ.items() if k != plugins.VARIABLE} | {"PYTHONPATH": places}
    asked = json.dumps([line.split() for line in lines])
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, asked],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.mark.slow
def test_an_installed_package_brings_one_of_each_kind(installed, tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (120, 256), dtype=np.uint8)
    (tmp_path / "bars.lines").write_text("\n".join(bytes(row).hex() for row in rows))
    few = "--levels 2 --threads 1 --batch-size 8"
    said, errors = commands(
        *(tmp_path, installed),
        "models",
        "metrics",
        f"train toy-blobs --data bars.lines --out blobs --recipe wide {few}",
        "train gan --data bars.lines --out gan --net mlp --loss toy-squares --steps 2 "
        f"--penalty toy-consistency {few}",
        "sample blobs -n 4 --out grid.png",
        "evaluate blobs -n 10 --extractor toy-means",
        "evaluate gan -n 10 --extractor toy-means",
        "compare blobs gan -n 10 --out report --extractor toy-means",
        "train gan --help",
    )
    models, metrics, *_, help = said
    assert "Toys\n  toy-blobs" in models
    assert "toy_brightness" in metrics
    assert "toy-squares" in help
    assert (tmp_path / "grid.png").exists()
    assert (tmp_path / "report" / "report.html").exists(), errors
    for name in ("blobs", "gan"):
        results = json.loads((tmp_path / name / "evaluation.json").read_text())["results"]
        found = {result["metric"]: result["value"] for result in results}
        assert 0 < found["toy_brightness"] < 1
        assert found["kd_toy-means"] is not None
        kept = json.loads((tmp_path / name / "config.json").read_text())["plugins"]
        assert {part["package"] for part in kept} == {"toy-ptheta"}
        assert {part["version"] for part in kept} == {"0.3"}
    assert [part["kind"] for part in kept] == ["loss", "penalty", "source"]
    said, errors = commands(
        *(tmp_path, None),
        "sample blobs -n 4 --out missing.png",
        "evaluate gan -n 10",
        "compare blobs gan -n 10 --out missing",
        "models",
    )
    assert (
        errors.count("of toy-ptheta 0.3: if you trust it, install it (pip install toy-ptheta)") == 3
    )
    assert "it needs the loss 'toy-squares'" in errors
    assert "toy" not in said[3]


def test_help_imports_no_plug_in(monkeypatch, capfd):
    monkeypatch.setattr(plugins, "_known", plugins._Known())
    assert run_of(Path(), "--help") == 0
    assert not plugins._known.loaded


def test_a_named_recipe_and_family_come_from_the_entry():
    entry = ModelEntry(
        Own, family="mine", paper="here", named={"default": {"about": "x", "model": {}}}
    )
    ptheta.register("model", "mine", entry)
    assert ptheta.list_models()["mine"]["family"] == "mine"
    assert registry.entry("mine") is entry


def blocks() -> list[tuple[str, str]]:
    """(language, text) of the blocks of the page."""
    text = (PACKAGE.parent.parent / "docs" / "plugins.md").read_text()
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_page_runs_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    done = 0
    for language, text in blocks():
        if file := re.match(r"# (\w+\.py)\n", text):
            (tmp_path / file[1]).write_text(text)
        elif language == "python":
            exec(compile(text, "plugins.md", "exec"), {"__name__": "__main__"})
            done += 1
        for line in text.splitlines():
            if line.startswith("ptheta -"):
                assert run_of(tmp_path, *line.split()[1:]) == 0, line
                done += 1
    assert done == 6
    package = next(text for _, text in blocks() if text.startswith("[project"))
    assert package in (PACKAGE / "pyproject.toml").read_text()
    sys.modules.pop("my_models")
