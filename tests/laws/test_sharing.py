"""Noise belongs to the example and the step: how many processes share a batch changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ptheta.batch import Batch
from ptheta.compute import streams
from ptheta.corruption import corrupt
from ptheta.data import open_data
from ptheta.models.matching.gmmn import GMMN
from ptheta.models.matching.wae import WAE
from ptheta.models.text.base import TextToImage
from ptheta.models.variational.beta_tcvae import BetaTCVAE
from ptheta.nets.minibatch import MinibatchLayer
from ptheta.specs import ImageSpec
from ptheta.training.engine import Engine
from ptheta.training.group import Group
from tests.conftest import PLAYED, conditions, tiny

SPEC = ImageSpec(1, 16, 16, 2)
N = 8


def images(n: int = N, channels: int = 3) -> Tensor:
    return torch.rand(n, channels, 6, 5, generator=torch.Generator().manual_seed(1)) * 2 - 1


def last(x: Tensor) -> Tensor:
    """Channels last in memory."""
    return x.contiguous(memory_format=torch.channels_last)


# (what is drawn for a batch, for the examples here): draw(rows of the batch) -> (rows, ...)
DRAWS: dict[str, Callable[[Tensor], Tensor]] = {
    "normal": lambda x: streams.normal(len(x), 3),
    "several normals for each": lambda x: streams.normal(5 * len(x), 3).unflatten(0, (5, -1))[4],
    "uniform": lambda x: streams.uniform(len(x), 1, 2, dtype=torch.float64),
    "integers": lambda x: streams.integers(2, 9, len(x), 4),
    "normal like": streams.normal_like,
    "normal like, channels last": lambda x: streams.normal_like(last(x)),
    "uniform like": streams.uniform_like,
    "uniform like a number for each": lambda x: streams.uniform_like(x[:, 0, 0, 0]),
    "dropout": lambda x: streams.Dropout(0.3)(x),
    "dropout, channels last": lambda x: streams.Dropout(0.3)(last(x)),
    "dropout of maps": lambda x: streams.Dropout2d(0.3)(x),
    "gaussian noise": lambda x: corrupt(x.byte(), "gaussian", 0.5),
    "masking": lambda x: corrupt(x.byte(), "masking", 0.5),
    "salt and pepper": lambda x: corrupt(x.byte(), "salt-and-pepper", 0.5),
}


def drawn(draw: Callable[[Tensor], Tensor], x: Tensor, rank: int, size: int) -> Any:
    """(what a process draws, where its stream is then)"""
    torch.manual_seed(3)
    with streams.shared(rank, size):
        return draw(x[rank::size]), torch.get_rng_state()


@pytest.mark.parametrize("size", [2, 4, 8])
@pytest.mark.parametrize("name", DRAWS)
def test_a_process_draws_its_rows_of_what_one_draws(name, size):
    whole, end = drawn(DRAWS[name], images(), 0, 1)
    assert len(whole.unique()) > 2 or "noise" not in name
    for rank in range(size):
        part, its_end = drawn(DRAWS[name], images(), rank, size)
        torch.testing.assert_close(part, whole[rank::size], rtol=1e-6, atol=1e-6)
        assert torch.equal(its_end, end)


PLAIN: dict[str, tuple[Callable[[], Tensor], Callable[[], Tensor]]] = {
    "normal": (lambda: streams.normal(9, 5), lambda: torch.randn(9, 5)),
    "uniform": (lambda: streams.uniform(9, 5), lambda: torch.rand(9, 5)),
    "integers": (lambda: streams.integers(1, 7, 9), lambda: torch.randint(1, 7, (9,))),
    "normal like": (
        lambda: streams.normal_like(last(images())),
        lambda: torch.randn_like(last(images())),
    ),
    "uniform like": (
        lambda: streams.uniform_like(last(images())),
        lambda: torch.rand_like(last(images())),
    ),
    "dropout": (lambda: streams.Dropout(0.3)(images()), lambda: nn.Dropout(0.3)(images())),
}


@pytest.mark.parametrize("name", PLAIN)
def test_one_process_draws_what_torch_draws(name):
    found = []
    for draw in PLAIN[name]:
        torch.manual_seed(2)
        found.append(draw())
    assert torch.equal(*found)


def test_one_that_rests_draws_alone_and_leaves_the_stream_as_it_was():
    torch.manual_seed(0)
    with streams.shared(1, 4):
        with streams.alone(), streams.seeded(7):
            inside = streams.normal(4)
        after = streams.normal(2)
    torch.manual_seed(7)
    assert torch.equal(inside, torch.randn(4))
    torch.manual_seed(0)
    assert torch.equal(after, torch.randn(8)[1::4])
    assert len(streams.normal(2)) == 2


def test_binarisation_for_every_batch_is_of_the_example(strokes):
    data = open_data(strokes, "train", levels=2, dynamic=True)
    at = torch.arange(N).numpy()

    def batch(x: Tensor) -> Tensor:
        return data.batch(at[x[:, 0, 0, 0].long()]).x

    x = torch.arange(N).float().view(N, 1, 1, 1)
    whole, _ = drawn(batch, x, 0, 1)
    for rank in range(2):
        assert torch.equal(drawn(batch, x, rank, 2)[0], whole[rank::2])


# Options under which no loss is a function of several examples at once, and all noise is in use.
FREE = {"g_norm": "layer", "d_norm": "layer"}
NOISY = {"instance_noise": 0.1, "label_noise": 0.1, "label_flips": 0.2}
AUGMENT = {"augment": ("color", "translation", "cutout")}
GAMES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in PLAYED},
    **{f"{name}, no batch norm": (name, FREE) for name in ("gan", "wgan", "infogan", "acgan")},
    "gan, noise": ("gan", {**FREE, **NOISY, **AUGMENT}),
    "wgan-gp, layer norm": ("wgan-gp", {**FREE, **AUGMENT}),
    "r3gan, layer norm": ("r3gan", FREE),
    "began, layer norm": ("began", FREE),
    "sngan, layer norm": ("sngan", FREE),
    "progressive-gan, with statistics": ("progressive-gan", {"minibatch": "stddev"}),
    "vae, mixture": ("vae", {"prior": "vamp", "pseudo_inputs": 4}),
    "iwae, dreg": ("iwae", {"gradient": "doubly-reparametrised"}),
    "ae, contractive": ("ae", {"contractive": 0.1}),
    "dae, masking": ("dae", {"noise": "masking"}),
    "pix2pix, all noise": (
        "pix2pix",
        {
            "dropout": 0.3,
            "augment": ("flip", "jitter", "shift"),
            "feature_matching": 10.0,
            "discriminators": 2,
            "loss": "relativistic",
        },
    ),
    "pixelcnn++, dropout": ("pixelcnn++", {"dropout": 0.3}),
}


def gradients(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """Of every move of a step in which all move whose time it is, at the same weights."""
    game: Any = model.game()  # type: ignore[operator]
    engine, found = Engine(model, game, Group()), {}
    last = max(move.every for move in game.moves)
    for move in game.moves:
        if move is game.moves[0] or engine.share != move.span[0]:
            engine.share = move.span[0]
            shared = engine.prepare(game, last, batch)
        engine.gradients(move, batch, shared)
        for i, p in enumerate(game.players[move.player].parameters()):
            found[f"{move.player}/{i}"] = torch.zeros_like(p) if p.grad is None else p.grad.clone()
    return found


def mixes_examples(model: nn.Module) -> bool:
    """Whether batch normalisation or a statistic of the batch ties its examples together; dragan's
    noise is as wide as the batch's pixels are spread, wrong captions are those of others, a
    kernel matches two whole batches, and an aggregate posterior is estimated from one."""
    config: Any = model.config
    tying = nn.BatchNorm1d | nn.BatchNorm2d | MinibatchLayer
    tied = any(isinstance(m, tying) for m in model.modules()) or isinstance(
        model, TextToImage | GMMN | WAE | BetaTCVAE
    )
    return tied or "dragan" in getattr(config, "penalty", ())


@pytest.mark.parametrize("name", GAMES)
def test_the_gradient_of_a_batch_is_the_mean_of_those_of_its_shares(name):
    model_name, options = GAMES[name]
    x = torch.randint(0, 2, (N, *SPEC.shape), generator=torch.Generator().manual_seed(5)).byte()
    found, ends = [], []
    for rank, size in [(0, 1), (0, 2), (1, 2)]:
        model = tiny(model_name, SPEC, **options).train()
        every = conditions(model, N)
        y = None if every is None else every[torch.arange(rank, N, size)]
        torch.manual_seed(11)
        with streams.shared(rank, size):
            found.append(gradients(model, Batch(x[rank::size] * 255, y)))
        ends.append(torch.get_rng_state())
    assert all(torch.equal(end, ends[0]) for end in ends)
    whole, *parts = found
    if not mixes_examples(model):
        for key, wanted in whole.items():
            mean = (parts[0][key] + parts[1][key]) / 2
            scale = max(1.0, wanted.abs().max().item())
            torch.testing.assert_close(mean, wanted, atol=2e-6 * scale, rtol=1e-4)
