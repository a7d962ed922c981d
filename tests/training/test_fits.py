"""Training without gradients: in closed form by one pass, by expectation maximisation by many."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ptheta
from ptheta import config
from ptheta.batch import Batch, Condition
from ptheta.cli import main
from ptheta.conditions import ConditionSpec
from ptheta.errors import Interrupted, PthetaError
from ptheta.models import registry
from ptheta.models.base import Fits, ImageModel
from ptheta.models.entries import Entry
from ptheta.models.recipes import Recipes
from ptheta.specs import ImageSpec
from ptheta.training import checkpoint
from ptheta.training.fitting import Fitter
from ptheta.training.group import Group
from ptheta.training.metric_logger import read_metrics
from ptheta.training.progress import Progress
from ptheta.training.settings import OF_GRADIENTS, RESUMABLE, TrainSettings
from tests.conftest import FITTED, TINY
from tests.training.test_runs import same


@dataclass(frozen=True)
class ToyConfig:
    components: int = config.option(3, "clusters")
    tolerance: float = config.option(1e-5, "of the likelihood, nats/pixel")


class Toy(ImageModel):
    """A mixture of Bernoulli images, by EM (Bishop 2006, section 9.3.3)."""

    def __init__(
        self, spec: ImageSpec, config: ToyConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        k, self.config = config.components, config
        self.weights = nn.Parameter(torch.full((k,), 1 / k), requires_grad=False)
        self.means = nn.Parameter(0.3 + 0.4 * torch.rand(k, spec.dims), requires_grad=False)
        self.last: Tensor
        self.register_buffer("last", torch.tensor(1e9))

    def joint(self, x: Tensor) -> Tensor:
        u = (x.flatten(1) > 127).double()
        p = self.means.double()
        return u @ p.log().T + (1 - u) @ (1 - p).log().T + self.weights.double().log()

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return self.joint(self.spec.check(x)).logsumexp(1).float()

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        k = torch.multinomial(self.weights, n, replacement=True)
        return (torch.bernoulli(self.means[k]) * 255).byte().view(n, *self.spec.shape)

    def fit(self, batches: Iterable[Batch]) -> Iterator[dict[str, float]]:
        while True:
            n, nll, share, pixels = 0, 0.0, torch.zeros(()), torch.zeros(())
            for batch in batches:
                joint = self.joint(batch.x)
                posterior = joint.softmax(1)
                n, nll = n + len(batch), nll - joint.logsumexp(1).sum().item()
                share = share + posterior.sum(0)
                pixels = pixels + posterior.T @ (batch.x.flatten(1) > 127).double()
            self.weights.copy_(share / n)
            self.means.copy_(((pixels + 0.1) / (share[:, None] + 0.2)).clamp(1e-4, 1 - 1e-4))
            gain, now = (self.last.item() - nll / n) / self.spec.dims, nll / n
            self.last.fill_(now)
            yield {"nll": now}
            if gain < self.config.tolerance:
                return


RECIPES: Recipes = {"default": {"about": "EM", "model": {}, "train": {"epochs": 40.0}}}
QUIET: dict[str, Any] = {"levels": 2, "log_every": 1, "sample_every": 0, "threads": 1}
QUIET["batch_size"] = 50


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ptheta.models.mixtures.toy", sys.modules[__name__])
    monkeypatch.setitem(
        registry.MODELS, "toy", Entry("mixtures.toy", "Toy", "ToyConfig", "Bishop 2006")
    )


def told(folder: Path) -> list[dict[str, float]]:
    drop = ("seconds", "images_per_s")
    return [{k: v for k, v in row.items() if k not in drop} for row in read_metrics(folder)]


def test_em_logs_a_likelihood_that_never_falls_and_ends_by_itself(strokes, tmp_path, capfd):
    run = ptheta.train("toy", strokes, tmp_path / "r", **QUIET)
    values = [row["fit/nll"] for row in told(run.path) if "fit/nll" in row]
    assert 3 < len(values) < 40
    assert f"step {len(values)}: the fit is complete" in capfd.readouterr().err
    assert all(b <= a + 1e-3 for a, b in itertools.pairwise(values))
    assert run.unfinished() is None
    found = checkpoint.latest(run.path / "state")
    assert found is not None
    assert checkpoint.step_of(found) == len(values)
    assert told(run.path)[-1]["held_out/bits_per_dim"] < 1
    # finished: nothing more is done, whatever length is asked for
    before, lines = (run.path / "model.safetensors").read_bytes(), told(run.path)
    ptheta.train("toy", strokes, run.path, resume=True, epochs=400.0)
    assert (run.path / "model.safetensors").read_bytes() == before
    assert told(run.path) == lines


def test_an_interrupted_fit_goes_on_from_its_last_pass(strokes, tmp_path, monkeypatch):
    whole = ptheta.train("toy", strokes, tmp_path / "whole", **QUIET)
    kept = Fitter._at_intervals

    def press_ctrl_c(self, step):
        kept(self, step)
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Fitter, "_at_intervals", press_ctrl_c)
    with pytest.raises(Interrupted, match="step 3"):
        ptheta.train("toy", strokes, tmp_path / "parts", **QUIET)
    monkeypatch.setattr(Fitter, "_at_intervals", kept)
    parts = ptheta.train("toy", strokes, tmp_path / "parts", resume=True)
    a, b = (checkpoint.latest(r.path / "state") for r in (whole, parts))
    assert a is not None
    assert b is not None
    assert a.name == b.name
    assert same(whole.path, parts.path)
    assert same(a, b)
    assert same(a, b, "rng-0.safetensors")
    assert told(whole.path) == told(parts.path)


@pytest.mark.parametrize("how", ["asked to stop", "killed"])
@pytest.mark.parametrize("name", FITTED)
def test_a_fit_that_is_stopped_after_its_last_pass_makes_no_other(
    name, how, strokes, tmp_path, monkeypatch
):
    given: dict[str, Any] = {**QUIET, "checkpoint_every": 1, **TINY.get(name, {})}
    given |= {"steps": 60}
    if "tolerance" in config.options(registry.entry(name).load_config()):
        given["tolerance"] = 1e6
    whole = ptheta.train(name, strokes, tmp_path / "whole", **given)
    kept = Fitter._at_intervals

    def stop(self, step):
        kept(self, step)
        if self.progress.ended and how == "killed":
            raise RuntimeError
        if self.progress.ended:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Fitter, "_at_intervals", stop)
    with pytest.raises(RuntimeError if how == "killed" else Interrupted):
        ptheta.train(name, strokes, tmp_path / "parts", **given)
    monkeypatch.setattr(Fitter, "_at_intervals", kept)
    parts = ptheta.train(name, strokes, tmp_path / "parts", resume=True)
    assert same(whole.path, parts.path)
    assert told(whole.path) == told(parts.path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gaussian", {"ridge": 1e300}),
        ("mixture", {"ridge": 1e300, "components": 2}),
        ("mixture", {"ridge": 1e300, "components": 2, "component": "diagonal"}),
        ("kde", {"width": 1e-30}),
    ],
)
def test_what_is_too_large_or_small_to_be_fitted_is_said_in_one_line(name, options, tmp_path):
    with pytest.raises(PthetaError, match=r"^pass 1: .* other options of the model[^\n]*$"):
        ptheta.train(name, "points-moons", tmp_path / "r", threads=1, sample_every=0, **options)


@pytest.mark.parametrize("every", [1, 3])
def test_a_length_ends_a_fit_and_a_longer_one_goes_on(every, strokes, tmp_path):
    how: dict[str, Any] = {**QUIET, "log_every": every, "tolerance": 1e-9}
    whole = ptheta.train("toy", strokes, tmp_path / "whole", epochs=8.0, **how)
    run = ptheta.train("toy", strokes, tmp_path / "parts", steps=4, **how)
    assert run.unfinished() is None
    run = ptheta.train("toy", strokes, tmp_path / "parts", resume=True, epochs=8.0)
    assert same(whole.path, run.path, "last.safetensors")
    passes = [row for row in told(whole.path) if "fit/nll" in row]
    assert [row for row in told(run.path) if "fit/nll" in row][-1] == passes[-1]


@pytest.mark.parametrize("name", FITTED)
def test_a_fitted_model_of_the_registry_has_a_run_like_any_other(name, strokes, tmp_path, capsys):
    out = tmp_path / "r"
    words = ["train", name, "--data", str(strokes), "--out", str(out)]
    for more in ([], ["--resume"]):
        with pytest.raises(SystemExit) as ended:
            main([*words, *more])
        assert ended.value.code == 0
    run = ptheta.Run.open(out)
    assert isinstance(run.model(), Fits)
    assert len(list((out / "samples").iterdir())) == 1
    assert Progress.read(checkpoint.checkpoints(out / "state")[-1] / "progress.json").best_step
    *passes, scored = told(out)
    assert passes
    assert {*passes[-1]} != {*scored} >= {"step"}  # of the last weights alone
    with pytest.raises(SystemExit) as ended:
        main(["sample", str(out), "-n", "4", "--out", str(tmp_path / "grid.png")])
    assert ended.value.code == 0
    assert (tmp_path / "grid.png").exists()


def test_options_of_gradients_are_named_and_change_nothing(strokes, tmp_path, capfd):
    plain = ptheta.train("gaussian", strokes, tmp_path / "a", **QUIET)
    capfd.readouterr()
    run = ptheta.train("gaussian", strokes, tmp_path / "b", ema=0.9, clip=1.0, beta=4.0, **QUIET)
    assert "--clip, --ema, --beta: only for gradient training" in capfd.readouterr().err
    assert same(plain.path, run.path)
    assert json.loads((run.path / "config.json").read_text())["train"]["ema"] == 0.9
    known = set(config.options(TrainSettings))
    assert set(OF_GRADIENTS) <= known
    assert not set(OF_GRADIENTS) & set(RESUMABLE)


def test_what_cannot_be_fitted_is_said_in_one_line(strokes, tmp_path, monkeypatch):
    with pytest.raises(PthetaError, match="2 processes cannot share: train with one process"):
        ptheta.train("gaussian", strokes, tmp_path / "a", processes=2, device="cpu", **QUIET)

    def broken(self: Toy, batches: Iterable[Batch]) -> Iterator[dict[str, float]]:
        yield {"nll": float("nan")}

    monkeypatch.setattr(Toy, "fit", broken)
    with pytest.raises(PthetaError, match="pass 1: nll of the fit is nan"):
        ptheta.train("toy", strokes, tmp_path / "b", **QUIET)

    def empty(self: Toy, batches: Iterable[Batch]) -> Iterator[dict[str, float]]:
        self.means.fill_(float("inf"))
        yield {}

    monkeypatch.setattr(Toy, "fit", empty)
    with pytest.raises(PthetaError, match="pass 1: a weight of the fit is not finite"):
        ptheta.train("toy", strokes, tmp_path / "c", **QUIET)
    data = ptheta.open_data(strokes)
    with pytest.raises(PthetaError, match=r"Linear has neither game\(\) nor fit\(\)"):
        Fitter(nn.Linear(1, 1), data, TrainSettings(epochs=1.0), tmp_path, Group())
