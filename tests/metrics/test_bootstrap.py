"""Resamples are what they say, paired differences are honest, and a verdict follows them alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ptheta.metrics.bootstrap import REPEATS, Bootstrap, difference
from ptheta.metrics.frechet import fit, frechet, frechet_draws
from ptheta.metrics.kernel import kernel, kernel_distance, kernel_draws
from ptheta.metrics.results import Evaluation, Result
from ptheta.metrics.score import class_score, classes_draws, effective_classes, score_draws
from ptheta.report.pairs import matrix, pairs
from ptheta.report.verdict import verdicts


def normal(n: int, d: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.double) + shift


def test_all_models_meet_the_same_resamples_of_the_real_images():
    a, b = Bootstrap(30, 10), Bootstrap(30, 20)
    assert torch.equal(a.counts("real"), b.counts("real"))
    assert a.counts("real").shape == (REPEATS, 30)
    assert (a.counts("real").sum(1) == 30).all()
    assert torch.equal(torch.bincount(a.rows("fake", 3), minlength=10), a.counts("fake")[3].long())
    terms = normal(30, 1, 0)[:, 0]
    mean = terms[a.rows("real", 5)].mean()
    assert a.means(terms, "real")[5] == pytest.approx(mean.item())


def test_draws_are_the_metric_of_each_resample():
    x, y = normal(12, 3, 0), normal(15, 3, 1, 0.3)
    boot = Bootstrap(15, 12)
    i, j = boot.rows("fake", 4), boot.rows("real", 4)

    def within(z, rows):
        k = kernel(z[rows], z[rows])
        different = rows[:, None] != rows  # one image twice is no pair
        return (k * different).sum() / (len(rows) * (len(rows) - 1))

    wanted = within(x, i) + within(y, j) - 2 * kernel(x[i], y[j]).mean()
    value, draws = kernel_draws(x, y, boot, chunk=5)
    assert value == kernel_distance(x, y, chunk=5)[0]
    assert draws[4] == pytest.approx(wanted.item())
    assert frechet_draws(x, y, boot)[4] == pytest.approx(frechet(fit(x[i]), fit(y[j])))
    logits = normal(12, 4, 2) * 3
    assert score_draws(logits, boot)[4] == pytest.approx(class_score(logits[i], 1)[0])
    assert classes_draws(logits, boot)[4] == pytest.approx(effective_classes(logits[i])[0])


def test_the_deviation_of_the_draws_is_the_standard_error():
    """Against fresh images each time."""
    kd, fd, kd_errors, fd_errors = [], [], [], []
    for seed in range(40):
        x, y = normal(150, 4, 2 * seed), normal(150, 4, 2 * seed + 1, 0.5)
        boot = Bootstrap(150, 150, seed)
        kd.append(kernel_distance(x, y)[0])
        fd.append(frechet(fit(x), fit(y)))
        kd_errors.append(kernel_draws(x, y, boot)[1].std().item())
        fd_errors.append(frechet_draws(x, y, boot).std().item())
    assert 0.7 < np.mean(kd_errors) / np.std(kd) < 1.4
    assert 0.7 < np.mean(fd_errors) / np.std(fd) < 1.4


def drawn(value: float, draws: torch.Tensor, metric: str = "m", relation: str = "=") -> Result:
    return Result(
        metric,
        value,
        relation=relation,
        error=draws.std().item(),
        better="lower",
        draws=tuple(draws.tolist()),
    )


def test_pairing_takes_the_luck_of_the_images_out():
    """Two models whose losses go up and down with the same images: far apart for certain, though
    the error of each is wider than the gap."""
    boot = Bootstrap(200, 2)
    hard = normal(200, 1, 0)[:, 0]
    a, b = hard * 10 + 100, hard * 10 + 100.3 + 0.1 * normal(200, 1, 1)[:, 0]
    x, y = (drawn(v.mean().item(), boot.means(v, "real")) for v in (a, b))
    assert (x.error or 0) > 0.5
    gap = difference(x, y)
    assert gap is not None
    assert gap.different
    half = 1.98 * (a - b).std().item() / 200**0.5
    assert gap.high - gap.value == pytest.approx(half, rel=0.2)
    unpaired = difference(Result("m", x.value, error=x.error), Result("m", y.value, error=y.error))
    assert unpaired is not None
    assert not unpaired.different
    back = difference(y, x)
    assert back is not None
    assert (back.value, back.low, back.high) == pytest.approx((-gap.value, -gap.high, -gap.low))


def test_false_alarms_are_few():
    """Two samplers of the same distribution differ in about one of twenty comparisons."""
    alarms = 0
    y = normal(200, 3, 10_000)
    for seed in range(60):
        results = []
        for k in (2 * seed, 2 * seed + 1):
            x = normal(200, 3, k, 0.4)
            results.append(drawn(*kernel_draws(x, y, Bootstrap(200, 200, seed))))
        gap = difference(*results)
        assert gap is not None
        alarms += gap.different
    assert alarms <= 9


def test_a_number_without_error_is_exact_and_one_without_value_has_no_difference():
    gap = difference(Result("m", 3.0), Result("m", 2.0))
    assert gap is not None
    assert (gap.low, gap.high, gap.different) == (1, 1, True)
    same = difference(Result("m", 2.0), Result("m", 2.0))
    assert same is not None
    assert not same.different
    assert difference(Result("m", None, reason="it cannot"), Result("m", 2.0)) is None


def test_bounds_and_exact_likelihoods_are_never_paired():
    draws = normal(REPEATS, 1, 0)[:, 0] * 1e-3
    evaluations = {
        name: Evaluation((drawn(value, value + draws, "bits_per_dim", relation),))
        for name, value, relation in (
            ("exact a", 0.2, "="),
            ("exact b", 0.3, "="),
            ("bound a", 0.1, "<="),
            ("bound b", 0.1, "<="),
        )
    }
    found = pairs(evaluations, ["bits_per_dim"])["bits_per_dim"]
    assert [(p.a, p.b, p.difference.different) for p in found] == [
        ("exact a", "exact b", True),
        ("bound a", "bound b", False),
    ]
    table = matrix(found)
    cells = dict(table["rows"])["exact b"]
    assert cells[table["names"].index("exact a")]["value"] == "0.100"
    assert cells[table["names"].index("bound a")] is None
    said = verdicts(evaluations, ["bits_per_dim"])
    assert any(line.startswith("best bits per dim") for line in said["exact a"].good)
    assert not any(line.startswith("best") for line in said["bound a"].good)


def test_a_result_keeps_its_interval_but_not_its_draws_in_a_file():
    result = drawn(1.0, normal(REPEATS, 1, 0)[:, 0])
    written = result.to_json()
    assert "draws" not in written
    low, high = written["interval_95"]
    assert high - 1 == pytest.approx(1 - low) == pytest.approx(1.96 * (result.error or 0), rel=1e-3)
    assert Result.from_json(written) == result
