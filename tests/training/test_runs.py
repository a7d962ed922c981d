"""Runs: exact resume, survival of kills, the best weights, bad numbers."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import ptheta
from ptheta import api, tasks
from ptheta.data.memory import Source
from ptheta.errors import Interrupted, PthetaError
from ptheta.runs.folder import Run
from ptheta.specs import VectorSpec
from ptheta.training import checkpoint, reporter
from ptheta.training.loop import Trainer
from ptheta.training.metric_logger import read_metrics
from ptheta.training.processes import COMPILERS
from ptheta.training.scoring import Scored
from ptheta.training.settings import TrainSettings
from tests.conftest import PLAYED, TINY, config_options, data_for, loaded

QUIET = {
    "evaluate_every": 0,
    "sample_every": 0,
    "checkpoint_every": 0,
    "log_every": 50,
    "batch_size": 8,
    "threads": 1,
}


def train(name: str, data: Source | None, out: Path, **options):
    return ptheta.train(name, data, out, **{**TINY.get(name, {}), **QUIET, **options})


def same(a: Path, b: Path, file: str = "model.safetensors") -> bool:
    x, y = load_file(a / file), load_file(b / file)
    return x.keys() == y.keys() and all(torch.equal(x[k], y[k]) for k in x)


# Run by `make test-slow`: classes and games that another name has as well, and long steps.
LATER = {
    *("lsgan", "wgan", "wgan-gp", "dragan", "sngan", "r3gan", "acgan", "projection-gan"),
    *("cvae", "iwae", "vae-gan", "alpha-gan", "context-gan", "bicycle-gan"),
    *("realnvp", "glow", "multiscale-pixelcnn", "pixelcnn++", "row-lstm", "diagonal-bilstm"),
    *("image-transformer", "text-gan", "stackgan"),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in LATER else ()) for name in PLAYED],
)
def test_resume_is_bit_identical(name, strokes, tmp_path):
    """80 steps, and 40 + resume + 40: weights, averages, optimizers, noise and metrics."""
    check_resume(name, data_for(name, strokes), tmp_path, levels=2, dynamic=True)


# one name for each class
OF_VECTORS = {loaded(name): name for name in reversed(PLAYED) if VectorSpec in loaded(name).specs}


SOONER = {"made", "gan"}  # the others take longer than the suite may


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in SOONER else pytest.mark.slow)
        for name in OF_VECTORS.values()
    ],
)
def test_resume_on_vectors_is_bit_identical(name, rows, tmp_path):
    net = {"net": "mlp"} if "net" in config_options(name) else {}
    check_resume(name, rows, tmp_path, steps=40, **net, label_column="label")


# options by which it depends on the length of the run who moves when
BY_SHARE = {"matching"}


def check_resume(name: str, data: Source, tmp_path: Path, steps: int = 80, **options) -> None:
    # a recipe's cosine schedule, or growth, would depend on the length asked for
    options |= {"ema": 0.9, "clip": 5.0, "schedule": "constant", "warmup": 3 * steps // 5}
    options |= {"evaluate_every": steps // 4, "held_out": 24, "sample_every": 7 * steps // 20}
    options |= {"log_every": steps // 4}
    options |= {"stages": 1} if "stages" in config_options(name) else {}
    whole = train(name, data, tmp_path / "whole", steps=steps, **options)
    if BY_SHARE & config_options(name):
        parts = in_two(name, data, tmp_path / "parts", steps // 2, steps=steps, **options)
    else:
        train(name, data, tmp_path / "parts", steps=steps // 2, **options)
        parts = train(name, data, tmp_path / "parts", steps=steps, resume=True, **options)
    check_same(whole, parts, steps)


def in_two(name: str, data: Source, out: Path, stop: int, **options) -> Run:
    """A run that is interrupted after step `stop` and goes on to its end."""
    kept = Trainer._at_intervals

    def press_ctrl_c(self, step):
        kept(self, step)
        if step == stop:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_at_intervals", press_ctrl_c)
        with pytest.raises(Interrupted, match="--resume"):
            train(name, data, out, **options)
    return train(name, data, out, resume=True, **options)


def check_same(whole: Run, parts: Run, steps: int) -> None:
    """Two runs of so many steps are alike in all that is written."""
    assert same(whole.path, parts.path)
    a, b = (checkpoint.latest(r.path / "state") for r in (whole, parts))
    assert a is not None
    assert b is not None
    assert a.name == b.name == f"step-{steps:08d}"
    for file in ("model", "ema", "optimizers", "rng-0"):
        assert same(a, b, f"{file}.safetensors"), file
    drop = ("seconds", "images_per_s", "epoch")
    told = [
        [{k: v for k, v in line.items() if k not in drop} for line in read_metrics(r.path)]
        for r in (whole, parts)
    ]
    assert [x for x in told[1] if x not in told[0]] == []


def test_interrupt_writes_a_checkpoint_and_the_run_goes_on(strokes, tmp_path, monkeypatch):
    whole = train("dcgan", strokes, tmp_path / "whole", steps=40, schedule="cosine")
    kept = Trainer._at_intervals

    def press_ctrl_c(self, step):
        kept(self, step)
        if step == 17:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Trainer, "_at_intervals", press_ctrl_c)
    with pytest.raises(Interrupted, match="--resume"):
        train("dcgan", strokes, tmp_path / "parts", steps=40, schedule="cosine")
    monkeypatch.setattr(Trainer, "_at_intervals", kept)
    found = checkpoint.latest(tmp_path / "parts" / "state")
    assert found is not None
    assert checkpoint.step_of(found) == 17
    parts = train("dcgan", strokes, tmp_path / "parts", steps=40, resume=True)
    assert same(whole.path, parts.path)


def test_numbers_of_a_run_that_goes_on_come_with_a_warning(strokes, tmp_path, monkeypatch):
    run = train("gan", strokes, tmp_path / "r", steps=4)
    assert run.unfinished() is None
    longer = Run.open(run.path)
    longer = dataclasses.replace(
        longer, plan=dataclasses.replace(longer.plan, train=TrainSettings(steps=9))
    )
    assert longer.unfinished() == "step 4 of 9"
    with pytest.warns(UserWarning, match="is not finished \\(step 4 of 9\\)"):
        longer.warn_if_unfinished()
    by_time = dataclasses.replace(
        longer, plan=dataclasses.replace(longer.plan, train=TrainSettings(minutes=50.0))
    )
    assert "of 50 minutes" in str(by_time.unfinished())
    shutil.rmtree(run.path / "state")
    assert longer.unfinished() == "before its first checkpoint"


def test_kill_during_a_checkpoint_leaves_the_one_before(strokes, tmp_path, monkeypatch):
    whole = train("vae", strokes, tmp_path / "whole", steps=30, checkpoint_every=10)
    kept = checkpoint.commit

    def die_at_20(beside, damaged):
        if beside.name.endswith("20"):
            (beside / "ema.safetensors").write_bytes(b"half a fi")
            raise KeyboardInterrupt
        return kept(beside, damaged)

    monkeypatch.setattr(checkpoint, "commit", die_at_20)
    with pytest.raises(KeyboardInterrupt):
        train("vae", strokes, tmp_path / "parts", steps=30, checkpoint_every=10)
    monkeypatch.setattr(checkpoint, "commit", kept)
    found = checkpoint.latest(tmp_path / "parts" / "state")
    assert found is not None
    assert checkpoint.step_of(found) == 10
    parts = train("vae", strokes, tmp_path / "parts", steps=30, resume=True)
    assert same(whole.path, parts.path)
    assert not list((parts.path / "state").glob(".*"))


@pytest.mark.slow
def test_kill_9_at_any_moment_leaves_a_run_that_resumes(strokes, tmp_path):
    out = tmp_path / "killed"
    options = [
        "--hidden",
        "16",
        "--latent",
        "3",
        "--features",
        "4",
        "--batch-size",
        "8",
        "--threads",
        "1",
    ]
    options += ["--checkpoint-every", "3", "--evaluate-every", "0", "--sample-every", "0"]
    command = [sys.executable, "-m", "ptheta.cli", "train", "vae", "--data", str(strokes)]
    command += ["--out", str(out), "--steps", "600", "--resume", *options]
    seen = []
    for extra in (0.1, 0.37):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        before = checkpoint.latest(out / "state")
        deadline = time.monotonic() + 60
        while checkpoint.latest(out / "state") == before and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(extra)
        process.kill()
        process.wait()
        found = checkpoint.latest(out / "state")
        assert found is not None
        seen.append(checkpoint.step_of(found))
    assert seen[0] < seen[1] <= 600
    resumed = train("vae", strokes, out, steps=600, resume=True, checkpoint_every=3)
    whole = train("vae", strokes, tmp_path / "whole", steps=600)
    assert same(whole.path, resumed.path)
    steps = [line["step"] for line in read_metrics(out)]
    assert steps == sorted(set(steps))


def test_the_best_weights_are_kept_beside_the_last(strokes, tmp_path, monkeypatch):
    values = iter([3.0, 1.0, 2.0, float("nan")])
    monkeypatch.setattr(
        "ptheta.api.training._scorer", lambda held: lambda model: Scored("m", next(values), True)
    )
    run = train("vae", strokes, tmp_path / "r", steps=40, evaluate_every=10, held_out=500)
    best, last = run.model("best").state_dict(), run.model("last").state_dict()
    assert any(not torch.equal(best[k], last[k]) for k in best)
    found = checkpoint.latest(run.path / "state")
    assert found is not None
    progress = json.loads((found / "progress.json").read_text())
    assert (progress["best_step"], progress["best_value"]) == (20, 1.0)
    monkeypatch.undo()
    short = train("vae", strokes, tmp_path / "s", steps=20, held_out=0)
    assert short.model("last").state_dict().keys() == best.keys()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_bad_loss_stops_the_run_and_says_where(strokes, tmp_path, monkeypatch, bad):
    from ptheta.models.adversarial.gan import GAN

    kept, calls = GAN.discriminator_loss, []

    def spoiled(self, batch, shared):
        calls.append(1)
        terms = kept(self, batch, shared)
        return {**terms, "penalty": terms["adversarial"] * (bad if len(calls) == 8 else 0.0)}

    monkeypatch.setattr(GAN, "discriminator_loss", spoiled)
    with pytest.raises(PthetaError) as error:
        train("dcgan", strokes, tmp_path / "r", steps=40, checkpoint_every=5)
    text = str(error.value)
    assert "step 8: the loss term 'penalty' of player 'discriminator'" in text
    assert "step-00000005" in text
    assert "\n" not in text
    weights = load_file(tmp_path / "r" / "model.safetensors")
    assert all(w.isfinite().all() for w in weights.values() if w.is_floating_point())


def test_two_processes_learn_what_one_learns_and_one_goes_on(strokes, tmp_path):
    """The same batch and noise shared by two: the same weights and numbers up to the order of sums.
    The binarisation, the codes and the binary pixels are drawn anew in each step."""
    options = {"levels": 2, "dynamic": True, "batch_size": 16, "log_every": 4, "held_out": 24}
    where = {"device": "cpu"}  # one graphics card has no room for two
    one = train("vae", strokes, tmp_path / "one", steps=20, **options, **where)
    train(
        "vae",
        strokes,
        tmp_path / "two",
        steps=12,
        processes=2,
        evaluate_every=5,
        **options,
        **where,
    )
    two = train(
        "vae", strokes, tmp_path / "two", steps=20, processes=1, resume=True, **options, **where
    )
    file = "state/step-00000020/model.safetensors"
    a, b = (load_file(run.path / file) for run in (one, two))
    for key in a:
        torch.testing.assert_close(a[key], b[key], atol=1e-6, rtol=0)
    state = two.path / "state" / "step-00000012"
    assert [file.name for file in state.glob("rng-*")] == ["rng-0.safetensors"]
    assert two.plan.train.processes == 1
    lines = [{x["step"]: x for x in read_metrics(run.path) if "vae/kl" in x} for run in (one, two)]
    for step in (8, 16, 20):
        for name in ("vae/kl", "vae/reconstruction"):
            assert lines[1][step][name] == pytest.approx(lines[0][step][name], rel=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, COMPILERS)), reason="no C++ compiler")
def test_compiled_losses_train(strokes, tmp_path):
    plain = train("vae", strokes, tmp_path / "a", steps=5)
    fast = train("vae", strokes, tmp_path / "b", steps=5, compile=True)
    a, b = load_file(plain.path / "model.safetensors"), load_file(fast.path / "model.safetensors")
    for key in a:
        assert a[key].shape == b[key].shape
        assert b[key].isfinite().all()


def test_a_run_is_json_and_safetensors_only(strokes, tmp_path):
    run = train("dcgan", strokes, tmp_path / "r", steps=10, sample_every=5, checkpoint_every=5)
    kinds = {p.suffix for p in run.path.rglob("*") if p.is_file()}
    assert kinds == {".json", ".jsonl", ".safetensors", ".png"}
    assert sorted(p.name for p in (run.path / "samples").iterdir()) == [
        "step-00000005.png",
        "step-00000010.png",
    ]


def test_what_cannot_change_on_resume(strokes, tmp_path):
    run = train("vae", strokes, tmp_path / "r", steps=4)
    with pytest.raises(PthetaError, match="latent = 5, but the run was started with 3"):
        train("vae", strokes, run.path, steps=8, resume=True, latent=5)
    with pytest.raises(PthetaError, match="with model vae, not dcgan"):
        train("dcgan", strokes, run.path, steps=8, resume=True)
    with pytest.raises(PthetaError, match="add --resume"):
        train("vae", strokes, run.path, steps=8)
    Run.open(run.path).model()


def test_minutes_end_a_run(strokes, tmp_path):
    started = time.monotonic()
    run = train("vae", strokes, tmp_path / "r", minutes=0.02)
    assert time.monotonic() - started < 20
    assert read_metrics(run.path)


def test_damaged_weights_are_refused(strokes, tmp_path):
    run = train("vae", strokes, tmp_path / "r", steps=2)
    (run.path / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(PthetaError, match=r"cannot read .*model\.safetensors"):
        run.model()


def test_a_model_without_a_kl_has_no_beta(strokes, tmp_path):
    with pytest.raises(PthetaError, match=r"a loss term named kl.*ae.*none|none"):
        train("ae", strokes, tmp_path / "r", steps=60, beta=2.0)


def test_posterior_collapse_is_warned_of_once_with_its_step(strokes, tmp_path, capfd):
    run = train("vae", strokes, tmp_path / "r", steps=300, levels=2, beta=200.0, log_every=20)
    said = [line for line in capfd.readouterr().err.splitlines() if "posterior collapse" in line]
    assert len(said) == 1
    assert "warning" in said[0]
    kept = [json.loads(x) for x in (run.path / "warnings.jsonl").read_text().splitlines()]
    assert len(kept) == 1
    assert kept[0]["step"] % 20 == 0
    assert f"step {kept[0]['step']} " in said[0]


@pytest.mark.parametrize("every", [0, 5])
def test_a_run_that_ends_collapsed_says_so(strokes, tmp_path, monkeypatch, every):
    """Also where no evaluation was asked for, such as in the recipe `digits` of infogan."""

    def scored(model):
        return Scored("kd", 1.0, True, {"classes_x": 1.0, "real_classes_x": 9.5})

    monkeypatch.setattr("ptheta.api.training._scorer", lambda reserve: scored)
    monkeypatch.setattr(reporter, "SETTLED", 5)
    options = {**TINY["infogan"], **QUIET, "steps": 5, "held_out": 24, "evaluate_every": every}
    run = ptheta.train("infogan", strokes, tmp_path / "r", **options)
    said = (run.path / "warnings.jsonl").read_text()
    assert said.count("mode collapse") == 1
    assert "1 effective classes, real images 9.5" in said
    assert run.metrics()[-1]["held_out/classes_x"] == 1.0
    chosen = (run.path / "last.safetensors").exists()
    assert chosen == (every > 0)


def test_attributes_condition_a_model_and_are_checked(tmp_path):
    options = {**TINY["cvae"], **QUIET, "steps": 5}
    with pytest.raises(PthetaError, match="digits has no attributes"):
        ptheta.train("cvae", "digits", tmp_path / "r", condition="attributes", **options)
    run = ptheta.train("cvae", "shapes", tmp_path / "r", condition="attributes", **options)
    model = run.model()
    assert run.condition is not None
    assert (run.kinds, run.condition.size) == (("attributes",), 14)
    vector = [0.0] * 14
    assert tasks.sample(model, 3, attributes=vector).shape == (3, 3, 32, 32)
    assert tasks.sample(model, 3).shape == (3, 3, 32, 32)
    with pytest.raises(PthetaError, match="2 attributes: this model takes 14"):
        tasks.sample(model, 3, attributes=[0.0, 1.0])
    with pytest.raises(PthetaError, match="takes no labels"):
        tasks.sample(model, 3, labels=[1])


def test_a_fitted_prior_belongs_to_its_weights(strokes, tmp_path):
    run = train("ae", strokes, tmp_path / "r", steps=20)
    with pytest.raises(PthetaError, match="cannot sample"):
        tasks.sample(run.model(), 2)
    with pytest.raises(PthetaError, match="does not exist: run `ptheta fit"):
        run.model(prior="fitted")
    api.fit(run.path, components=2)
    x = tasks.sample(run.model(), 4)
    assert torch.equal(x, tasks.sample(run.model(prior="fitted"), 4))
    with pytest.raises(PthetaError, match="cannot sample"):
        tasks.sample(run.model(prior="own"), 2)
    result = ptheta.evaluate(run.path, n=20)
    speed = result.get("sampling_speed")
    assert speed is not None
    assert (speed.value or 0) > 0
    train("ae", strokes, tmp_path / "r", steps=30, resume=True)
    with pytest.raises(PthetaError, match="was fitted to other weights"):
        run.model(prior="fitted")
    with pytest.raises(PthetaError, match="choose 'auto'"):
        run.model(prior="mine")
