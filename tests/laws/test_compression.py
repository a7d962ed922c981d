"""Lossless coding: every image comes back, in as many bits as -log2 p says."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from ptheta import tasks
from ptheta.distributions.pixels import Bernoulli, Categorical, LogisticMixture
from ptheta.errors import PthetaError
from ptheta.files.range_coder import TOTAL, Decoder, Encoder
from ptheta.models.autoregressive.base import Autoregressive
from ptheta.specs import ImageSpec, from_levels
from ptheta.tasks.compress.code import parts_of
from tests.conftest import MODELS, VECTORS, examples, labels, loaded, tiny

WALKED = [name for name in MODELS if issubclass(loaded(name), Autoregressive)]
SPECS = {"binary": ImageSpec(1, 4, 4, 2), "colour": ImageSpec(3, 4, 4, 8)}


def coded(symbols: list[int], starts: list[list[int]]) -> bytes:
    coder = Encoder()
    coder.put((s[k], s[k + 1] - s[k]) for k, s in zip(symbols, starts, strict=True))
    return coder.finished()


@pytest.mark.parametrize("seed", range(4))
def test_a_range_coder_gives_back_what_it_was_given_in_the_fewest_bytes(seed):
    rng = np.random.default_rng(seed)
    n = (0, 1, 50, 3000)[seed]
    symbols, tables, bits = list[int](), list[list[int]](), 0.0
    for _ in range(n):
        cuts = rng.choice(TOTAL - 1, rng.integers(1, 9), replace=False) + 1
        table = [0, *sorted(cuts.tolist()), TOTAL]
        if rng.random() < 0.5:  # nearly certain, or nearly impossible
            table = [0, 1, TOTAL] if rng.random() < 0.5 else [0, TOTAL - 1, TOTAL]
        k = int(rng.integers(len(table) - 1))
        symbols.append(k)
        tables.append(table)
        bits -= math.log2((table[k + 1] - table[k]) / TOTAL)
    code = coded(symbols, tables)
    reader = Decoder(code)
    assert [reader.get(table) for table in tables] == symbols
    assert bits - 64 <= 8 * len(code) <= bits + 16


def test_a_carry_goes_back_into_what_is_written():
    """The last of many symbols that fill the interval to its end."""
    last = [0, TOTAL - 1, TOTAL]
    for tail in ([0] * 9, [1, 0, 1], [1] * 40):
        symbols = [*[1] * 30, *tail]
        reader = Decoder(coded(symbols, [last] * len(symbols)))
        assert [reader.get(last) for _ in symbols] == symbols


@pytest.mark.parametrize("levels", [2, 4, 256])
def test_parts_sum_to_the_total_and_none_is_empty(levels):
    logs = torch.randn(50, levels, generator=torch.Generator().manual_seed(0)) * 8
    logs[0], logs[0, 1] = -torch.inf, 0.0
    starts = parts_of(logs.log_softmax(1))
    sizes = np.diff(starts)
    assert (sizes >= 1).all()
    assert (starts[:, -1] == TOTAL).all()
    wanted = logs.double().softmax(1).numpy()
    assert np.abs(sizes / TOTAL - wanted).max() < 2 * levels / TOTAL
    with pytest.raises(PthetaError, match="probabilities are not finite"):
        parts_of(torch.full((1, levels), torch.nan))


def test_probabilities_of_all_levels_are_those_of_each():
    torch.manual_seed(0)
    shape = (3, 2, 1, 1)
    weights, loc, log_scale = torch.randn(3, 3, 2, 2, 1, 1)
    for p in (
        Bernoulli(torch.randn(shape)),
        Categorical(torch.randn(3, 4, 2, 1, 1)),
        LogisticMixture(weights, loc, log_scale, 16),
    ):
        found = p.log_probs()
        assert found.shape == (*shape, p.levels)
        torch.testing.assert_close(found.exp().sum(-1), torch.ones(shape))
        for k in range(p.levels):
            x = from_levels(torch.full(shape, k), p.levels)
            torch.testing.assert_close(found[..., k], p.log_prob(x))


@pytest.mark.parametrize("name", WALKED)
@pytest.mark.parametrize("kind", SPECS)
def test_random_images_come_back_in_as_many_bits_as_the_model_says(name, kind):
    spec = SPECS[kind]
    model = tiny(name, spec).eval()
    x = examples(spec, 5)
    code = tasks.compress(model, x, batch=2)
    assert torch.equal(tasks.decompress(model, code, 5, batch=2), x)
    with torch.no_grad():
        bits = -model.log_prob(x).double().sum().item() / math.log(2)
    assert 8 * len(code) <= bits + 16 + 1e-3 * bits
    assert 8 * len(code) >= bits - 16 - 1e-3 * bits


def test_every_image_of_a_tiny_size_has_a_code_of_its_own_length():
    """Of each alone at most two bytes more than -log2 p."""
    spec = ImageSpec(1, 2, 3, 2)
    model = tiny("nade", spec).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(6)
    on = torch.tensor(list(itertools.product((0, 255), repeat=6)), dtype=torch.uint8)
    x = on.view(-1, *spec.shape)
    with torch.no_grad():
        bits = -model.log_prob(x).double() / math.log(2)
    for image, wanted in zip(x[::3], bits[::3].tolist(), strict=True):
        code = tasks.compress(model, image[None])
        assert 8 * len(code) <= wanted + 16
        assert torch.equal(tasks.decompress(model, code, 1)[0], image)
    assert torch.equal(tasks.decompress(model, tasks.compress(model, x, 7), 64, 7), x)


def test_what_cannot_be_compressed_is_told_why():
    spec = SPECS["binary"]
    x = examples(spec, 2)
    for name in ("gaussian", "vae"):
        with pytest.raises(PthetaError, match="cannot compress: it has no `conditionals` and"):
            tasks.compress(tiny(name, spec).eval(), x)
    told = tiny("nade", spec, condition=labels(2)).eval()
    with pytest.raises(
        PthetaError, match=r"conditional on labels, which compressed files do not store"
    ):
        tasks.compress(told, x)
    with pytest.raises(PthetaError, match="is for images"):
        tasks.compress(tiny("nade", VECTORS).eval(), examples(VECTORS, 2))
    with pytest.raises(PthetaError, match="batch = 0"):
        tasks.compress(tiny("nade", spec).eval(), x, 0)
